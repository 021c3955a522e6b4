"""One Decoder, or the Pillow plugin, in several threads and processes: pixels are those of one thread."""

from __future__ import annotations

import copy
import importlib
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pictures import photo
from PIL import Image

import crayoncodec
import crayoncodec.plugins.pillow
from crayoncodec import codec
from crayoncodec.machine import threads
from crayoncodec.painting import backends

WAYS = ("guided", "neural")
THREADS, DECODES = 8, 300
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
multithreaded = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def decoder(way):
    return crayoncodec.Decoder(color=way, device="cpu")


@pytest.fixture(scope="module")
def files():
    """Small, so that threads meet often; of several sizes, so that networks change shape; two nested ones."""
    return [
        crayoncodec.encode(photo(height, width, seed=seed), **options)
        for seed, (height, width, options) in enumerate(
            [(8, 20, {}), (20, 9, {}), (20, 30, {"n": 5}), (9, 40, {"n": 4}), (26, 26, {"n": 3})]
        )
    ]


def in_child(work, seconds=60):
    """Whether a forked child does ``work``, and well, in time; it ends without destructors, as Pool's do."""
    child = os.fork()
    if child == 0:
        try:
            done = work()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            done = False
        os._exit(0 if done else 1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


@pytest.mark.parametrize("way", WAYS)
def test_threads_share_a_decoder(files, way):
    expected = [decoder(way).decode(data) for data in files]
    shared, start = decoder(way), threading.Barrier(THREADS)

    def decode(seed):
        # Nested grids take longest.
        order = np.random.default_rng(seed).choice(len(files), DECODES, p=[0.05, 0.05, 0.3, 0.3, 0.3])
        start.wait(60)
        return [int(k) for k in order if not np.array_equal(shared.decode(files[k]), expected[k])]

    with ThreadPoolExecutor(THREADS) as pool:
        wrong = list(pool.map(decode, range(THREADS)))
    assert wrong == [[]] * THREADS


def test_threads_load_a_network_once(files, monkeypatch):
    loaded, start = [], threading.Barrier(THREADS)
    load = backends.load

    def slow(name, **options):
        loaded.append(name)
        time.sleep(0.05)
        return load(name, **options)

    monkeypatch.setattr(backends, "load", slow)
    shared = decoder("neural")

    def decode(k):
        start.wait(60)
        return shared.decode(files[k % len(files)])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(decode, range(THREADS)))
    assert loaded == ["compact"]


def test_a_fresh_process_may_begin_with_threads(tmp_path):
    """Imports, tables and networks are then all made at once."""
    crayoncodec.write(tmp_path / "photo.cray", photo(20, 30))
    program = """
import sys, threading
import crayoncodec
data = open(sys.argv[1], "rb").read()
decoder, start, found = crayoncodec.Decoder(color="neural"), threading.Barrier(8), []
def decode():
    start.wait()
    found.append(decoder.decode(data).tobytes())
several = [threading.Thread(target=decode) for _ in range(8)]
for thread in several: thread.start()
for thread in several: thread.join()
print(len(found), len(set(found)))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "photo.cray")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout, done.stderr) == ("8 1\n", "")


def test_what_is_abandoned_holds_nothing(files):
    """A picture that is not finished keeps no turn."""
    network = decoder("neural").network(nested=False)
    planes = {name: np.zeros((channels, 16, 16), np.float32) for name, channels in
              (("lightness", 1), ("cell_lightness", 1), ("bicubic", 2), ("base", 2))}  # fmt: skip
    begun = network.predict([planes] * 3, 9.0)
    next(begun)
    with ThreadPoolExecutor(1) as pool:
        (found,) = pool.submit(lambda: list(network.predict([planes], 9.0))).result(30)
    assert found.shape == (2, 16, 16)
    begun.close()


def test_warnings_are_as_they_were_when_threads_have_decoded(files):
    """The filters are the process's: nobody may change them for a while."""
    import warnings

    before = list(warnings.filters)
    shared = crayoncodec.Decoder(color="guided")
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda k: shared.decode(files[k % len(files)]), range(200)))
    assert warnings.filters == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("copied", [lambda used: pickle.loads(pickle.dumps(used)), copy.deepcopy, copy.copy])
def test_a_used_decoder_is_pickled_and_copied(files, way, copied):
    used = decoder(way)
    expected = used.decode(files[0])
    other = copied(used)
    assert np.array_equal(other.decode(files[0]), expected)
    assert np.array_equal(used.decode(files[0]), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@multithreaded
def test_a_used_decoder_goes_to_other_processes(files, way, method):
    used = decoder(way)
    expected = [used.decode(data) for data in files]
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map_async(used.decode, files).get(120)
    assert all(map(np.array_equal, found, expected))


@forks
@multithreaded
@pytest.mark.parametrize("way", WAYS)
def test_a_forked_child_decodes(files, way, four_threads):
    used = decoder(way)
    data = crayoncodec.encode(photo(200, 300))
    expected = used.decode(data)
    assert in_child(lambda: np.array_equal(used.decode(data), expected))
    assert in_child(lambda: in_child(lambda: np.array_equal(used.decode(data), expected)))
    assert in_child(lambda: np.array_equal(decoder(way).decode(data), expected))
    assert np.array_equal(used.decode(data), expected)


@forks
@multithreaded
@pytest.mark.parametrize("way", WAYS)
def test_a_child_is_forked_while_threads_decode(files, way, four_threads):
    """Locks that they hold are held for ever there."""
    shared, stop = decoder(way), threading.Event()
    expected = [shared.decode(data) for data in files]

    def decode():
        while not stop.is_set():
            shared.decode(files[0])

    several = [threading.Thread(target=decode) for _ in range(2)]
    for thread in several:
        thread.start()
    try:
        for _ in range(3):
            assert in_child(lambda: all(map(np.array_equal, map(shared.decode, files), expected)), 30)
    finally:
        stop.set()
        for thread in several:
            thread.join()


@forks
@multithreaded
def test_locks_are_free_in_a_child():
    """Those that another thread may have held at that moment."""
    locks = lambda: (codec._loading, threads._single_products._lock)  # noqa: E731
    for lock in locks():
        lock.acquire()
    try:
        assert in_child(lambda: not any(lock.locked() for lock in locks()), 10)
    finally:
        for lock in locks():
            lock.release()


@forks
@multithreaded
@pytest.mark.parametrize("way", WAYS)
def test_a_child_may_end_as_programs_end(way, tmp_path):
    """With destructors, which wait for no thread."""
    crayoncodec.write(tmp_path / "photo.cray", photo(200, 300))
    program = f"""
import os, sys
import crayoncodec
data = open(sys.argv[1], "rb").read()
decoder = crayoncodec.Decoder(color={way!r}, device='cpu')
expected = decoder.decode(data).astype(int)
child = os.fork()
if child == 0:
    sys.exit(int(abs(decoder.decode(data) - expected).max() > 1))
sys.exit(os.waitpid(child, 0)[1] != 0)
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "photo.cray")]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


class TestPlugin:
    @pytest.fixture(params=["path", "stream"])
    def opened(self, request, tmp_path):
        """Opens a picture, with alpha and metadata, that is not loaded yet."""
        data = crayoncodec.encode(np.dstack([photo(24, 30), photo(24, 30)[..., 0]]), xmp=b"<x/>")
        path = tmp_path / "photo.cray"
        path.write_bytes(data)
        return lambda: Image.open(path if request.param == "path" else io.BytesIO(data))

    @pytest.mark.parametrize("loaded", [False, True])
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pictures_are_pickled(self, opened, loaded, protocol):
        image = opened()
        if loaded:
            image.load()
        again = pickle.loads(pickle.dumps(image, protocol))
        self.check_same(again, opened())
        assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(again))), np.asarray(image))

    @pytest.mark.parametrize("loaded", [False, True])
    @pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy])
    def test_pictures_are_copied(self, opened, loaded, copied):
        image = opened()
        if loaded:
            image.load()
        again = copied(image)
        again.paste(0, (0, 0, 5, 5))
        assert np.array_equal(np.asarray(image), np.asarray(opened()))
        assert not np.array_equal(np.asarray(again), np.asarray(image))

    @pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
    @multithreaded
    def test_pictures_come_back_from_processes(self, tmp_path, method):
        paths = [tmp_path / f"{k}.cray" for k in range(4)]
        for k, path in enumerate(paths):
            crayoncodec.write(path, photo(20, 30, seed=k))
        np.asarray(Image.open(paths[0]))  # with a network that the children inherit
        context = multiprocessing.get_context(method)
        with context.Pool(2, importlib.import_module, ["crayoncodec.plugins.pillow"]) as pool:
            found = pool.map_async(Image.open, paths).get(120)
        for path, image in zip(paths, found, strict=True):
            self.check_same(image, Image.open(path), most=1)  # forked processes compute in one thread

    def test_threads_open_pictures(self, files):
        expected = [np.asarray(Image.open(io.BytesIO(data))) for data in files]

        def wrong(k):
            k %= len(files)
            return not np.array_equal(np.asarray(Image.open(io.BytesIO(files[k]))), expected[k])

        with ThreadPoolExecutor(THREADS) as pool:
            assert not any(pool.map(wrong, range(200)))

    def check_same(self, found, expected, most=0):
        assert (found.format, found.mode, found.size) == ("CRAY", expected.mode, expected.size)
        assert found.info == expected.info
        assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).max() <= most
        with pytest.raises(RuntimeError, match="directly after open"):
            found.verify()


def test_encoders_share_the_network_too():
    """From effort 7 on it is fitted to, and what it paints is in the file."""
    image = photo(40, 56)
    expected = crayoncodec.encode(image, effort=7, color_quality=50)
    with ThreadPoolExecutor(THREADS) as pool:
        assert set(pool.map(lambda _: crayoncodec.encode(image, effort=7, color_quality=50), range(16))) == {
            expected
        }
