"""Pillow opens, shows and saves .cray files."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pictures
import pytest
from pictures import photo
from PIL import Image, ImageCms, ImageOps

import crayoncodec
from crayoncodec.painting import reduced
from crayoncodec.plugins import pillow as plugin


@pytest.fixture(autouse=True)
def guided():
    plugin.register(color="guided")
    yield
    plugin.register()


saved = partial(pictures.saved, kind="CRAY")


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


def test_n_is_that_of_the_finest_grid():
    for options, n in (({"quality": 80}, 2), ({"color_quality": 10}, 4), ({"n": 5}, 5)):
        data = crayoncodec.encode(photo(30, 40), **options)
        assert crayoncodec.info(data).grids[-1].n == n
        assert Image.open(io.BytesIO(data)).info["n"] == n


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
    again = Image.open(io.BytesIO(saved(image, exif=image.info["exif"], xmp=image.info["xmp"].decode())))
    assert again.info == image.info


PILLOWS = ("PNG", "AVIF", "WEBP", "JPEG", "CRAY")


class TestAsPillowsSavers:
    """What is saved of metadata, beside what Pillow's own savers do with the same call."""

    @pytest.fixture
    def source(self):
        """A picture that lies on its side, with all there is."""
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "maker"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        stream = io.BytesIO()
        picture = Image.fromarray(photo(16, 24))
        picture.save(stream, "WEBP", lossless=True, exif=exif, icc_profile=profile, xmp=b"<x/>")
        return Image.open(stream)

    def again(self, image, kind, **options):
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return Image.open(stream)

    @pytest.mark.parametrize("kind", PILLOWS)
    def test_a_turned_picture_is_not_turned_again(self, source, kind):
        for turned in (source.transpose(Image.Transpose.ROTATE_270), ImageOps.exif_transpose(source)):
            shown = ImageOps.exif_transpose(self.again(turned, kind))
            assert shown.size == turned.size == (16, 24)
            assert np.abs(np.asarray(shown).astype(int) - np.asarray(turned)).mean() < 12

    @pytest.mark.parametrize("kind", PILLOWS)
    def test_exif_is_what_is_given(self, source, kind):
        assert "exif" not in self.again(source, kind).info
        exif = source.getexif()
        assert self.again(source, kind, exif=exif).getexif()[0x010F] == "maker"
        assert self.again(source, kind, exif=exif.tobytes()).getexif()[0x010F] == "maker"
        assert "exif" not in self.again(source, kind, exif=b"").info

    @pytest.mark.parametrize("kind", ["PNG", "AVIF", "CRAY"])
    def test_a_profile_stays_unless_it_is_none(self, source, kind):
        assert self.again(source, kind).info["icc_profile"] == source.info["icc_profile"]
        for none in (None, b""):
            assert "icc_profile" not in self.again(source, kind, icc_profile=none).info

    @pytest.mark.parametrize("kind", ["AVIF", "WEBP", "JPEG", "CRAY"])
    def test_xmp_is_what_is_given(self, source, kind):
        assert "xmp" not in self.again(source, kind).info
        assert self.again(source, kind, xmp=b"<y/>").info["xmp"] == b"<y/>"

    def test_none_of_anything_is_nothing(self, source):
        assert set(self.again(source, "CRAY", exif=None, xmp=None, icc_profile=None).info) == {"n"}

    def test_places_alone_are_saved(self):
        """Image.Exif is empty where there are only such tables in it."""
        exif = Image.Exif()
        exif.get_ifd(0x8825)[1] = "N"
        found = self.again(Image.fromarray(photo(8, 8)), "CRAY", exif=exif)
        assert found.getexif().get_ifd(0x8825) == {1: "N"}

    @pytest.mark.parametrize("kind", PILLOWS)
    def test_options_of_others_are_ignored(self, kind):
        self.again(Image.fromarray(photo(8, 8)), kind, bogus=3, optimize=True)


def test_threads_load_a_picture_once(monkeypatch):
    data, calls = crayoncodec.encode(photo(60, 80)), []
    decode = plugin._decoder.picture

    def slow(given):
        calls.append(given)
        time.sleep(0.05)
        return decode(given)

    monkeypatch.setattr(plugin._decoder, "picture", slow)
    image, start = Image.open(io.BytesIO(data)), threading.Barrier(8)

    def load(_):
        start.wait(60)
        return np.asarray(image).tobytes()

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(load, range(8)))
    assert found == {crayoncodec.decode(data, color="guided").tobytes()}
    assert len(calls) == 1


@pytest.mark.parametrize("kind", ["CRAY", "PNG"])
def test_resolution_is_what_is_given(kind):
    first, second = io.BytesIO(), io.BytesIO()
    Image.fromarray(photo(20, 30)).save(first, kind, dpi=(300, 150))
    image = Image.open(first)
    assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)
    image.save(second, kind)
    assert "dpi" not in Image.open(second).info
    third = io.BytesIO()
    image.save(third, kind, dpi=(0, 0))
    assert Image.open(third).info.get("dpi", (0, 0)) == (0, 0)


def test_one_picture_with_save_all_and_not_more():
    image, other = Image.fromarray(photo(8, 8)), Image.fromarray(photo(8, 8, seed=1))
    assert saved(image, save_all=True) == saved(image)
    with pytest.raises(ValueError, match="file has one picture"):
        saved(image, save_all=True, append_images=[other])
    stream = io.BytesIO()
    image.save(stream, "GIF", save_all=True, append_images=[other])
    with pytest.raises(ValueError, match="file has one picture"):
        saved(Image.open(stream), save_all=True)


def test_nothing_is_left_of_what_cannot_be_saved(tmp_path):
    path = tmp_path / "new.cray"
    with pytest.raises(ValueError, match="quality is 101"):
        Image.fromarray(photo(8, 8)).save(path, quality=101)
    assert not path.exists()


def test_limits_hold_for_all_of_it():
    data = crayoncodec.encode(photo(30, 40), xmp=b"x" * 5000)
    opened = Image.open(io.BytesIO(data))
    plugin.register(color="guided", limits=crayoncodec.Limits(pixels=1000))
    with pytest.raises(OSError, match="1200 pixels"):
        Image.open(io.BytesIO(data))
    with pytest.raises(OSError, match="1200 pixels"):
        opened.verify()
    with pytest.raises(OSError, match="1200 pixels"):
        opened.load()
    plugin.register(color="guided", limits=crayoncodec.Limits(metadata=4000))
    with pytest.raises(OSError, match="4000 bytes"):
        Image.open(io.BytesIO(data))
    plugin.register(color="guided")
    Image.open(io.BytesIO(data)).verify()


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


@pytest.mark.parametrize("dpi", [300, (300,), (-1, -1), (float("inf"), 72), (float("nan"), 72), (1e12, 72)])
def test_a_resolution_that_cannot_be_written_is_refused(dpi):
    with pytest.raises(ValueError, match=r"dpi is .*, expected two numbers above 0"):
        Image.new("RGB", (4, 3)).save(io.BytesIO(), "CRAY", dpi=dpi)


@pytest.fixture(scope="module")
def data():
    return crayoncodec.encode(photo(299, 421), quality=90)


class TestDraft:
    """Pictures that are decoded smaller, as Pillow has it of JPEG files."""

    SIZE = (421, 299)

    @pytest.fixture
    def asked(self, monkeypatch):
        """What is decoded: scale and spacing of the colours; a network is not."""
        found = []

        def colors(lightness, grid, scale):
            found.append((scale, grid.spacing))
            return recolorize(lightness, grid, scale)

        recolorize = reduced.recolorize
        monkeypatch.setattr(reduced, "recolorize", colors)
        monkeypatch.setattr(crayoncodec.Decoder, "network", lambda *_: pytest.fail("a network was asked for"))
        return found

    @pytest.mark.parametrize(
        ("size", "scale"),
        [((421, 299), 1), ((211, 1), 1), ((210, 149), 2), ((106, 70), 2), ((105, 70), 4), ((40, 37), 8)],
    )
    def test_it_answers_as_that_of_a_jpeg_file(self, data, size, scale):
        jpeg = Image.open(io.BytesIO(pictures.saved(Image.new("RGB", self.SIZE), "JPEG")))
        image = Image.open(io.BytesIO(data))
        expected = jpeg.draft(None, size)
        assert expected[1] == (0, 0, 421 / scale, 299 / scale)
        assert image.draft(None, size) == (None if scale == 1 else expected)
        assert image.size == jpeg.size
        assert image.draft(None, (1, 1)) == (("RGB", (0, 0, 421 / 16, 299 / 16)) if scale == 1 else None)

    @pytest.mark.parametrize("color", ["auto", "neural", "guided"])
    def test_thumbnails_take_the_short_way(self, data, asked, color):
        plugin.register(color=color)
        for size, scale in {(70, 70): 2, (35, 35): 4, (18, 18): 8, (9, 9): 16}.items():
            image = Image.open(io.BytesIO(data))
            whole = Image.fromarray(crayoncodec.decode(data, color="guided"))
            image.thumbnail(size)
            whole.thumbnail(size, reducing_gap=None)
            assert image.size == whole.size
            difference = np.asarray(image).astype(int) - np.asarray(whole)
            assert np.abs(difference).mean() < 2
            assert asked.pop() == (scale, 2 * scale)
            assert not asked

    def test_of_a_coarser_grid_and_of_fewer_levels(self, data, asked):
        image = Image.open(io.BytesIO(crayoncodec.encode(photo(299, 421), n=6)))
        image.draft(None, (100, 70))
        image.load()
        plugin.register(levels=2)
        image = Image.open(io.BytesIO(data))
        image.draft(None, (100, 70))
        image.load()
        assert asked == [(4, 6), (4, 64)]

    def test_grey_stays_grey(self, data):
        plugin.register(color="gray")
        image = Image.open(io.BytesIO(data))
        image.draft(None, (100, 70))
        assert np.array_equal(np.asarray(image), crayoncodec.decode(data, color="gray", scale=4))

    @pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
    def test_modes_stay(self, mode):
        data = saved(Image.fromarray(photo(70, 90)).convert(mode))
        image = Image.open(io.BytesIO(data))
        assert image.draft("L", (40, 30))[0] == mode
        image.load()
        assert (image.mode, image.size) == (mode, (45, 35))

    def test_what_comes_too_late_or_says_nothing_changes_nothing(self, data):
        image = Image.open(io.BytesIO(data))
        assert image.draft("L", None) is None
        assert image.draft(None, (0, 0)) is not None
        assert image.size == (27, 19)
        loaded = Image.open(io.BytesIO(data))
        loaded.load()
        assert loaded.draft(None, (10, 10)) is None
        assert pickle.loads(pickle.dumps(loaded)).draft(None, (10, 10)) is None
        assert loaded.size == self.SIZE

    def test_scale_is_not_for_all(self, data):
        with pytest.raises(ValueError, match="scale is 4, expected none: draft"):
            plugin.register(scale=4)
        assert np.asarray(Image.open(io.BytesIO(data))).shape == (299, 421, 3)

    def test_damaged_files_and_limits(self, data):
        damaged = bytearray(data)
        damaged[-20] ^= 1
        image = Image.open(io.BytesIO(damaged))
        with pytest.raises(OSError, match="CRC-32"):
            image.thumbnail((20, 20))
        image = Image.open(io.BytesIO(data))
        plugin.register(limits=crayoncodec.Limits(pixels=1000))
        with pytest.raises(OSError, match="125879 pixels"):
            image.thumbnail((20, 20))
