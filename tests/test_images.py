"""What becomes of pictures as users have them (docs/format.md, section 9), and that it comes back."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import suppress
from functools import partial

import cv2
import numpy as np
import pytest
from pictures import photo
from PIL import Image, ImageCms, PngImagePlugin

import crayoncodec
from crayoncodec import CrayWarning, ImageError, LimitError, Limits
from crayoncodec.files import images, metadata, saving
from crayoncodec.format.container import unpack

PHOTO = photo(12, 20)
WORDS = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]


def exif(orientation=6):
    tags = Image.Exif()
    tags[0x010F] = "Crayon"
    tags[0x0112] = orientation
    return tags.tobytes().removeprefix(metadata.EXIF_PREFIX)


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


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decoded(data, extension=".png"):
    """A .cray file as the file that decoding writes, opened."""
    picture = crayoncodec.Decoder(color="guided").picture(data)
    return Image.open(io.BytesIO(saving.save_picture(picture, extension)))


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
    ("mode", "data", "grays", "warning"),
    [
        ("I", struct.pack("=2i", -5, 200), [0, 200], "32-bit integers, taken as 0 to 255"),
        ("I", struct.pack("=2i", 32896, 70000), [128, 255], "32-bit integers, taken as 0 to 65535"),
        ("F", struct.pack("=2f", -3, 127.4), [0, 127], "floating-point numbers, taken as 0 to 255"),
        ("F", struct.pack("=2f", 0.2, 1), [51, 255], "floating-point numbers, taken as 0 to 1;"),
        ("F", struct.pack("=2f", float("nan"), 1e9), [0, 255], "floating-point numbers, taken as 0 to 255"),
        ("I;16", struct.pack("<2H", 32896, 65535), [128, 255], "16 bits a channel, 8 are kept"),
        ("I;16L", struct.pack("<2H", 32896, 65535), [128, 255], "16 bits a channel, 8 are kept"),
        ("I;16B", struct.pack(">2H", 32896, 65535), [128, 255], "16 bits a channel, 8 are kept"),
        ("I;16N", struct.pack("=2H", 127, 128), [0, 0], "16 bits a channel, 8 are kept"),
        ("I;16N", struct.pack("=2H", 129, 386), [1, 2], "16 bits a channel, 8 are kept"),
    ],
)
def test_deep_modes_are_scaled_and_say_so(mode, data, grays, warning):
    with pytest.warns(CrayWarning, match=warning):
        picture = images.from_pil(Image.frombytes(mode, (2, 1), data))
    assert picture.rgb.tolist() == [[[gray] * 3 for gray in grays]]


RAMP = np.linspace(0, 1, 240).reshape(12, 20)


def tiff(values, bits, *, photometric=1, sample_format=1):
    """A grey TIFF file of one strip, little-endian; what it stores is ``values``."""
    height, width = RAMP.shape
    tags = [
        (256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1),
        (278, height), (279, len(values)), (339, sample_format),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(values)) + values + directory + bytes(4)


def packed_12_bits(values):
    first, second = values.reshape(-1, 2).T
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()


def deep(kind, white):
    return np.rint(RAMP * white).astype(kind).tobytes()


DEEP = {
    "12 bits": (tiff(packed_12_bits(np.rint(RAMP * 4095).astype(int)), 12), "12 bits a channel"),
    "16 bits": (tiff(deep("<u2", 65535), 16), "16 bits a channel"),
    "16 bits, white is zero": (tiff(deep("<u2", 65535), 16, photometric=0), "16 bits a channel"),
    "16 bits, signed": (tiff(deep("<i2", 32767), 16, sample_format=2), "taken as 0 to 32767"),
    "32 bits": (tiff(deep("<u4", 2**32 - 1), 32), "32-bit integers, taken as 0 to 4294967295"),
    "32 bits, signed": (tiff(deep("<i4", 2**31 - 1), 32, sample_format=2), "taken as 0 to 2147483647"),
    "32 bits, 16 used": (tiff(deep("<u4", 65535), 32), "32-bit integers, taken as 0 to 65535"),
    "32 bits, 8 used": (tiff(deep("<u4", 255), 32), "32-bit integers, taken as 0 to 255"),
    "float to 1": (tiff(RAMP.astype("<f4").tobytes(), 32, sample_format=3), "taken as 0 to 1;"),
    "float to 1.5": (tiff((RAMP * 1.5).astype("<f4").tobytes(), 32, sample_format=3), "taken as 0 to 1.5;"),
    "float to 255": (tiff((RAMP * 255).astype("<f4").tobytes(), 32, sample_format=3), "taken as 0 to 255;"),
    "float to 65535": (tiff((RAMP * 65535).astype("<f4").tobytes(), 32, sample_format=3), "to 65535;"),
    "PGM to 1023": (b"P5 20 12 1023\n" + deep(">u2", 1023), "10 bits a channel"),
    "PGM to 65535": (b"P5 20 12 65535\n" + deep(">u2", 65535), "16 bits a channel"),
    "PPM to 4095": (
        b"P6 20 12 4095\n" + np.repeat(np.rint(RAMP * 4095).astype(">u2"), 3).tobytes(), "12 bits a channel"
    ),
    "PFM": (b"Pf\n20 12\n-1.0\n" + RAMP[::-1].astype("<f4").tobytes(), "floating-point numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_stated_depths_are_scaled_by(name):
    data, warning = DEEP[name]
    with pytest.warns(CrayWarning, match=warning):
        picture = images.open_picture(data)
    expected = RAMP * 255
    if "white is zero" in name:
        expected = 255 - expected
    assert np.abs(picture.rgb - expected[..., None]).max() <= 1


def test_highlights_of_floating_point_pictures_do_not_make_the_rest_black():
    values = (RAMP * 0.9).astype("<f4")
    values[-1, -1] = 200
    with pytest.warns(CrayWarning, match="taken as 0 to 1;"):
        picture = images.open_picture(tiff(values.tobytes(), 32, sample_format=3))
    assert abs(int(picture.rgb[6, 0, 0]) - 255 * float(values[6, 0])) <= 1


@pytest.mark.parametrize("order", "<>")
def test_planes_of_sixteen_bits_that_are_kept_apart(order):
    height, width, _ = PHOTO.shape
    size = 2 * height * width
    values = (PHOTO.transpose(2, 0, 1) * np.uint16(257)).astype(order + "u2").tobytes()
    offsets = struct.pack(order + "9I", 8, 8 + size, 8 + 2 * size, *[size] * 3, *[16] * 3)
    at = 8 + 3 * size
    tags = [(256, 1, width), (257, 1, height), (258, 3, at + 24), (259, 1, 1), (262, 1, 2), (273, 3, at),
            (277, 1, 3), (278, 1, height), (279, 3, at + 12), (284, 1, 2)]  # fmt: skip
    data = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", at + len(offsets)) + values
    data += offsets + struct.pack(order + "H", len(tags))
    data += b"".join(struct.pack(order + "HHII", tag, 4, count, value) for tag, count, value in tags)
    with pytest.warns(CrayWarning, match="16 bits a channel, 8 are kept"):
        assert np.array_equal(images.open_picture(data + bytes(4)).rgb, PHOTO)


@pytest.mark.parametrize("channels", [3, 4])
def test_whites_of_deep_jpeg_2000_stay_white(channels):
    colors = photo(64, 96)
    picture = np.dstack([colors, colors[..., :1]])[..., :channels].copy()
    picture[:4] = 255
    swapped = np.ascontiguousarray(picture[..., [2, 1, 0, 3][:channels]])
    data = cv2.imencode(".jp2", swapped * np.uint16(257), [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1]
    with pytest.warns(CrayWarning, match="16 bits a channel, 8 are kept"):
        found = images.open_picture(data.tobytes())
    assert np.abs(found.array().astype(int) - picture).max() <= 1


def test_a_dark_picture_of_16_bits_stays_dark():
    with pytest.warns(CrayWarning, match="16 bits a channel"):
        assert images.open_picture(b"P5 20 12 65535\n" + deep(">u2", 200)).rgb.max() == 1


@pytest.mark.parametrize("kind", ["JPEG2000", "PNG", "JXL"])
def test_sixteen_bits_a_channel_are_told(kind):
    if kind == "JXL":
        pytest.importorskip("pillow_jxl")
    with pytest.warns(CrayWarning, match="16 bits a channel, 8 are kept"):
        images.open_picture(saved(Image.fromarray(np.rint(RAMP * 65535).astype(np.uint16)), kind))


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


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_metadata_is_stored_verbatim(kind):
    options = {"exif": metadata.EXIF_PREFIX + exif(), "icc_profile": SRGB, "xmp": WORDS}
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode())
    file = unpack(crayoncodec.encode(Image.open(io.BytesIO(saved(Image.fromarray(PHOTO), kind, **options)))))
    assert file.metadata == {"exif": exif(), "icc_profile": SRGB, "xmp": WORDS}
    # Orientation 6 would have turned it.
    assert (file.header.width, file.header.height) == (20, 12)


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_metadata_is_given_back(extension):
    result = decoded(crayoncodec.encode(PHOTO, exif=exif(), icc_profile=SRGB, xmp=WORDS), extension)
    assert result.info["icc_profile"] == SRGB
    assert result.info["xmp"] == WORDS
    assert result.getexif()[0x010F] == "Crayon"
    if extension == ".tif":  # which Pillow turns as it opens it
        assert result.size == (12, 20)
    else:
        assert result.info["exif"].removeprefix(metadata.EXIF_PREFIX) == exif()
        assert result.getexif()[0x0112] == 6
        assert result.size == (20, 12)


def test_tiffs_come_turned_from_pillow_and_have_no_orientation_left():
    data = saved(Image.fromarray(PHOTO), "TIFF", exif=exif(), icc_profile=SRGB)
    file = unpack(crayoncodec.encode(Image.open(io.BytesIO(data)), lossless=True))
    assert (file.header.width, file.header.height) == (12, 20)
    assert file.metadata["icc_profile"] == SRGB
    tags = Image.Exif()
    tags.load(file.metadata["exif"])
    assert dict(tags) == {0x010F: "Crayon"}


def test_damaged_exif_is_left_out_where_pillow_would_parse_it():
    data = crayoncodec.encode(PHOTO, exif=b"damaged", xmp=WORDS)
    assert decoded(data, ".png").info["exif"] == metadata.EXIF_PREFIX + b"damaged"
    for extension in (".avif", ".tif"):
        with pytest.warns(CrayWarning, match="EXIF is damaged, left out of the (AVIF|TIFF) file"):
            assert decoded(data, extension).info["xmp"] == WORDS


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
    ids=str,
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


def test_more_metadata_than_a_decoder_takes_is_refused():
    crayoncodec.encode(PHOTO, exif=b"II", xmp=b"<x/>", limits=Limits(metadata=6))
    with pytest.raises(LimitError, match="metadata has 6 bytes, the limit is 5"):
        crayoncodec.encode(PHOTO, exif=b"II", xmp=b"<x/>", limits=Limits(metadata=5))


def test_a_header_that_claims_a_huge_picture_is_refused():
    def chunk(kind, payload):
        return (
            struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        )

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


def test_metadata_of_jpeg_2000_lies_in_its_boxes():
    def box(kind, payload, size=None):
        return struct.pack(">I4s", len(payload) + 8 if size is None else size, kind) + payload

    xmp_name = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
    plain = saved(Image.fromarray(PHOTO), "JPEG2000")
    at = plain.index(b"jp2h") - 4
    size = struct.unpack_from(">I", plain, at)[0]
    head = box(b"jp2h", plain[at + 8 : at + size] + box(b"colr", b"\2\0\0" + SRGB))
    more = box(b"uuid", b"JpgTiffExif->JP2" + exif(1)) + box(b"uuid", xmp_name + WORDS) + box(b"free", b"x")
    picture = images.open_picture(plain[:at] + head + more + plain[at + size :])
    assert picture.metadata == {"exif": exif(1), "xmp": WORDS, "icc_profile": SRGB}
    assert np.array_equal(picture.rgb, images.open_picture(plain).rgb)
    assert images.open_picture(plain).metadata == {}
    for broken in (box(b"uuid", b"Jpg", 7), box(b"uuid", b"", 1), box(b"uuid", b"", 2**31)):
        with suppress(ImageError):  # as OpenJPEG sees it; that it ends is enough
            images.open_picture(plain[:at] + head + broken + plain[at + size :])


@pytest.mark.parametrize(
    ("kind", "depth", "hidden", "pixels", "alpha"),
    [(2, 16, (1000, 2000, 3000), struct.pack(">6H", 1000, 2000, 3000, 40000, 2000, 3000), [0, 255]),
     (0, 16, (1000,), struct.pack(">2H", 1000, 1001), [0, 255]), (0, 2, (1,), b"\x60", [0, 255]),
     (0, 4, (3,), b"\x3c", [0, 255]), (0, 1, (1,), b"\x80", [0, 255]), (0, 8, (7,), b"\x07\x08", [0, 255])],
)  # fmt: skip
def test_the_transparent_colour_of_a_png_is_in_its_own_depth(kind, depth, hidden, pixels, alpha):
    def chunk(name, payload):
        return (
            struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))
        )

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, depth, kind, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(f">{len(hidden)}H", *hidden))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "16 bits a channel", CrayWarning)
        picture = images.open_picture(
            data + chunk(b"IDAT", zlib.compress(b"\0" + pixels)) + chunk(b"IEND", b"")
        )
    assert picture.alpha.tolist() == [alpha]


def test_an_ordinary_photograph_loses_nothing_and_says_nothing():
    tags = Image.Exif()
    tags.load(exif())
    for tag, value in ((0x011A, 72.0), (0x011B, 72.0), (0x0128, 2)):
        tags[tag] = value
    options = {"exif": tags, "icc_profile": SRGB, "xmp": WORDS, "dpi": (72, 72)}
    picture = images.open_picture(saved(Image.fromarray(PHOTO), "JPEG", **options))
    assert picture.metadata == {"exif": metadata.exif_bytes(tags), "icc_profile": SRGB, "xmp": WORDS}


@pytest.mark.parametrize(("kind", "dpi"), [("PNG", 300), ("JPEG", 300), ("BMP", 150), ("TIFF", 96)])
def test_resolution_is_kept_as_exif(kind, dpi):
    for more in ({}, {"exif": metadata.EXIF_PREFIX + exif(1)} if kind != "BMP" else {}):
        picture = images.open_picture(saved(Image.fromarray(PHOTO), kind, dpi=(dpi, dpi), **more))
        assert metadata.resolution(picture.metadata) == pytest.approx((dpi, dpi), abs=0.02)
        assert metadata.says_more(picture.metadata["exif"]) == bool(more)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_resolution_that_says_nothing_is_not(kind):
    assert images.open_picture(saved(Image.fromarray(PHOTO), kind)).metadata == {}
    assert images.open_picture(saved(Image.fromarray(PHOTO), kind, dpi=(72, 72))).metadata == {}


def text(**entries):
    info = PngImagePlugin.PngInfo()
    for key, value in entries.items():
        info.add_text(key.replace("_", " "), value, zip="Raw" in key)
    return saved(Image.fromarray(PHOTO), "PNG", pnginfo=info)


def raw_profile(kind, data):
    return text(**{f"Raw_profile_type_{kind}": f"\n{kind}\n{len(data):8}\n{data.hex()}\n"})


@pytest.mark.parametrize("prefix", [b"", metadata.EXIF_PREFIX])
@pytest.mark.parametrize("kind", ["exif", "APP1"])
def test_exif_in_the_text_of_a_png(kind, prefix):
    assert images.open_picture(raw_profile(kind, prefix + exif())).metadata == {"exif": exif()}


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [("xmp", WORDS, {"xmp": WORDS}), ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + WORDS, {"xmp": WORDS}),
     ("icc", SRGB, {"icc_profile": SRGB}), ("icm", SRGB, {"icc_profile": SRGB})],
)  # fmt: skip
def test_other_profiles_in_the_text_of_a_png(kind, data, expected):
    assert images.open_picture(raw_profile(kind, data)).metadata == expected


@pytest.mark.parametrize("value", ["", "exif", "exif x 41", "exif 4 xyz"])
def test_damaged_profiles_in_text_are_told(value):
    with pytest.warns(CrayWarning, match="'Raw profile type exif' is damaged, left out"):
        assert images.open_picture(text(Raw_profile_type_exif=value)).metadata == {}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_xmp_is_stored_as_utf_8(encoding):
    data = saved(Image.fromarray(PHOTO), "JPEG", xmp=WORDS.decode().encode(encoding))
    assert images.open_picture(data).metadata == {"xmp": WORDS}
    assert unpack(crayoncodec.encode(PHOTO, xmp=WORDS.decode().encode(encoding))).metadata == {"xmp": WORDS}


@pytest.mark.parametrize(
    ("data", "name"),
    [(saved(Image.fromarray(PHOTO), "JPEG", comment=b"hello"), "comment"),
     (saved(Image.fromarray(PHOTO), "GIF", comment=b"hello"), "comment"),
     (text(Author="me", Title="it"), r"text \(Author, Title\)"),
     (raw_profile("iptc", b"\x1c\x02\x05\0\1x"), "IPTC"),
     (saved(Image.fromarray(PHOTO), "JPEG", extra=b"\xff\xed\0\x24Photoshop 3.0\0" b"8BIM\4\4\0\0\0\0\0\7"
            b"\x1c\x02\x05\0\2hi\0"), "IPTC"),
     (saved(Image.fromarray(PHOTO), "JPEG", xmp=b'<x hdrgm:Version="1.0"/>'), "gain map")],
)  # fmt: skip
def test_what_is_not_kept_is_named(data, name):
    with pytest.warns(CrayWarning, match=f"^not kept: {name}$"):
        images.open_picture(data)


@pytest.mark.parametrize(
    "data",
    [text(**{"Software": "x", "date:create": "2026", "exif:Make": "x"}),
     saved(Image.fromarray(PHOTO), "JPEG2000"),
     saved(Image.fromarray(PHOTO), "JPEG", extra=b"\xff\xed\0\x21Photoshop 3.0\0" b"8BIM\4\4\0\0\0\0\0\5"
           b"\x1c\x02\0\0\0\0")],
)  # fmt: skip
def test_what_says_nothing_is_not_named(data):
    assert images.open_picture(data).metadata == {}


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


def test_metadata_of_photoshops_files_lies_in_their_resources():
    image = Image.fromarray(PHOTO)
    image.format = "PSD"
    image.resources = [(1005, "", b"x"), (1058, "", exif()), (1060, "", WORDS)]
    assert images.from_pil(image).metadata == {"exif": exif(), "xmp": WORDS}


@pytest.mark.parametrize(("flags", "bits"), [(0x0C, 8), (0x4C, 10), (0x6C, 12)])
def test_the_depth_of_avif_is_in_its_configuration(flags, bits):
    image = Image.fromarray(PHOTO)
    image.format = "AVIF"
    image.fp = io.BytesIO(b"\0\0\0\x0cav1C\x81\x04" + bytes([flags]) + b"\0\0\0\0\x0cav1C\x81\x04\x0c\0")
    if bits == 8:
        assert np.array_equal(images.from_pil(image).rgb, PHOTO)
    else:
        with pytest.warns(CrayWarning, match=f"{bits} bits a channel, 8 are kept"):
            images.from_pil(image)


def test_the_depth_of_heic_is_told():
    heif = pytest.importorskip("pillow_heif")
    deep_rgb = np.repeat(np.rint(RAMP * 1023).astype("<u2"), 3).tobytes()
    stream = io.BytesIO()
    heif.from_bytes("RGB;10", (20, 12), deep_rgb).save(stream, quality=95)
    with pytest.warns(CrayWarning, match="10 bits a channel, 8 are kept"):
        picture = images.open_picture(stream.getvalue())
    assert np.abs(picture.rgb - RAMP[..., None] * 255).mean() < 4
