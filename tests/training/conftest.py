"""What is learned from."""

from __future__ import annotations

import pytest
from pictures import photo, png
from PIL import Image
from training_runs import SIDE, packed

from crayoncodec.training import data


@pytest.fixture
def sources(tmp_path):
    """A folder and a tar pack with usable, small, grey and broken pictures."""
    folder = tmp_path / "pictures" / "deep"
    folder.mkdir(parents=True)
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(png(photo(SIDE + seed, SIDE, seed)))
    (folder / "small.png").write_bytes(png(photo(SIDE - 1, SIDE)))
    Image.fromarray(photo(SIDE, SIDE)).convert("L").save(folder / "grey.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    pack = packed(
        tmp_path / "pack.tar", {"a/b.png": png(photo(SIDE, SIDE, 9)), "a/broken.png": b"no picture"}
    )
    return [tmp_path / "pictures", pack]


@pytest.fixture
def dataset(sources, tmp_path):
    return data.open_dataset(sources, tmp_path / "train.lab", SIDE)
