"""The kernels in C give the integers that NumPy gives, and never more than they were asked for."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo

import crayoncodec
from crayoncodec.format import residuals
from crayoncodec.machine import kernels

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/format/golden"
pytestmark = pytest.mark.skipif(not kernels.are_there(), reason="the kernels were not built")


def versions():
    from crayoncodec.machine import _native

    return range(_native.best_version() + 1)


def expected(layer, planes):
    """The convolution in whole numbers of 64 bits."""
    weights, bias, shift = layer
    side = weights.shape[2]
    stacked = np.concatenate([plane.astype(np.int64) for plane in planes])
    height, width = stacked.shape[1:]
    wide = np.pad(stacked, ((0, 0), (side // 2,) * 2, (side // 2,) * 2))
    sums = bias.astype(np.int64)[:, None, None] + sum(
        np.einsum("oi,ihw->ohw", weights[:, :, y, x].astype(np.int64), wide[:, y : y + height, x : x + width])
        for y in range(side)
        for x in range(side)
    )
    return sums >> shift[:, None, None]


def drawn(seed, side, outputs, channels, height, width):
    rng = np.random.default_rng(seed)
    layer = (
        rng.integers(-127, 128, (outputs, sum(channels), side, side)).astype(np.int8),
        rng.integers(-(2**20), 2**20, outputs).astype(np.int32),
        rng.integers(0, 16, outputs).astype(np.uint8),
    )
    planes = tuple(
        rng.integers(0, 256, (count, height, width), dtype=np.uint8).view(np.int8 if k % 2 else np.uint8)
        for k, count in enumerate(channels)
    )
    return layer, planes


@given(
    seed=st.integers(0, 99),
    side=st.sampled_from([1, 3]),
    outputs=st.integers(1, 70),
    channels=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    height=st.integers(1, 9),
    width=st.integers(1, 220),
)
@settings(max_examples=150, deadline=None)
def test_convolutions_are_those_of_integers(seed, side, outputs, channels, height, width):
    layer, planes = drawn(seed, side, outputs, channels, height, width)
    packed, truth = kernels.pack(*layer), expected(layer, planes)
    for version in versions():
        sums = np.full((outputs, height, width), -7, np.int32)
        kernels.convolve(packed, planes, slice(0, height), sums, which=version)
        assert np.array_equal(sums, truth)
        clamped = np.full((outputs, height, width), 7, np.uint8)
        kernels.convolve(packed, planes, slice(0, height), clamped, which=version)
        assert np.array_equal(clamped, truth.clip(0, 255))
        for half in range(2):
            found = kernels.interleaved(outputs, height, width)
            found[:] = 7
            kernels.convolve(packed, planes, slice(0, height), found, half=half, which=version)
            meant = np.indices((height, width)).sum(axis=0) % 2 == half
            assert np.array_equal(found, np.where(meant, truth.clip(0, 255), 7))
            assert np.array_equal(convolved(packed, planes, version), truth.clip(0, 255))


def convolved(packed, planes, version):
    """Of planes that lie pixel by pixel."""
    turned = tuple(plane.transpose(1, 2, 0).copy().transpose(2, 0, 1) for plane in planes)
    found = kernels.interleaved(packed.outputs, *planes[0].shape[1:])
    kernels.convolve(packed, turned, slice(0, planes[0].shape[1]), found, which=version)
    return found


@given(
    seed=st.integers(0, 99),
    between=st.one_of(st.none(), st.integers(1, 40)),
    channels=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    height=st.integers(1, 9),
    width=st.integers(1, 220),
)
@settings(deadline=None)
def test_heads_are_those_of_integers(seed, between, channels, height, width):
    first, planes = drawn(seed, 1, between or 6, channels, height, width)
    layers, truth = [first], expected(first, planes)
    if between:
        second, _ = drawn(seed + 1, 1, 6, [between], 1, 1)
        layers, truth = [first, second], expected(second, [truth.clip(0, 255)])
    packed = tuple(kernels.pack(*layer) for layer in layers)
    for version in versions():
        for half in range(2):
            shifts, spreads = (
                np.full((3, height, width), 9, np.int16),
                np.full((3, height, width), 9, np.uint8),
            )
            kernels.head(packed, planes, slice(0, height), half, shifts, spreads, (4095, 63), version)
            meant = np.indices((height, width)).sum(axis=0) % 2 == half
            assert np.array_equal(shifts, np.where(meant, truth[:3].clip(-4095, 4095), 9))
            assert np.array_equal(spreads, np.where(meant, truth[3:].clip(0, 63), 9))


@pytest.mark.parametrize("rows", [slice(0, 5), slice(5, 23), slice(11, 12), slice(40, 40)])
def test_some_rows_are_those_of_the_whole(rows):
    layer, planes = drawn(3, 3, 16, [5], 40, 130)
    out = np.full((16, rows.stop - rows.start + 2, 130), 99, np.uint8)
    top = max(0, rows.start - 1)
    kernels.convolve(kernels.pack(*layer), planes, rows, out, top)
    inside = slice(rows.start - top, rows.stop - top)
    assert np.array_equal(out[:, inside], expected(layer, planes).clip(0, 255)[:, rows])
    out[:, inside] = 99
    assert (out == 99).all()


@given(
    seed=st.integers(0, 99),
    dtype=st.sampled_from([np.uint8, np.int16]),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
)
@settings(deadline=None)
def test_planes_are_restored_as_numpy_restores_them(seed, dtype, height, width):
    rng = np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    plane = rng.integers(limits.min, limits.max + 1, (height, width)).astype(dtype)
    residual = residuals.predict(plane)
    assert np.array_equal(kernels.restore(residual, dtype), plane)
    anything = rng.integers(0, 2**16, (height, width)).astype(np.int32)
    assert np.array_equal(kernels.restore(anything, dtype), residuals._restored(anything, dtype))


def test_what_does_not_fit_is_refused():
    layer, planes = drawn(0, 3, 8, [4], 6, 7)
    packed = kernels.pack(*layer)
    out = np.zeros((8, 6, 7), np.uint8)
    for rows, into, top in (
        (slice(0, 7), out, 0), (slice(-1, 6), out, 0), (slice(0, 6), out, 1),
        (slice(0, 6), out[:, :5].copy(), 0), (slice(0, 6), out[:7].copy(), 0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"a size is out of range|out has .* bytes, expected"):
            kernels.convolve(packed, planes, rows, into, top)
    with pytest.raises(ValueError, match="more planes than inputs"):
        kernels.convolve(packed, (*planes, planes[0]), slice(0, 6), out)
    with pytest.raises(ValueError, match="shift is more than 31"):
        kernels.convolve(packed._replace(shift=packed.shift + 32), planes, slice(0, 6), out)
    with pytest.raises(ValueError, match="weights has"):
        kernels.convolve(packed._replace(weights=packed.weights[:2]), planes, slice(0, 6), out)
    with pytest.raises(ValueError, match="tiled weights has"):
        kernels.convolve(packed._replace(tiled=packed.tiled[:2]), planes, slice(0, 6), out)
    shifts, spreads = np.zeros((3, 6, 7), np.int16), np.zeros((3, 6, 7), np.uint8)
    small, _ = drawn(0, 1, 6, [4], 6, 7)
    one, two = kernels.pack(*small), kernels.pack(*drawn(0, 1, 6, [10], 6, 7)[0])
    for layers, half, into, largest in (
        ((packed,), 0, shifts, 9), ((one,), 2, shifts, 9), ((one,), 0, shifts[:2].copy(), 9),
        ((one,), 0, shifts, 40_000), ((one, two), 0, shifts, 9),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"out of range|side of 1|bytes, expected"):
            kernels.head(layers, planes, slice(0, 6), half, into, spreads, (largest, 63))


def test_a_version_that_errs_is_not_taken(monkeypatch):
    best = max(versions())
    right = kernels._checksum(0)
    monkeypatch.setattr(kernels, "_checksum", lambda version: right + (version == best))
    kernels.version.cache_clear()
    assert kernels.version() == (best - 1 if best else None)
    monkeypatch.setattr(kernels, "_checksum", lambda version: right + 1)
    kernels.version.cache_clear()
    assert not kernels.are_there()
    monkeypatch.undo()
    kernels.version.cache_clear()
    assert kernels.version() == best


def test_they_can_be_left_out_and_nothing_changes(tmp_path):
    program = (
        "import sys, zlib, numpy as np, crayoncodec\n"
        "from crayoncodec.machine import kernels\n"
        "data = crayoncodec.encode(np.load(sys.argv[1]))\n"
        "print(kernels.are_there(), zlib.crc32(data), zlib.crc32(crayoncodec.decode(data).tobytes()))\n"
    )
    np.save(tmp_path / "photo.npy", photo(90, 140))
    said = [
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / "photo.npy"],
            env=os.environ | {"CRAYONCODEC_NATIVE": native}, capture_output=True, text=True, check=True,
        ).stdout.split()
        for native in ("1", "0")
    ]  # fmt: skip
    assert [found for found, *_ in said] == ["True", "False"]
    assert said[0][1:] == said[1][1:]


def test_sanitizers_find_nothing(tmp_path):
    """Golden files, whole and damaged, and all kinds of shapes, by a build that checks every access."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc")
    library = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    runtime = Path(library.stdout.strip())
    if not runtime.is_absolute():
        pytest.skip("this gcc has no sanitizers")
    machine = ROOT / "crayoncodec/machine"
    module = tmp_path / "_native.abi3.so"
    command = [
        compiler, "-O1", "-g", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
        "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{sysconfig.get_paths()['include']}",
        *map(str, sorted(machine.glob("*.c"))), "-o", str(module),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    environment = os.environ | {
        "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": str(ROOT),
        "PYTHONMALLOC": "malloc",
    }  # fmt: skip

    def run(*command):
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    # Where addresses are random in more bits than this gcc knows, its sanitizer does not start.
    ways = ([shutil.which("setarch"), "-R"], []) if shutil.which("setarch") else ([],)
    way = next((way for way in ways if not run(*way, sys.executable, "-c", "").returncode), None)
    if way is None:
        pytest.skip("the sanitizer does not start here")
    done = run(*way, sys.executable, Path(__file__).with_name("sanitized.py"), module, GOLDEN)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_the_module_that_is_used_is_the_one_that_was_built():
    found = importlib.util.find_spec("crayoncodec.machine._native")
    assert found is not None
    assert found.origin.endswith((".abi3.so", ".pyd"))
    assert Path(found.origin).parent == Path(crayoncodec.__file__).parent / "machine"
