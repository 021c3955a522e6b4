"""Makes the tests' own modules importable, and signals what they are in a terminal."""

import os
import signal
import sys
from pathlib import Path

import cv2
import pytest

sys.path.insert(0, str(Path(__file__).parent))

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
