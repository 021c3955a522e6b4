"""The archive that tests convert."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import draw


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with three pictures in the folder "in"."""
    monkeypatch.chdir(tmp_path)
    for seed, path in enumerate(("a.png", "deep/er/b.jpg", "deep/c.webp")):
        draw(f"in/{path}", seed)
    Path("in/notes.txt").write_text("not a picture")
