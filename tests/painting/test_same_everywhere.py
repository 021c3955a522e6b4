"""A picture is the same to the bit whatever computes it: kernels' versions, NumPy, any number of threads."""

import hashlib
from pathlib import Path

import cv2
import pytest

import crayoncodec
from crayoncodec.machine import kernels

GOLDEN = Path(__file__).parents[1] / "format" / "golden"
PICTURES = {
    ("guided", "nested.cray"): "918777449156ae0d8e8446c08c1e936fe80d0b0c4abd192c798b68173f729590",
    ("neural", "nested.cray"): "dfa8bf1c132ff24bce38219955ccf313597078379b08ee77520e1bc908c9b457",
    ("guided", "nested-coarse.cray"): "18077fc1daf06d6f6c592f685a973715744af53d6acacf2792ce6d91c38beb5b",
    ("neural", "nested-coarse.cray"): "809ae40ea067d4cfc96a831a1ae3f6b7ecf0d38fadff2eed1d58378393b275dc",
    ("guided", "nested-line.cray"): "1e7e22c6c9accc93341d37a44c4679ce3afa504c64f7d34c989e83ce01873d45",
    ("neural", "nested-line.cray"): "50e5e0ba0ed026d97bcd64c2c05ce2d0f65e94101d836961c23cfa36a99c6f2c",
    ("guided", "nested-fine.cray"): "f82829b846b4b2d43be031db86e4cf053d8a7d8ed528aaccaec8db6507ae30ae",
    ("guided", "nested-chunks.cray"): "809c60fb77a387c0cab80723002226d69828855b514bf135f783ef29edfb5f2b",
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
