"""Options that are about files of other formats: --strip, --format, --output-quality, --max-pixels."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import photo
from PIL import Image, ImageCms

import crayoncodec
from crayoncodec.commands.cray import main

PHOTO = photo(24, 40)


def cray(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def camera(tmp_path):
    """A JPEG file as cameras write it: EXIF with a position, sRGB's profile, 72 dpi."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0112], tags[0x011A], tags[0x011B], tags[0x0128] = "Crayon", 6, 72.0, 72.0, 2
    tags.get_ifd(0x8769)[0x9003] = "2026:01:01 10:00:00"
    tags.get_ifd(0x8825)[1] = "N"
    path = tmp_path / "camera" / "camera.jpg"
    path.parent.mkdir()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PHOTO).save(path, quality=95, exif=tags, icc_profile=icc, dpi=(72, 72), xmp=b"<x/>")
    return path


def test_an_ordinary_photograph_goes_there_and_back_without_a_word(camera):
    assert cray("encode", camera, "--quiet").stderr == ""
    coded = camera.with_suffix(".cray")
    with Image.open(camera) as image:
        exif = image.info["exif"]
    for extension in (".jpg", ".png", ".webp"):
        out = camera.with_name(f"out{extension}")
        assert cray("decode", coded, "-o", out, "--color", "guided", "--quiet").stderr == ""
        with Image.open(out) as image:
            assert image.info["exif"].removeprefix(b"Exif\0\0") == exif.removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize(
    ("strip", "metadata", "size"),
    [(["gps"], ["exif", "icc_profile", "xmp"], (40, 24)), (["exif"], ["icc_profile", "xmp"], (24, 40)),
     (["icc", "xmp"], ["exif"], (40, 24)), (["all"], [], (24, 40))],
)  # fmt: skip
def test_strip(command, strip, metadata, size, camera, tmp_path):
    options = [part for name in strip for part in ("--strip", name)]
    coded, out = tmp_path / "a.cray", tmp_path / "a.png"
    cray("encode", camera, "-o", coded, *(options if command == "encode" else []))
    if command == "encode":
        assert sorted(crayoncodec.info(coded).metadata) == metadata
    cray("decode", coded, "-o", out, "--color", "guided", *(options if command == "decode" else []))
    with Image.open(out) as image:
        image.load()
        assert [name for name in ("exif", "icc_profile", "xmp") if name in image.info] == metadata
        assert image.size == size
        if "exif" in metadata:
            assert image.getexif().get_ifd(0x8769) == {0x9003: "2026:01:01 10:00:00"}
            assert image.getexif().get_ifd(0x8825) == ({} if strip == ["gps"] else {1: "N"})


def test_what_cannot_be_stripped_is_a_usage_error(camera):
    assert "'all', 'gps', 'exif', 'xmp', 'icc'" in cray("encode", camera, "--strip", "iptc", code=2).stderr
    with pytest.raises(ValueError, match="strip is 'iptc', expected some of"):
        crayoncodec.encode(PHOTO, strip="iptc")


def test_metadata_given_to_encode_stays_where_the_pictures_own_is_stripped(camera):
    with Image.open(camera) as image:
        data = crayoncodec.encode(image, strip="all", xmp=b"<own/>")
    file = crayoncodec.info(data)
    assert file.metadata == ("xmp",)
    assert (file.width, file.height) == (24, 40)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(None, "PNG"), ("jpg", "JPEG"), (".webp", "WEBP"), ("TIFF", "TIFF"), ("jp2", "JPEG2000")],
)
def test_format_of_standard_output(name, kind, tmp_path):
    coded = tmp_path / "a.cray"
    crayoncodec.write(coded, PHOTO)
    result = cray("decode", coded, "-o", "-", "--color", "guided", *(["--format", name] if name else []))
    with Image.open(io.BytesIO(result.stdout_bytes)) as image:
        assert image.format == kind


def test_format_names_outputs_that_have_no_name_and_leaves_those_that_have(tmp_path):
    coded = tmp_path / "a.cray"
    crayoncodec.write(coded, PHOTO)
    cray("decode", coded, "--format", "webp", "--color", "guided")
    cray("decode", coded, "--format", "webp", "--color", "guided", "-o", tmp_path / "b.bmp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.cray", "a.webp", "b.bmp"]
    for path, kind in ((tmp_path / "a.webp", "WEBP"), (tmp_path / "b.bmp", "BMP")):
        with Image.open(path) as image:
            assert image.format == kind


@pytest.mark.parametrize("name", ["", "txt", "psd", "png/../x"])
def test_formats_that_there_are_not_are_a_usage_error(name, tmp_path):
    coded = tmp_path / "a.cray"
    crayoncodec.write(coded, PHOTO)
    assert f"--format is {name}" in cray("decode", coded, "--format", name, code=2).stderr


def test_output_quality(tmp_path):
    coded, picture = tmp_path / "a.cray", photo(96, 96)
    crayoncodec.write(coded, picture, quality=95)
    exact = crayoncodec.read(coded, color="guided").astype(int)
    sizes, errors = [], []
    for options in ([], ["--output-quality", 95], ["--output-quality", 20]):
        out = tmp_path / "a.jpg"
        cray("decode", coded, "-o", out, "--color", "guided", "--overwrite", *options)
        with Image.open(out) as image:
            assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
            errors.append(np.abs(np.asarray(image) - exact).mean())
        sizes.append(out.stat().st_size)
    assert sizes[0] == sizes[1] > 2 * sizes[2]
    assert errors[0] == errors[1] < 0.6 * errors[2]
    cray("decode", coded, "--output-quality", 101, code=2)


def test_max_pixels_of_every_command(tmp_path):
    picture, coded = tmp_path / "a.png", tmp_path / "a.cray"
    Image.fromarray(PHOTO).save(picture)
    crayoncodec.write(coded, PHOTO)
    for command in (
        ["encode", picture, "-o", tmp_path / "b.cray"],
        ["decode", coded, "-o", tmp_path / "b.png", "--color", "guided"],
        ["info", coded],
        ["info", "--levels", coded],
        ["verify", coded],
        ["compare", picture, coded],
        ["compare", coded, picture],
    ):
        cray(*command, "--max-pixels", 960)
        (tmp_path / "b.cray").unlink(missing_ok=True)
        (tmp_path / "b.png").unlink(missing_ok=True)
        refused = cray(*command, "--max-pixels", 959, code=3)
        assert "40 x 24 = 960 pixels, the limit is 959" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_max_pixels_goes_beyond_what_pillow_takes(tmp_path, monkeypatch):
    picture = tmp_path / "a.tif"
    Image.fromarray(PHOTO).save(picture)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    cray("encode", picture, "--lossless", "--lightness", "zstd")
    assert crayoncodec.info(tmp_path / "a.cray").width == 40


def test_batches_have_the_options_too(camera, tmp_path):
    archive, again = tmp_path / "archive", tmp_path / "again"
    cray("batch", "encode", camera.parent, archive, "--strip", "all", "--max-pixels", 960, "-j", 1)
    assert crayoncodec.info(archive / "camera.cray").metadata == ()
    sizes = []
    for quality in (95, 20):
        cray("batch", "decode", archive, again, "--extension", ".jpg", "--color", "guided",
             "--output-quality", quality, "--overwrite", "-j", 1)  # fmt: skip
        sizes.append((again / "camera.jpg").stat().st_size)
    assert sizes[0] > sizes[1]
    # The options are known again: nothing is done a second time, whatever is refused now.
    assert (
        "0 done, 1 done before"
        in cray(
            "batch", "encode", camera.parent, archive, "--strip", "all", "--max-pixels", 961, "-j", 1
        ).output
    )
    failed = cray("batch", "encode", camera.parent, tmp_path / "b", "--max-pixels", 959, "-j", 1, code=1)
    assert "960 pixels, the limit is 959" in failed.stderr


def test_trees_take_what_plugins_read(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    pytest.importorskip("pillow_jxl")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "out").mkdir()
    for name in ("a.heic", "b.jxl", "c.png"):
        Image.fromarray(photo(64, 64)).save(tree / name)
    (tree / "d.txt").write_text("no picture")
    cray("encode", "-r", tree, "-o", tmp_path / "out/")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.cray", "b.cray", "c.cray"]


def test_plugins_are_loaded_only_when_they_are_needed(tmp_path):
    import subprocess

    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    program = (
        "import sys; from crayoncodec.files import images; "
        "images.open_picture(open(sys.argv[1], 'rb').read()); "
        "assert 'pillow_heif' not in sys.modules and 'pillow_jxl' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.png"], check=True)
