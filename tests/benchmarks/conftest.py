"""Folders of pictures and files of results."""

from __future__ import annotations

import pytest
from pictures import photo
from PIL import Image

from benchmarks.measuring import results
from benchmarks.measuring.results import Results


@pytest.fixture
def folder(tmp_path):
    """Two pictures, one of them deeper, a broken one, and a file that is none."""
    pictures = tmp_path / "pictures"
    (pictures / "deeper").mkdir(parents=True)
    Image.fromarray(photo(40, 56)).save(pictures / "a.png")
    Image.fromarray(photo(56, 40)[::-1]).save(pictures / "deeper" / "b.png")
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (pictures / "notes.txt").write_text("not looked at")
    return pictures


@pytest.fixture
def photos(tmp_path):
    """A function that makes a folder of so many photographs: 0.png, 1.png ..."""

    def make(count, height, width):
        folder = tmp_path / "photos"
        folder.mkdir()
        for seed in range(count):
            Image.fromarray(photo(height, width, seed)).save(folder / f"{seed}.png")
        return folder

    return make


@pytest.fixture
def saved(tmp_path):
    """A function that writes rows of the pictures a and b to a file of results."""

    def save(*rows, name="x.json"):
        dataset = {
            "folder": "x",
            "crop": 0,
            "sha256": "0",
            "pictures": ["a", "b"],
            "skipped": {"c": "broken"},
        }
        found = Results(dataset, {}, {})
        found.add(rows)
        results.save(found, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def recorded(saved):
    """A function that gives such rows back as they are read from the file."""
    return lambda *rows: results.load(saved(*rows))
