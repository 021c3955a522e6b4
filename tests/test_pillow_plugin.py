"""Pillow opens, shows and saves .cray files."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from pictures import photo
from PIL import Image, ImageCms

import crayoncodec
from crayoncodec.plugins import pillow as plugin


@pytest.fixture(autouse=True)
def guided():
    plugin.register(color="guided")
    yield
    plugin.register()


def saved(image, **options):
    stream = io.BytesIO()
    image.save(stream, "CRAY", **options)
    return stream.getvalue()


def test_open_reads_headers_only_and_load_decodes():
    data = crayoncodec.encode(photo(30, 40), n=6)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size, image.info) == ("CRAY", "RGB", (40, 30), {"n": 6})
    damaged = bytearray(data)
    damaged[-20] ^= 1  # in the lightness plane
    broken = Image.open(io.BytesIO(damaged))
    assert broken.size == (40, 30)
    with pytest.raises(OSError, match="CRC-32"):
        broken.load()
    assert np.array_equal(np.asarray(image), crayoncodec.decode(data, color="guided"))


def test_files_by_extension(tmp_path):
    path = tmp_path / "picture.cray"
    Image.fromarray(photo(30, 40)).save(path, n=3, quality=50, sampling="point")
    found = crayoncodec.info(path)
    assert (found.grids[0].n, found.grids[0].sampling, found.lightness_quality) == (3, "point", 50)
    with Image.open(path) as image:
        assert image.get_format_mimetype() == "image/x-cray"
        assert image.resize((10, 10)).size == (10, 10)


def test_metadata_comes_back():
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(photo(8, 8)), exif=exif, icc_profile=icc, xmp=b"<x/>")
    image = Image.open(io.BytesIO(data))
    assert image.info["icc_profile"] == icc
    assert image.info["xmp"] == b"<x/>"
    assert image.getexif()[0x0112] == 6
    again = Image.open(io.BytesIO(saved(image)))
    assert again.info == image.info


@pytest.mark.parametrize(
    ("mode", "opened"), [("L", "L"), ("LA", "LA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L")]
)
def test_modes(mode, opened):
    source = Image.fromarray(photo(16, 20)).convert("RGBA").convert(mode)
    image = Image.open(io.BytesIO(saved(source, n=2)))
    assert image.mode == opened
    image.load()
    assert image.mode == opened
    assert image.size == source.size


def test_bad_pictures_and_files_give_pillows_errors():
    data = crayoncodec.encode(photo(4, 4))
    with pytest.raises(OSError, match="chunk HEAD at offset 8 claims 13 bytes"):
        Image.open(io.BytesIO(data[:30]))
    Image.open(io.BytesIO(data)).verify()
    damaged = data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]
    with pytest.raises(OSError, match="CRC-32"):
        Image.open(io.BytesIO(damaged)).verify()
    with pytest.raises(ValueError, match="n is 0"):
        saved(Image.fromarray(photo(4, 4)), n=0)


def test_importing_it_is_enough_and_loads_no_torch(tmp_path):
    path = tmp_path / "picture.cray"
    crayoncodec.write(path, photo(9, 9))
    program = (
        "import sys; from PIL import Image; import crayoncodec.plugins.pillow; "
        f"image = Image.open({str(path)!r}); print(image.size, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "(9, 9) False\n"


@pytest.mark.parametrize(
    "options", [{"color_quality": 30}, {"target_size": 900}, {"quality": 40, "effort": 7}]
)
def test_options_of_nested_grids(options):
    image = Image.fromarray(photo(30, 40))
    assert saved(image, **options) == crayoncodec.encode(image, **options)
