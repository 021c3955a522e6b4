"""Colours that are not sRGB's, by what a file says of them, against values computed apart."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from pictures import photo
from PIL import Image, ImageCms

from crayoncodec import CrayWarning
from crayoncodec.color import cielab
from crayoncodec.files import colorspaces, images
from crayoncodec.files.colorspaces import ColorSpace

PHOTO = photo(12, 20)
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
BT709 = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def png(*chunks, picture=PHOTO, **options):
    """A PNG file with chunks before its pixels."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", **options)
    data = stream.getvalue()
    more = b"".join(
        struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        for kind, payload in chunks
    )
    return data[:33] + more + data[33:]


def gama(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(values):
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values))


def cicp(primaries, transfer):
    return b"cICP", bytes([primaries, transfer, 0, 1])


@pytest.mark.parametrize(
    "chunks",
    [[], [gama(1 / 2.2)], [gama(0.45)], [chrm(BT709)], [gama(1 / 2.2), chrm(BT709)], [gama(0)], [cicp(1, 13)],
     [cicp(1, 1)], [cicp(2, 2)], [cicp(6, 6)], [gama(1.0), (b"sRGB", b"\0")], [cicp(1, 13), gama(1.0)]],
)  # fmt: skip
def test_what_is_srgb_stays_without_a_word(chunks):
    assert np.array_equal(images.open_picture(png(*chunks)).rgb, PHOTO)


@pytest.mark.parametrize(("gamma", "name"), [(1.0, "gamma 1 "), (1 / 1.8, "gamma 1.8 ")])
def test_gama_is_applied(gamma, name):
    with pytest.warns(CrayWarning, match=f"colour space is of {name}.*converted to sRGB"):
        rgb = images.open_picture(png(gama(gamma))).rgb
    linear = (PHOTO / 255) ** (1 / gamma)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(rgb - expected).max() <= 1


def test_grey_stays_grey():
    gray = PHOTO[..., :1].repeat(3, axis=2)
    for space in (
        ColorSpace("", P3, 13),
        ColorSpace("", (0.31, 0.316, *P3[2:]), 0, 1.9),
        ColorSpace("", P3, 18),
    ):
        converted = colorspaces.to_srgb(gray, space)
        assert (converted == converted[..., :1]).all()


@pytest.mark.parametrize("chunk", [chrm(P3), cicp(12, 13)])
def test_wide_colours_are_converted(chunk):
    with pytest.warns(CrayWarning, match="converted to sRGB"):
        rgb = images.open_picture(
            png(chunk, picture=np.array([[[255, 0, 0], [200, 190, 180]]], np.uint8))
        ).rgb
    # Display P3 by its published matrix to sRGB.
    linear = np.array([0.5775804, 0.5149177, 0.4564110])
    matrix = [[1.2249, -0.2249, 0], [-0.0420, 1.0421, 0], [-0.0197, -0.0786, 1.0979]]
    expected = cielab.linear_to_rgb((matrix @ linear)[None, None].astype(np.float32))[0, 0]
    assert rgb[0, 0].tolist() == [255, 0, 0]
    assert np.abs(rgb[0, 1].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("transfer", "value", "nits"),
    [
        (16, 148, 203),
        (16, 130, 100),
        (18, 191, 203),
        (18, 128, 51),
    ],  # ITU-R BT.2408, tables 1 and 2, in 8 bits
)
def test_hdr_is_shown_with_its_white_as_white(transfer, value, nits):
    gray = np.full((1, 1, 3), value, np.uint8)
    with pytest.warns(CrayWarning, match=r"BT\.2020 (PQ|HLG), converted to sRGB, what is brighter"):
        rgb = images.open_picture(png(cicp(9, transfer), picture=gray)).rgb
    expected = cielab.linear_to_rgb(np.full((1, 1, 3), nits / 203, np.float32))
    assert np.abs(rgb.astype(int) - expected).max() <= 4  # a step of 8 bits is 3 %


def test_what_says_nothing_of_colours_is_told():
    with pytest.warns(CrayWarning, match="of primaries 99 and transfer 13 .*, taken as sRGB"):
        assert np.array_equal(images.open_picture(png(cicp(99, 13))).rgb, PHOTO)
    with pytest.warns(CrayWarning, match="gamma that is none .gAMA., taken as sRGB"):
        assert np.array_equal(images.open_picture(png((b"gAMA", b"\xff" * 4))).rgb, PHOTO)
    with pytest.warns(CrayWarning, match="cHRM.*taken as sRGB"):
        assert np.array_equal(images.open_picture(png(chrm([0] * 8))).rgb, PHOTO)


def test_a_profile_goes_before_all_but_hdr():
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = images.open_picture(png(cicp(12, 13), icc_profile=icc))
    assert picture.metadata == {"icc_profile": icc}
    assert np.array_equal(picture.rgb, PHOTO)
    with pytest.warns(CrayWarning, match="PQ"):
        assert images.open_picture(png(cicp(9, 16), icc_profile=icc)).metadata == {}


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_code_points_of_avif_and_heic(kind):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    stream = io.BytesIO()
    Image.fromarray(photo(64, 64)).save(stream, kind, quality=90)
    data = stream.getvalue()
    plain = images.open_picture(data).rgb
    at = data.index(b"colrnclx") + 8
    wide = data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :]
    with pytest.warns(CrayWarning, match="colour space is Display P3, converted to sRGB"):
        converted = images.open_picture(wide).rgb
    assert np.abs(converted.astype(int) - colorspaces.to_srgb(plain, ColorSpace("", P3, 13))).max() <= 2
