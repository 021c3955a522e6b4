"""Fixtures of all folders; signals are what they are in a terminal."""

import os
import signal
import sys
from pathlib import Path

import cv2
import pytest
from commandline import PHOTO
from PIL import Image

import crayoncodec
from crayoncodec.machine import kernels

# A background shell hands SIGINT on ignored, and what is ignored stays so in the programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def four_threads():
    """Parts of pictures in four threads, whatever the machine has."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    yield
    cv2.setNumThreads(before)


@pytest.fixture
def close_folders(monkeypatch):
    """A function that has folders whose names end so be closed to trees; permissions do not hold for root."""
    scandir = os.scandir

    def close(*ends):
        def closed(path):
            if str(path).rstrip("/").endswith(ends):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr("crayoncodec.files.jobs.os.scandir", closed)

    return close


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with photo.png, photo.cray, grid.cray (one grid) and damaged.cray in it."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("photo.png")
    data = crayoncodec.encode(PHOTO)
    Path("photo.cray").write_bytes(data)
    Path("grid.cray").write_bytes(crayoncodec.encode(PHOTO, n=20))
    Path("damaged.cray").write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    yield tmp_path
    # Nothing half done is left over.
    assert not [*tmp_path.rglob("*.tmp")]


@pytest.fixture
def without_torch(monkeypatch):
    """As where it is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture(params=["kernels", "numpy"])
def arithmetic(request, monkeypatch):
    """What integers are computed with: the test runs with both."""
    if request.param == "numpy":
        monkeypatch.setattr("crayoncodec.machine.kernels.version", lambda: None)
    elif not kernels.are_there():
        pytest.skip("the kernels were not built")
    return request.param
