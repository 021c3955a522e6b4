"""Pictures -> files of other formats: nothing is lost without a word, and what comes out looks the same."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from pictures import SRGB, XMP, curved_profile, photo
from PIL import Image, ImageOps

from crayoncodec import CrayWarning, ImageError
from crayoncodec.files import formats, images, metadata, saving
from crayoncodec.files.picture import Picture, stripped, upright

PHOTO = photo(24, 40)
EXIF_FORMATS = [".png", ".jpg", ".webp", ".avif", ".tif"]
WITHOUT_EXIF = [".bmp", ".gif", ".ppm", ".jp2", ".tga", ".pcx", ".sgi", ".dds", ".qoi"]
LOSSLESS = [".png", ".tif", ".bmp", ".ppm", ".jp2", ".tga", ".sgi", ".pcx", ".dds", ".qoi"]


def exif(*more, orientation=6):
    tags = Image.Exif()
    tags[0x010F] = "Crayon"
    if orientation is not None:
        tags[0x0112] = orientation
    for tag, value in more:
        tags[tag] = value
    return metadata.exif_bytes(tags)


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def shown(data):
    """What a viewer shows: RGB, turned."""
    return np.asarray(ImageOps.exif_transpose(opened(data)).convert("RGB"))


@pytest.mark.parametrize("extension", LOSSLESS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_shows_the_picture_upright(extension, orientation, recwarn):
    tagged = Picture(PHOTO, None, {"exif": exif(orientation=orientation)})
    upright = np.asarray(ImageOps.exif_transpose(opened(saving.save_picture(tagged, ".png"))).convert("RGB"))
    data = saving.save_picture(tagged, extension)
    assert np.array_equal(shown(data), upright)
    assert (upright.shape == PHOTO.shape) == (orientation < 5)


@pytest.mark.parametrize("extension", [".jxl", ".heic"])
def test_plugins_show_the_picture_upright(extension, recwarn):
    pytest.importorskip("pillow_jxl")
    pytest.importorskip("pillow_heif")
    tagged = Picture(photo(64, 96), None, {"exif": exif(orientation=6), "icc_profile": SRGB, "xmp": XMP})
    data = saving.save_picture(tagged, extension)
    image = opened(data)
    assert image.size == (64, 96)
    assert image.getexif()[0x0112] == 1
    assert image.getexif()[0x010F] == "Crayon"
    assert np.abs(np.asarray(image).astype(int) - np.rot90(tagged.rgb, -1)).mean() < 6
    again = images.open_picture(data)
    assert again.metadata["xmp"] == XMP
    assert metadata.orientation(again.metadata) == 1
    assert again.rgb.shape == (96, 64, 3)


@pytest.mark.parametrize("extension", WITHOUT_EXIF)
def test_metadata_that_a_format_cannot_hold_is_named(extension):
    with pytest.warns(CrayWarning, match="files cannot hold EXIF and XMP, left out") as told:
        saving.save_picture(
            Picture(PHOTO, None, {"exif": exif(), "icc_profile": SRGB, "xmp": XMP}), extension
        )
    assert len(told) == 1


@pytest.mark.parametrize("extension", EXIF_FORMATS)
def test_what_fits_comes_without_a_word(extension):
    dpi = metadata.with_resolution(exif(orientation=None), (300, 300))
    data = saving.save_picture(
        Picture(PHOTO, None, {"exif": dpi, "icc_profile": SRGB, "xmp": XMP}), extension
    )
    image = opened(data)
    assert image.info["icc_profile"] == SRGB
    assert image.info["xmp"] == XMP
    assert image.getexif()[0x010F] == "Crayon"
    assert image.getexif()[0x011A] == 300


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tif", ".bmp"])
def test_resolution_goes_where_the_format_has_it(extension):
    alone = {"exif": metadata.with_resolution(None, (300, 150))}
    assert opened(saving.save_picture(Picture(PHOTO, None, alone), extension)).info["dpi"] == pytest.approx(
        (300, 150), abs=0.02
    )


@pytest.mark.parametrize(("orientation", "dpi"), [(3, (600, 300)), (6, (300, 600))])
def test_resolution_turns_with_the_picture(orientation, dpi):
    turned = metadata.with_resolution(exif(orientation=orientation), (600, 300))
    data = saving.save_picture(Picture(PHOTO, None, {"exif": turned}), ".tif", strip="xmp")
    assert Image.open(io.BytesIO(data)).info["dpi"] == (600, 300)  # as it lies
    standing = upright(Picture(PHOTO, None, {"exif": turned}))
    assert metadata.resolution(standing.metadata) == dpi


def test_resolution_is_named_where_it_has_no_place():
    alone = {"exif": metadata.with_resolution(None, (300, 150))}
    with pytest.warns(CrayWarning, match="GIF files cannot hold resolution, left out"):
        saving.save_picture(Picture(PHOTO, None, alone), ".gif")


@pytest.mark.parametrize("extension", [".bmp", ".ppm", ".tga", ".jp2"])
def test_colours_are_converted_where_there_is_no_place_for_a_profile(extension):
    linear = ((PHOTO / 255) ** 2.2 * 255).astype(np.uint8)
    data = saving.save_picture(Picture(linear, None, {"icc_profile": curved_profile()}), extension)
    difference = shown(data)[linear.min(-1) > 20].astype(int) - PHOTO[linear.min(-1) > 20]
    assert np.abs(difference).mean() < 5
    assert np.abs(linear.astype(int) - PHOTO).mean() > 30


def test_a_grey_profile_does_not_go_into_a_picture_of_three_channels():
    gray = ((PHOTO[..., :1] / 255) ** 2.2 * 255).astype(np.uint8).repeat(3, axis=2)
    picture = Picture(gray, None, {"icc_profile": curved_profile("GRAY")})
    assert opened(saving.save_picture(picture, ".png")).info["icc_profile"] == curved_profile("GRAY")
    assert opened(saving.save_picture(picture, ".avif")).mode == "L"
    for extension, alpha in ((".webp", None), (".webp", PHOTO[..., 0]), (".avif", PHOTO[..., 0])):
        with pytest.warns(CrayWarning, match="the profile for GRAY is left out"):
            data = saving.save_picture(Picture(gray, alpha, picture.metadata), extension, quality=100)
        assert "icc_profile" not in opened(data).info
        assert abs(shown(data).mean() - PHOTO[..., 0].mean()) < 8


STRUCTURE = [
    (256, 4000), (257, 3000), (258, 16), (259, 6), (262, 6), (266, 2), (273, 99), (277, 4), (278, 1),
    (279, 9), (284, 2), (317, 2), (338, 2), (339, 3), (513, 8), (514, 8), (530, (2, 2)), (700, b"<old/>"),
]  # fmt: skip


@pytest.mark.parametrize("tags", [STRUCTURE, *([each] for each in STRUCTURE)], ids=str)
@pytest.mark.parametrize("alpha", [None, PHOTO[..., 0]], ids=["rgb", "rgba"])
def test_tags_of_another_file_do_not_break_tiff(tags, alpha):
    picture = Picture(PHOTO, alpha, {"exif": exif(*tags, (270, "kept"), orientation=None), "xmp": XMP})
    image = opened(saving.save_picture(picture, ".tif"))
    assert np.array_equal(np.asarray(image), picture.array())
    assert image.tag_v2[270] == "kept"
    assert image.info["xmp"] == XMP


def test_directories_within_exif_reach_tiff_and_come_back():
    tags = Image.Exif()
    tags[0x010F] = "Crayon"
    tags.get_ifd(0x8769)[0x9003] = "2026:01:01 10:00:00"
    tags.get_ifd(0x8825)[1] = "N"
    picture = Picture(PHOTO, None, {"exif": metadata.exif_bytes(tags)})
    back = Image.Exif()
    back.load(images.open_picture(saving.save_picture(picture, ".tif")).metadata["exif"])
    assert back[0x010F] == "Crayon"
    assert back.get_ifd(0x8769) == {0x9003: "2026:01:01 10:00:00"}
    assert back.get_ifd(0x8825) == {1: "N"}


def test_long_exif_loses_its_maker_note_in_jpeg_and_nothing_elsewhere():
    tags = Image.Exif()
    tags[0x0112] = 6
    tags.get_ifd(0x8769).update({0x9003: "2026:01:01 10:00:00", 0x927C: bytes(70_000)})
    picture = Picture(PHOTO, None, {"exif": metadata.exif_bytes(tags)})
    assert opened(saving.save_picture(picture, ".png")).info["exif"][6:] == picture.metadata["exif"]
    with pytest.warns(CrayWarning, match="a JPEG file holds 65,527: maker note and thumbnail are left out"):
        image = opened(saving.save_picture(picture, ".jpg"))
    assert image.getexif()[0x0112] == 6
    assert image.getexif().get_ifd(0x8769) == {0x9003: "2026:01:01 10:00:00"}


def test_exif_that_is_too_long_for_jpeg_is_left_out_and_the_picture_turned():
    picture = Picture(PHOTO, None, {"exif": exif((270, "x" * 70_000))})
    with pytest.warns(CrayWarning, match="a JPEG file holds 65,527: left out"):
        image = opened(saving.save_picture(picture, ".jpg"))
    assert "exif" not in image.info
    assert image.size == (24, 40)


@pytest.mark.parametrize("size", [65_504, 65_505, 70_000, 200_000])
def test_long_xmp_is_split_in_jpeg_and_comes_back_whole(size):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    xmp += b" " * (size - len(xmp) - 12) + b"</x:xmpmeta>"
    data = saving.save_picture(Picture(PHOTO, None, {"xmp": xmp}), ".jpg")
    assert (b"http://ns.adobe.com/xmp/extension/\0" in data) == (size > 65_504)
    assert images.open_picture(data).metadata == {"xmp": xmp}


def test_xmp_of_sixteen_bits_is_text_in_png():
    wide = XMP.decode().encode("utf-16")
    assert opened(saving.save_picture(Picture(PHOTO, None, {"xmp": wide}), ".png")).info["xmp"] == XMP


@pytest.mark.parametrize("extension", [".avif", ".tif"])
def test_exif_that_pillow_cannot_read_is_left_out_where_it_would_have_to(extension):
    with pytest.warns(CrayWarning, match="EXIF is damaged, left out of the (AVIF|TIFF) file"):
        saving.save_picture(Picture(PHOTO, None, {"exif": b"II*\0damaged"}), extension)


def test_a_jpeg_file_can_be_opened_whatever_its_exif_has_for_a_resolution():
    record = struct.pack(">HHIHH", 296, 3, 1, 2, 0)
    strange = b"MM\0*\0\0\0\x08\0\2" + struct.pack(">HHI4s", 282, 7, 1, b"odd!") + record + bytes(4)
    image = opened(saving.save_picture(Picture(PHOTO, None, {"exif": strange}), ".jpg"))
    assert image.info["exif"] == metadata.EXIF_PREFIX + strange


@pytest.mark.parametrize("extension", ["", ".", ".nonesuch", ".svg", ".psd"])
def test_extensions_that_pillow_does_not_write_are_refused(extension):
    with pytest.raises(ImageError, match="is no format that Pillow writes"):
        saving.save_picture(Picture(PHOTO), extension)


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize(
    ("extension", "kind"), [(".JPG", "JPEG"), (".bmp", "BMP"), (".ppm", "PPM"), (".pcx", "PCX")]
)
def test_formats_without_transparency_get_none_and_keep_the_rest(extension, kind, channels, recwarn):
    rgb = PHOTO[..., :channels].repeat(3 // channels, axis=2)
    data = saving.save_picture(Picture(rgb, PHOTO[..., 0], {"exif": exif()}), extension)
    assert [str(warning.message) for warning in recwarn if "transparency" in str(warning.message)] == [
        f"{kind} has no transparency, alpha is left out"
    ]
    image = opened(data)
    assert image.mode == ("RGB" if channels == 3 else "L")
    assert (image.getexif().get(0x0112) == 6) == (kind == "JPEG")


def test_grey_pictures_are_written_in_colour_where_there_is_no_grey():
    gray = PHOTO[..., :1].repeat(3, axis=2)
    assert np.array_equal(np.asarray(opened(saving.save_picture(Picture(gray), ".qoi"))), gray)


@pytest.mark.parametrize("colors", [PHOTO, PHOTO[..., :1].repeat(3, axis=2)], ids=["colour", "grey"])
def test_soft_alpha_is_rounded_in_gif_and_told(colors, recwarn):
    soft = np.tile(np.arange(0, 240, 6, dtype=np.uint8), (24, 1))
    hard = np.where(soft < 128, np.uint8(0), np.uint8(255))
    found = np.asarray(opened(saving.save_picture(Picture(colors, hard), ".gif")).convert("RGBA"))
    assert np.array_equal(found[..., 3], hard)
    assert not recwarn
    with pytest.warns(CrayWarning, match="transparent or opaque, alpha is rounded"):
        data = saving.save_picture(Picture(colors, soft), ".gif")
    assert np.array_equal(np.asarray(opened(data).convert("RGBA"))[..., 3], hard)


def test_what_a_library_writes_and_none_reads_is_refused():
    tall = Picture(np.zeros((32769, 2, 3), np.uint8))
    with pytest.raises(ImageError, match=r"written as AVIF: 2 x 32769 pixels could not be read again"):
        saving.save_picture(tall, ".avif")


def test_a_file_of_fewer_pixels_is_named():
    with pytest.warns(CrayWarning, match=r"the ICO file has 128 x 64 pixels, not 400 x 200$"):
        saving.save_picture(Picture(photo(200, 400)), ".ico")


@pytest.mark.parametrize(("extension", "width"), [(".jpg", 65_501), (".webp", 16_384), (".gif", 65_536)])
def test_pictures_too_large_for_a_format_are_refused(extension, width):
    with pytest.raises(ImageError, match=r"cannot be written as (JPEG|WEBP|GIF)"):
        saving.save_picture(Picture(np.zeros((1, width, 3), np.uint8)), extension)


@pytest.mark.parametrize("extension", [".jpg", ".webp", ".avif", ".heic", ".jxl"])
def test_lossy_formats_lose_little_unless_asked_to(extension):
    if extension in (".heic", ".jxl"):
        pytest.importorskip("pillow_heif")
        pytest.importorskip("pillow_jxl")
    picture = Picture(photo(96, 96))
    default, same, low = (
        saving.save_picture(picture, extension, **options)
        for options in ({}, {"quality": 95}, {"quality": 30})
    )
    assert default == same
    assert len(low) < len(default) / 2
    errors = [np.abs(shown(data).astype(int) - picture.rgb).mean() for data in (default, low)]
    assert errors[0] < errors[1]


def test_colours_keep_their_resolution():
    jpeg = opened(saving.save_picture(Picture(PHOTO), ".jpg"))
    assert [component[1:3] for component in jpeg.layer] == [(1, 1)] * 3
    avif = saving.save_picture(Picture(PHOTO), ".avif")
    flags = avif[avif.index(b"av1C") + 6]
    assert flags & 0b1100 == 0  # neither of the two subsampling bits


@pytest.mark.parametrize("quality", [-1, 101, 50.5, "95", None])
def test_qualities_that_there_are_not_are_refused(quality):
    with pytest.raises(ValueError, match="expected a whole number of 0 to 100"):
        saving.save_picture(Picture(PHOTO), ".jpg", quality=quality)


FULL = {"exif": exif(), "icc_profile": SRGB, "xmp": XMP}


@pytest.mark.parametrize(
    ("strip", "left"),
    [((), {"exif", "icc_profile", "xmp"}), ("exif", {"icc_profile", "xmp"}),
     (["xmp"], {"exif", "icc_profile"}),
     (["icc"], {"exif", "xmp"}), (["exif", "icc"], {"xmp"}), ("all", set()), (["gps", "all"], set()),
     ("gps", {"exif", "icc_profile", "xmp"})],
)  # fmt: skip
def test_strip_leaves_out_what_it_names_and_the_picture_looks_the_same(strip, left):
    picture = Picture(PHOTO, PHOTO[..., 0], FULL)
    bare = stripped(picture, strip)
    assert bare.metadata.keys() == left
    turned = "exif" not in left
    assert bare.rgb.shape == ((40, 24, 3) if turned else (24, 40, 3))
    expected = np.rot90(picture.array(), -1) if turned else picture.array()
    assert np.abs(bare.array().astype(int) - expected).max() <= ("icc_profile" not in left)
    if not turned:
        assert metadata.orientation(bare.metadata) == 6
    data = saving.save_picture(picture, ".png", strip=strip)
    assert {name for name in ("exif", "icc_profile", "xmp") if name in opened(data).info} == left


def test_orientation_that_only_xmp_has_is_applied_as_it_goes():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    bare = stripped(Picture(PHOTO, None, {"xmp": xmp}), "xmp")
    assert np.array_equal(bare.rgb, np.rot90(PHOTO, -1))
    # EXIF goes first: what XMP says beside it does not count.
    kept = stripped(Picture(PHOTO, None, {"xmp": xmp, "exif": exif(orientation=3)}), "exif")
    assert np.array_equal(kept.rgb, np.rot90(PHOTO, 2))
    assert metadata.orientation(kept.metadata) == 1


def test_a_profile_that_goes_leaves_its_colours():
    linear = ((PHOTO / 255) ** 2.2 * 255).astype(np.uint8)
    bare = stripped(Picture(linear, None, {"icc_profile": curved_profile()}), "icc")
    assert np.abs(bare.rgb.astype(int) - PHOTO)[linear.min(-1) > 20].mean() < 5
    with pytest.warns(CrayWarning, match="ICC profile is unusable, left out"):
        broken = stripped(Picture(PHOTO, None, {"icc_profile": curved_profile()[:200]}), "icc")
    assert np.array_equal(broken.rgb, PHOTO)


@pytest.mark.parametrize("strip", ["iptc", ["exif", "gsp"], ["ALL"], [1]])
def test_names_that_cannot_be_stripped_are_refused(strip):
    with pytest.raises(ValueError, match="expected some of all, gps, exif, xmp, icc"):
        stripped(Picture(PHOTO), strip)


def test_formats_of_plugins_are_known():
    pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    for extension in (".heic", ".HEIF", ".jxl", ".jpg", ".png"):
        assert formats.reads(extension)
        assert formats.written(extension)
    for extension in ("", ".txt", ".eps", ".mpg", ".pdf"):
        assert not formats.reads(extension)


@pytest.mark.parametrize(("extension", "extra"), [(".heic", "heif"), (".JXL", "jxl")])
def test_outputs_whose_plugin_is_missing_are_named(extension, extra, monkeypatch):
    monkeypatch.setattr(formats, "_load_plugins", lambda: None)
    known = {name: kind for name, kind in Image.EXTENSION.items() if kind not in ("HEIF", "JXL")}
    monkeypatch.setattr(Image, "EXTENSION", known)
    with pytest.raises(ImageError, match=rf"by itself, expected pip install crayoncodec\[{extra}\]"):
        saving.save_picture(Picture(PHOTO), extension)


@pytest.mark.parametrize(("data", "extra"), [(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heif"), (
    b"\xff\x0a" + bytes(20), "jxl")])  # fmt: skip
def test_formats_whose_plugin_is_missing_are_named(data, extra, monkeypatch):
    monkeypatch.setattr(formats, "_load_plugins", lambda: None)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind not in ("HEIF", "JXL", "AVIF")])
    monkeypatch.setattr(Image, "OPEN", {k: v for k, v in Image.OPEN.items() if k not in ("HEIF", "JXL")})
    with pytest.raises(ImageError, match=rf"needs pip install crayoncodec\[{extra}\]"):
        images.open_picture(data)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF", "JPEG2000"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_pillows_limit_does_not_stop_what_ours_allows(kind, compression, monkeypatch):
    stream = io.BytesIO()
    options = {"compression": compression} if kind == "TIFF" and compression else {}
    Image.fromarray(PHOTO).save(stream, kind, **options)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert images.open_picture(stream.getvalue()).rgb.shape == PHOTO.shape
    assert Image.MAX_IMAGE_PIXELS == 100
