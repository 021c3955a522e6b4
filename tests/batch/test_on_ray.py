"""``cray batch --engine ray`` on two workers of this machine: the same files, whatever dies."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from archives import batch, counts, draw, failures, tree

from crayoncodec.batch import execution as batches
from crayoncodec.batch import on_ray, places, sources
from crayoncodec.errors import BatchError

ray = pytest.importorskip("ray", reason="ray is not installed: pip install crayoncodec[ray]")
# Ray warns of itself.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")]
RAY = ("--engine", "ray", "-j", "2")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two workers, which have this module's functions by value."""
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    ray.shutdown()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with eight pictures and a file that is none in the folder "in"."""
    monkeypatch.chdir(tmp_path)
    for seed in range(8):
        draw(f"in/{seed % 3}/{seed}.png", seed)
    Path("in/bad.jpg").write_text("bad")


def test_files_are_those_of_the_local_engine():
    batch("encode", "in", "here", "-j", "1", code=1)
    assert counts(batch("encode", "in", "there", *RAY, code=1)) == (8, 0, 1)
    assert tree("there") == tree("here")
    assert failures("there") == failures("here")
    # The manifest does not care which engine it was.
    assert counts(batch("encode", "in", "there", "-j", "1", code=1)) == (0, 8, 1)
    decode = ("--color", "guided", "--extension", ".ppm")
    batch("decode", "here", "local", *decode, "-j", "1")
    assert counts(batch("decode", "here", "ray", *decode, *RAY)) == (8, 0, 0)
    assert tree("ray") == tree("local")


def test_urls():
    here = Path.cwd().as_uri()
    Path("in/bad.jpg").unlink()
    batch("encode", "in", "plain", "-j", "1")
    assert counts(batch("encode", f"{here}/in", f"{here}/url", *RAY)) == (8, 0, 0)
    assert tree("url") == tree("plain")
    assert not Path("url/.cray-batch/tmp").exists()
    assert counts(batch("encode", f"{here}/in", f"{here}/url", "-j", "1", "--verify-outputs")) == (0, 8, 0)
    Path("in/list").write_text("0/3.png\nnone.png\n")
    assert counts(batch("encode", f"{here}/in/list", "listed", "-j", "1", code=1)) == (1, 0, 1)
    assert {*tree("listed")} == {"0/3.cray"}
    assert "nowhere does not exist" in batch("encode", f"{here}/nowhere", "out", code=2)


class Store(places.Remote):
    """A URL that is treated as an object store: not on this machine, and nothing is renamed."""

    _renames = False
    folder = None


def test_object_stores_need_a_state_of_this_machine():
    store = Store(Path.cwd().as_uri() + "/store")
    Path("store").mkdir()
    found = sources.find("in", ".txt", lambda path: path.suffix == ".png")
    asked = batches.Batch(found, store, size_of, {})
    with pytest.raises(BatchError, match="expected --state FOLDER"):
        batches.run(asked, batches.local(1), print)
    for number in range(3):
        Path(f"store/{number}").mkdir()  # they have no folders, but this one has
    asked = batches.Batch(found, store, size_of, {}, state=Path("state"))
    assert batches.run(asked, on_ray.engine(2, None, 0), lambda outcome: None).done == 8
    assert batches.run(asked, on_ray.engine(2, None, 0), lambda outcome: None).skipped == 8
    assert {*tree("store")} == {f"{seed % 3}/{seed}.txt" for seed in range(8)}


def size_of(read, extension):
    return str(len(read())).encode(), {"width": 1, "height": 1}


def die_of(read, extension):
    """A conversion that takes its process with it where the file says so."""
    if read() == b"deadly":
        os._exit(1)
    return size_of(read, extension)


def test_a_file_that_kills_costs_only_itself():
    for number in range(40):
        Path(f"in/0/{number}.png").write_bytes(b"deadly" if number == 17 else b"harmless")
    found = sources.find("in", ".txt", lambda path: path.suffix == ".png")
    asked = batches.Batch(found, places.place("out"), die_of, {})
    totals = batches.run(asked, on_ray.engine(2, None, 0), lambda outcome: None)
    assert (totals.done, totals.failed) == (44, 1)
    assert failures("out") == {"0/17.png": "its process died, out of memory?"}


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks /proc who is there")
def test_an_actor_that_is_killed_costs_nothing():
    for seed in range(20):
        draw(f"in/more/{seed}.png", seed, height=300, width=300)
    killed = []

    def kill():
        while not Path("out/.cray-batch/manifest.jsonl").exists():
            time.sleep(0.05)
        while not killed and b"sha256" not in Path("out/.cray-batch/manifest.jsonl").read_bytes():
            time.sleep(0.05)
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            if process.read_bytes().startswith(b"ray::MapWorker"):
                os.kill(int(process.parent.name), signal.SIGKILL)
                killed.append(process)
                return

    thread = threading.Thread(target=kill)
    thread.start()
    totals = batch("encode", "in", "out", *RAY, code=1)
    thread.join()
    assert len(killed) == 1
    assert counts(totals) == (28, 0, 1)


def test_groups_are_of_few_files_and_bytes():
    tasks = [
        on_ray.Task(str(number), "", size=size) for number, size in enumerate([1] * 100 + [5_000_000] * 4)
    ]
    groups = on_ray._groups(tasks, actors=1)
    assert [task for group in groups for task in group] == tasks
    assert max(map(len, groups)) == on_ray._GROUP
    assert max(sum(task.size for task in group) for group in groups) <= on_ray._GROUP_BYTES
    assert [len(group) for group in on_ray._groups(tasks[:8], actors=2)] == [1] * 8


def test_ray_that_is_not_installed_is_said_so(monkeypatch):
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, None)
    message = batch("encode", "in", "out", "--engine", "ray", code=2)
    assert "--engine ray needs ray, expected pip install crayoncodec[ray]" in message


def test_an_actor_without_a_share_of_a_gpu_sees_none(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for gpus, seen in ((0.5, "0,1"), (0.0, "")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        on_ray._Actor(None, None, gpus)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_gpus_that_are_not_there_are_said_so():
    message = batch("decode", "in", "out", "--color", "neural", "--device", "cuda", "--engine", "ray", code=2)
    assert "the Ray cluster has 0 GPU, expected at least 1" in message
