"""A picture is the same to the bit whatever computes it: kernels' versions, NumPy, any number of threads."""

import hashlib
from pathlib import Path

import cv2
import pytest

import crayoncodec
from crayoncodec.machine import kernels

GOLDEN = Path(__file__).parents[1] / "format" / "golden"
PICTURES = {
    ("guided", "nested.cray"): "c8b39e3628b2f64d9291d637643a7758f282cc5c667a9fe302748f3438495f3d",
    ("neural", "nested.cray"): "7f850c24418a623fd7928e0f469c786ccb89f3a62c917da201d2ff69665eb0e5",
    ("guided", "nested-coarse.cray"): "586697149965163e6b0e9883cfc975e3e1aa5f9b016a885a8366ed7d1417d50b",
    ("neural", "nested-coarse.cray"): "63788f0660fcefd05f07d2bb1fc6c57c08b7410262ab58ad4d21b7e7af6feb04",
    ("guided", "nested-line.cray"): "e39bd5b0a8bb71dbbfb1c04af5d7810f7b81d054dbae606bb4cb0f278c2ac1dd",
    ("neural", "nested-line.cray"): "b51112637916cdba37836113186eb643fbd04fe80db38f4ea2da87eb1b3f9208",
    ("guided", "nested-fine.cray"): "ed30e689078b3dbcff9c57e943521709a8e0632bbec2f7678861064601624dee",
    ("guided", "nested-chunks.cray"): "4d100420b611b0f12b5da26f31dda371ad306d2a580d9d80f6a14bd6430c3d18",
}
"""SHA-256 of what is shown of golden files."""


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield
    cv2.setNumThreads(before)


@pytest.mark.parametrize("version", [None, 0, 1], ids=["numpy", "plain", "fastest"])
@pytest.mark.parametrize(("color", "name"), PICTURES)
def test_pictures(color, name, version, threads, monkeypatch):
    if version is not None and (not kernels.are_there() or version > kernels.version()):
        pytest.skip("there is no such version of the kernels here")
    monkeypatch.setattr(kernels, "version", lambda: version)
    found = crayoncodec.decode((GOLDEN / name).read_bytes(), color=color)
    assert hashlib.sha256(found.tobytes()).hexdigest() == PICTURES[color, name]
