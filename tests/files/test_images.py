"""What becomes of pictures as users have them (docs/format.md, section 9), and that it comes back."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from functools import partial

import numpy as np
import pytest
from framing import chunk
from pictures import SRGB, decoded, photo, saved
from PIL import Image

import crayoncodec
from crayoncodec import CrayWarning, ImageError, LimitError, Limits
from crayoncodec.files import images

PHOTO = photo(12, 20)
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]


def cmyk_profile():
    """An ICC profile whose table turns C, M and Y alike into less L*, and K into black."""
    corners = [[k, c, m, y] for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = bytes(v for k, *cmy in corners for v in (round(255 * (1 - k) * (1 - sum(cmy) / 3)), 128, 128))
    identity = [0x10000 * (i % 4 == 0) for i in range(9)]
    lut = struct.pack(">4s4x4B9i", b"mft1", 4, 3, 2, 0, *identity)
    lut += bytes(range(256)) * 4 + table + bytes(range(256)) * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    header = struct.pack(">I4xI4s4s4s12x4s", 144 + len(lut), 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    return header.ljust(68, b"\0") + struct.pack(">3i48x", 0xF6D6, 0x10000, 0xD32D) + tags + lut


@pytest.mark.parametrize(
    ("mode", "data", "rgb", "alpha"),
    [
        ("1", b"\x40", [(0, 0, 0), (255, 255, 255)], None),
        ("L", bytes([7, 200]), [(7, 7, 7), (200, 200, 200)], None),
        ("LA", bytes([7, 100, 200, 0]), [(7, 7, 7), (200, 200, 200)], [100, 0]),
        ("La", bytes([50, 100, 9, 255]), [(127, 127, 127), (9, 9, 9)], [100, 255]),
        ("P", bytes([1, 0]), [(40, 50, 60), (10, 20, 30)], None),
        ("PA", bytes([1, 9, 0, 200]), [(40, 50, 60), (10, 20, 30)], [9, 200]),
        ("RGB", bytes([1, 2, 3, 4, 5, 6]), [(1, 2, 3), (4, 5, 6)], None),
        ("RGBX", bytes([1, 2, 3, 0, 4, 5, 6, 0]), [(1, 2, 3), (4, 5, 6)], None),
        ("RGBA", bytes([1, 2, 3, 0, 4, 5, 6, 7]), [(1, 2, 3), (4, 5, 6)], [0, 7]),
        ("RGBa", bytes([50, 100, 25, 100, 4, 5, 6, 255]), [(127, 255, 63), (4, 5, 6)], [100, 255]),
        ("CMYK", bytes([255, 0, 0, 0, 0, 0, 0, 128]), [(0, 255, 255), (127, 127, 127)], None),
        ("YCbCr", bytes([90, 128, 128, 76, 85, 255]), [(90, 90, 90), (254, 0, 0)], None),
        ("HSV", bytes([0, 255, 255, 85, 255, 255]), [(255, 0, 0), (0, 255, 0)], None),
        ("LAB", bytes([128, 0, 0, 128, 0, 0]), [(119, 119, 119), (119, 119, 119)], None),
    ],
)
def test_modes(mode, data, rgb, alpha):
    image = Image.frombytes(mode, (2, 1), data)
    if mode in ("P", "PA"):
        image.putpalette(bytes([10, 20, 30, 40, 50, 60]))
    picture = images.from_pil(image)
    assert picture.rgb.tolist() == [[list(pixel) for pixel in rgb]]
    assert (None if picture.alpha is None else picture.alpha.tolist()) == (None if alpha is None else [alpha])


@pytest.mark.parametrize(
    ("mode", "transparency", "alpha"),
    [
        ("P", 0, [255, 0]),
        ("P", b"\x20\x40", [64, 32]),
        ("L", 0, [255, 0]),
        ("1", 0, [255, 0]),
        ("RGB", (0, 0, 0), [255, 0]),
    ],
)
def test_transparent_colours_become_alpha(mode, transparency, alpha):
    image = Image.new(mode, (2, 1))
    image.putpixel((0, 0), (255, 0, 0) if mode == "RGB" else 1)
    if mode == "P":
        image.putpalette(bytes([10, 20, 30, 40, 50, 60]))
    picture = images.open_picture(saved(image, transparency=transparency))
    assert picture.alpha.tolist() == [alpha]


@pytest.mark.parametrize(
    ("mode", "given_back"),
    [("1", "L"), ("L", "L"), ("I;16", "L"), ("RGB", "L"), ("P", "L"),
     ("LA", "LA"), ("La", "LA"), ("RGBA", "LA")],
)  # fmt: skip
def test_gray_stays_gray(mode, given_back):
    image = Image.fromarray(PHOTO).convert("L")
    image = image.convert("LA").convert("La") if mode == "La" else image.convert(mode)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "16 bits a channel", CrayWarning)
        data = crayoncodec.encode(image, lossless=True)
        original = images.from_pil(image).rgb
    assert crayoncodec.info(data).grids == ()
    result = decoded(data)
    assert result.mode == given_back
    difference = np.asarray(result.convert("RGB")).astype(int) - original
    assert np.abs(difference).max() <= 1


def test_alpha_and_the_colours_under_it_come_back():
    shade = np.arange(240, dtype=np.uint8).reshape(12, 20) % 7 * 42
    result = decoded(crayoncodec.encode(Image.fromarray(np.dstack([PHOTO, shade])), n=1, quality=100))
    assert result.mode == "RGBA"
    assert np.array_equal(np.asarray(result)[..., 3], shade)
    assert np.abs(np.asarray(result)[shade == 0][:, :3].astype(int) - PHOTO[shade == 0]).mean() < 4


@pytest.mark.parametrize(
    ("mode", "icc", "kept"),
    [("RGB", SRGB, True), ("P", SRGB, True), ("RGBA", SRGB, True), ("L", GRAY, True), ("LA", GRAY, True),
     ("1", GRAY, True), ("I;16", GRAY, True), ("L", SRGB, False), ("CMYK", SRGB, False),
     ("CMYK", GRAY, False)],
)  # fmt: skip
def test_profiles_are_kept_if_they_are_for_the_pictures_channels(mode, icc, kept):
    image = Image.fromarray(PHOTO).convert("L" if mode == "I;16" else "RGB").convert(mode)
    image.info["icc_profile"] = icc
    if kept:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "16 bits a channel", CrayWarning)
            result = decoded(crayoncodec.encode(image))
        assert result.info["icc_profile"] == icc
        assert result.mode.startswith("L") == (icc == GRAY)
    else:
        with pytest.warns(
            CrayWarning, match=f"ICC profile is for {'GRAY' if icc == GRAY else 'RGB'}, left out"
        ):
            assert "icc_profile" not in images.from_pil(image).metadata


@pytest.mark.parametrize("picture", [PHOTO, PHOTO[..., :1].repeat(3, axis=2)], ids=["colours", "grey"])
def test_a_gray_profile_stays_with_grey_pixels_only(picture):
    image = Image.fromarray(picture)
    image.info["icc_profile"] = GRAY
    if picture is PHOTO:
        with pytest.warns(CrayWarning, match="ICC profile is for GRAY, left out"):
            assert images.from_pil(image).metadata == {}
    else:
        assert images.from_pil(image).metadata == {"icc_profile": GRAY}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("icc", [b"profile", SRGB[:100], b"\0" * 128])
def test_unusable_profiles_are_dropped(mode, icc):
    image = Image.fromarray(PHOTO).convert(mode)
    image.info["icc_profile"] = icc
    with pytest.warns(CrayWarning, match="ICC profile is unusable, left out"):
        picture = images.from_pil(image)
    assert picture.metadata == {}
    assert np.array_equal(picture.rgb, np.asarray(image.convert("RGB")))


def test_cmyk_goes_through_its_profile():
    image = Image.frombytes("CMYK", (3, 1), bytes([0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255]))
    image.info["icc_profile"] = cmyk_profile()
    picture = images.from_pil(image)
    # L* 100, 66.7 and 0 without colour; Pillow's formula has cyan in the middle.
    assert np.abs(picture.rgb[0].astype(int) - [[255] * 3, [162] * 3, [0] * 3]).max() <= 2
    assert picture.metadata == {}


def test_cmyk_with_a_profile_that_converts_nothing_goes_by_pillows_formula():
    image = Image.new("CMYK", (1, 1), (255, 0, 0, 0))
    image.info["icc_profile"] = SRGB[:16] + b"CMYK" + SRGB[20:]
    with pytest.warns(CrayWarning, match="ICC profile is unusable, left out"):
        assert images.from_pil(image).rgb.tolist() == [[[0, 255, 255]]]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_first_of_several_frames_is_taken(kind):
    frames = [Image.new("RGB", (16, 16), color) for color in ("#f00", "#0f0", "#00f")]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.warns(CrayWarning, match="3 frames, only the first is stored"):
        picture = images.open_picture(data)
    assert np.abs(picture.rgb.astype(int) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4), bool),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        [[1, 2], [3, 4]],
        None,
        "photo.jpg",
        b"photo",
        Image.new("RGB", (0, 4)),
        Image.new("L", (4, 0)),
    ],
    ids=lambda image: str(image).partition(" at 0x")[0],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ImageError, match=r"image is .*, expected"):
        crayoncodec.encode(image)


def test_arrays_of_any_layout_are_taken():
    wide = np.zeros((12, 20, 8), np.uint8)
    wide[..., ::2] = np.dstack([PHOTO, PHOTO[..., 0]])
    for view, plain in [
        (PHOTO[::-1, ::2], PHOTO[::-1, ::2].copy()),
        (wide[..., ::2], wide[..., ::2].copy()),
        (np.asfortranarray(PHOTO[..., 0]), PHOTO[..., 0].copy()),
    ]:
        assert crayoncodec.encode(view) == crayoncodec.encode(plain)


def from_file(image, limits):
    return images.open_picture(saved(image), limits)


@pytest.mark.parametrize("take", [images.from_any, images.from_pil, from_file])
def test_pictures_over_the_limit_are_refused(take):
    image = Image.fromarray(PHOTO)
    assert take(image, Limits(pixels=240)).rgb.shape == PHOTO.shape
    with pytest.raises(LimitError, match="20 x 12 = 240 pixels, the limit is 239"):
        take(image, Limits(pixels=239))


def test_a_header_that_claims_a_huge_picture_is_refused():
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0))
    with pytest.raises(LimitError, match="40000000000 pixels"):
        images.open_picture(data + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "ICO", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP"])
def test_damaged_pictures_give_our_errors_or_a_picture(kind):
    data = saved(Image.fromarray(PHOTO), kind)
    take = partial(images.open_picture, limits=Limits(pixels=10_000))
    refused = 0
    for at in range(min(len(data), 160)):
        for bad in (data[:at], data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]):
            try:
                take(io.BytesIO(bad))
            except (ImageError, LimitError):
                refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("kind", "depth", "hidden", "pixels", "alpha"),
    [(2, 16, (1000, 2000, 3000), struct.pack(">6H", 1000, 2000, 3000, 40000, 2000, 3000), [0, 255]),
     (0, 16, (1000,), struct.pack(">2H", 1000, 1001), [0, 255]), (0, 2, (1,), b"\x60", [0, 255]),
     (0, 4, (3,), b"\x3c", [0, 255]), (0, 1, (1,), b"\x80", [0, 255]), (0, 8, (7,), b"\x07\x08", [0, 255])],
)  # fmt: skip
def test_the_transparent_colour_of_a_png_is_in_its_own_depth(kind, depth, hidden, pixels, alpha):
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, depth, kind, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(f">{len(hidden)}H", *hidden))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "16 bits a channel", CrayWarning)
        picture = images.open_picture(
            data + chunk(b"IDAT", zlib.compress(b"\0" + pixels)) + chunk(b"IEND", b"")
        )
    assert picture.alpha.tolist() == [alpha]


def test_thumbnails_of_a_camera_are_no_frames():
    frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::2, ::2])]
    data = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    with pytest.warns(CrayWarning, match="2 frames, only the first is stored"):
        images.open_picture(data)
    # The attribute of the second entry, 16 bytes each: a thumbnail of VGA's size.
    start = data.index(b"MPF\0") + 4
    directory = data.index(b"\x02\xb0\7\0", start)
    (entries,) = struct.unpack_from("<I", data, directory + 8)
    thumbnail = bytearray(data)
    struct.pack_into("<I", thumbnail, start + entries + 16, 0x010001)
    assert images.open_picture(bytes(thumbnail)).rgb.shape == PHOTO.shape
