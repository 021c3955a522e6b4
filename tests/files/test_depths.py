"""Pictures of more than eight bits a channel: scaled by the depth that they state, and told."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from pictures import photo, saved
from PIL import Image

from crayoncodec import CrayWarning
from crayoncodec.files import images

PHOTO = photo(12, 20)


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
