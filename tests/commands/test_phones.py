"""HEIC, which iPhones make, and JPEG XL go into archives and come out again, with what belongs to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commandline import cray
from pictures import SRGB, XMP, photo
from PIL import Image

import crayoncodec
from crayoncodec.files import formats, images, jobs, saving
from crayoncodec.files.metadata import EXIF_PREFIX
from crayoncodec.files.picture import Picture, upright

EXTENSIONS = [
    pytest.param(".heic", marks=pytest.mark.skipif(not formats.reads(".heic"), reason="no pillow-heif")),
    pytest.param(".jxl", marks=pytest.mark.skipif(not formats.reads(".jxl"), reason="no pillow-jxl-plugin")),
]


@pytest.fixture
def camera(tmp_path, monkeypatch):
    """The working folder, and a function that lays a picture there that is to be turned."""
    monkeypatch.chdir(tmp_path)

    def taken(name):
        tags = Image.Exif()
        tags[0x0112], tags[0x010F] = 6, "Crayon"
        metadata = {"exif": tags.tobytes().removeprefix(EXIF_PREFIX), "icc_profile": SRGB, "xmp": XMP}
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(saving.save_picture(Picture(photo(64, 96), None, metadata), path.suffix))

    return taken


def check(path):
    """Whether a file shows that picture, and knows what it knew."""
    with jobs.collected_warnings():
        found = upright(images.open_picture(Path(path).read_bytes()))
    assert b"Crayon" in found.metadata["exif"]
    assert found.metadata["xmp"] == XMP
    assert np.abs(found.rgb.astype(int) - np.rot90(photo(64, 96), -1)).mean() < 8


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(
    "command", [("encode", "-r", "photos", "-o"), ("batch", "encode", "-j", 2, "photos")]
)
def test_pictures_go_in_upright_and_whole(extension, command, camera, tmp_path):
    camera(f"photos/one{extension}")
    camera(f"photos/two{extension}")
    (tmp_path / "archive").mkdir()
    cray(*command, "archive")
    assert sorted(path.name for path in Path("archive").glob("*.cray")) == ["one.cray", "two.cray"]
    cray("decode", "--color", "guided", "archive/one.cray", "-o", "shown.png")
    check("shown.png")


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("command", [("decode",), ("batch", "decode", "-j", 2)])
def test_they_come_out_so(extension, command, camera, tmp_path):
    camera("photos/one.jpg")
    camera("photos/two.jpg")
    cray("batch", "encode", "photos", "archive")
    back = Path("back")
    if command == ("decode",):
        back.mkdir()
        cray("decode", "-r", "archive", "-o", back, "--format", extension[1:])
    else:
        cray(*command, "archive", back, "--extension", extension)
    for name in ("one", "two"):
        check(back / f"{name}{extension}")


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_damaged_ones_are_one_line(extension, camera):
    camera(f"photos/whole{extension}")
    data = Path(f"photos/whole{extension}").read_bytes()
    for size in (20, len(data) // 2, len(data) - 40):
        Path(f"cut{extension}").write_bytes(data[:size])
        refused = cray("encode", f"cut{extension}", "-o", "cut.cray", code=3)
        assert len(refused.stderr.splitlines()) == 1
        assert not Path("cut.cray").exists()


def test_profiles_come_through(camera):
    """Of HEIC, which has a place for them."""
    pytest.importorskip("pillow_heif")
    camera("photos/one.heic")
    cray("encode", "photos/one.heic", "-o", "one.cray")
    cray("decode", "--color", "guided", "one.cray", "-o", "back.heic")
    assert crayoncodec.info("one.cray").metadata == ("exif", "icc_profile", "xmp")
    with Image.open("back.heic") as image:
        assert image.info["icc_profile"] == SRGB
