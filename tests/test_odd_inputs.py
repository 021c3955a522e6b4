"""Every file of ../shared/data/odd-inputs does what its INDEX.tsv says, from the command line."""

from __future__ import annotations

import csv
import functools
import io
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from memory import at_most
from PIL import Image, ImageOps

from crayoncodec.commands.cray import main

FOLDER = Path(__file__).parents[2] / "shared/data/odd-inputs"
INDEX = FOLDER / "INDEX.tsv"

pytestmark = pytest.mark.skipif(not INDEX.exists(), reason=f"{FOLDER} is not there")


def listed(outcome):
    with INDEX.open(encoding="utf-8") as stream:
        rows = [*csv.DictReader(stream, delimiter="\t")]
    return [row["file"] for row in rows if row["expected outcome"] == outcome]


ACCEPTED, REFUSED = (listed("accepted"), listed("clear error")) if INDEX.exists() else ([], [])
ORIENTED = [name for name in ACCEPTED if name.startswith("orientation-") and name.endswith(".jpg")]


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    """Name of an input -> the picture that encoding and decoding make of it; each once."""

    @functools.cache
    def make(name):
        coded = tmp_path_factory.mktemp("odd") / "picture.cray"
        for arguments in (
            ["encode", str(FOLDER / name), "-o", str(coded)],
            ["decode", "--color", "guided", str(coded)],
        ):
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 0, result.output
            assert all(": warning: " in line for line in result.stderr.splitlines())
        return Image.open(io.BytesIO(coded.with_suffix(".png").read_bytes()))

    return make


def test_the_index_lists_every_file():
    files = {path.name for path in FOLDER.iterdir()} - {INDEX.name}
    assert {*ACCEPTED, *REFUSED} == files
    assert len(ORIENTED) == 8


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name, decoded):
    with Image.open(FOLDER / name) as image:
        assert decoded(name).size == image.size


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_one_line(name, tmp_path, capfd):
    start = time.perf_counter()
    with at_most(64):
        result = CliRunner().invoke(
            main, ["encode", str(FOLDER / name), "-o", str(tmp_path / "picture.cray")]
        )
    assert time.perf_counter() - start < 3
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 3
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"cray: {FOLDER / name}: ")
    assert capfd.readouterr() == ("", "")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ORIENTED[1:])
def test_orientations_decode_to_the_same_upright_picture(name, decoded):
    first, other = (
        np.asarray(ImageOps.exif_transpose(decoded(each)).reduce(8), np.float32)
        for each in (ORIENTED[0], name)
    )
    assert first.shape == other.shape
    assert np.abs(first - other).mean() < 2


def test_orientation_in_avif_and_webp_stays_a_tag(decoded):
    for name in ("orientation-6.webp", "orientation-irot.avif"):
        with Image.open(FOLDER / name) as image:
            assert decoded(name).getexif()[0x0112] == image.getexif()[0x0112] != 1


@pytest.mark.parametrize(
    ("name", "mode"),
    [("gray-16bit.png", "L"), ("gray-16bit.tif", "L"), ("bilevel.png", "L"), ("icc-gray.jpg", "L"),
     ("icc-bad.jpg", "L"), ("gray-alpha.png", "LA"), ("gray-alpha-16bit-icc.png", "LA"), ("cmyk.jpg", "RGB"),
     ("palette-trns.png", "RGBA"), ("rgba-premultiply-bait.png", "RGBA")],
)  # fmt: skip
def test_channels(name, mode, decoded):
    assert decoded(name).mode == mode


@pytest.mark.parametrize("name", [name for name in ACCEPTED if name.startswith("icc-") and "bad" not in name])
def test_profiles_come_back(name, decoded):
    with Image.open(FOLDER / name) as image:
        assert decoded(name).info["icc_profile"] == image.info["icc_profile"]


@pytest.mark.parametrize("name", ["rgba.png", "gray-alpha.png", "alpha.webp", "palette-alpha.png"])
def test_alpha_comes_back(name, decoded):
    with Image.open(FOLDER / name) as image:
        assert np.array_equal(*(np.asarray(each.convert("RGBA"))[..., 3] for each in (image, decoded(name))))
