"""Commands that show results and pictures, and the one that times archives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from invoked import invoke
from pictures import photo
from PIL import Image

from benchmarks.codecs import CODECS
from benchmarks.measuring import results
from benchmarks.measuring.dataset import Dataset
from benchmarks.measuring.results import Results, Row
from benchmarks.programs import portrait
from benchmarks.tables import one_grid

ROOT = Path(__file__).parents[2]


def test_compare_shows_what_changed_on_common_pictures(saved):
    first = saved(
        Row("files", "x", "q=1", "a", {"bpp": 2.0, "psnr_rgb": 30.0}),
        Row("files", "x", "q=1", "b", {"bpp": 9.0, "psnr_rgb": 10.0}),
        name="1.json",
    )
    second = saved(Row("files", "x", "q=1", "a", {"bpp": 1.5, "psnr_rgb": 30.0}), name="2.json")
    shown = invoke("compare", first, second).stdout
    assert "| files | x | q=1 | bpp | 2 | 1.5 | −25.0 % | 1 |" in shown
    assert "1 rows in both, 1 in the first alone, 0 in the second alone; 1 of 2 means are equal." in shown


def test_contact_sheet_of_what_is_no_picture(folder, tmp_path):
    done = invoke("sheet", folder / "broken.jpg", "--out", tmp_path / "x.png", code=1)
    assert len(done.stderr.splitlines()) == 1
    assert "broken.jpg: " in done.stderr
    assert not (tmp_path / "x.png").exists()


def test_contact_sheet_has_the_original_and_every_spacing(folder, tmp_path):
    invoke("sheet", folder / "a.png", "--out", tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    assert sheet.shape == (3 * (40 + 18), 3 * 56, 3)
    panels = [sheet[58 * row + 18 : 58 * row + 58, 56 * column : 56 * column + 56] for row in range(3)
              for column in range(3)]  # fmt: skip
    assert np.array_equal(panels[0], photo(40, 56))
    errors = [np.square(panel.astype(float) - panels[0]).mean() for panel in panels[1:]]
    assert 0 < errors[0] < errors[-1]


def test_the_portrait_is_what_the_program_draws(tmp_path):
    invoke("portrait", "--out", tmp_path / "portrait.png")
    paths = tmp_path / "portrait.png", ROOT / "docs" / "portrait.webp"
    drawn, kept = (np.asarray(Image.open(path)).astype(int) for path in paths)
    assert np.abs(drawn - kept).mean() < 0.1  # a network's last bits depend on the machine


def test_rivals_in_the_portrait_are_no_smaller():
    rgb, codec = photo(96, 128), CODECS["JPEG 4:2:0"]
    quality, file = portrait.at_least(codec, rgb, 2000)
    assert codec.encode(rgb, {"quality": quality}) == file
    assert len(codec.encode(rgb, {"quality": quality - 1})) < 2000 <= len(file)


def test_drawn_pictures_are_measured_like_any_others(tmp_path):
    invoke("graphics", tmp_path / "drawn")
    drawn = Dataset.scan(tmp_path / "drawn")
    assert len(drawn.pictures) == 10
    assert not drawn.skipped
    rows = [
        Row("grids", codec, "n=6", picture, {"ab_mse": error * index})
        for codec, error in (("guided, means", 4.0), ("compact, means", 3.0))
        for index, picture in enumerate(drawn.pictures, start=1)
    ]
    found = Results(drawn.describe(), results.environment())
    found.add(rows)
    assert f"| {drawn.pictures[1]} | 8.00 −25.0 % |" in one_grid.pictures(found)


def test_archives_are_timed(tmp_path):
    Image.fromarray(photo(400, 500)).save(tmp_path / "photo.png")
    out = tmp_path / "archive.json"
    what = ("--part", "small", "--engine", "local", "--small", 4, "--color", "guided")
    invoke("archive", tmp_path, "--out", out, *what)
    encoded, decoded = json.loads(out.read_text())["rates"]
    assert (encoded["command"], decoded["command"]) == ("encode", "decode")
    assert encoded["files"] == decoded["files"] == 4
    assert encoded["megapixels"] == pytest.approx(4 * 0.1024)
