"""What the package writes, read by the decoder that was written from docs/format.md alone."""

import struct
from typing import Any

import numpy as np
import pytest
from framing import chunk
from independent_decoder import Decoded, decode, lab_to_rgb
from PIL import Image, ImageCms

import crayoncodec
from crayoncodec.format import container, decoding

# In 8-bit RGB, for one grid. The document promises less: it does not bind its colours to the last bit (§7),
# and 1/1024 of the factor of §2 alone can be several steps of a dark channel. Both sides take a multiple of
# 1/1024.
TOLERANCE = 1

CASES: list[tuple[str, int, int, dict[str, Any]]] = [  # picture, width, height, options
    ("smooth", 1, 1, {"n": 20, "lossless": True}),
    ("smooth", 1, 1, {"n": 1, "lightness": "avif"}),
    ("noise", 1, 7, {"n": 2, "lossless": True, "lightness": "zstd"}),
    ("smooth", 7, 1, {"n": 2, "sampling": "point", "lightness": "webp"}),
    ("noise", 13, 9, {"n": 1, "lossless": True, "lightness": "zstd"}),
    ("blocks", 13, 9, {"n": 5, "sampling": "point", "lossless": True, "lightness": "webp"}),
    ("smooth", 13, 9, {"n": 65535, "sampling": "point"}),
    ("smooth", 13, 9, {"n": 65535, "lossless": True, "lightness": "zstd"}),
    ("smooth", 64, 48, {"n": 5}),
    ("smooth", 64, 48, {"n": 20, "lightness": "webp"}),
    ("smooth", 64, 48, {"n": 2, "sampling": "point", "lossless": True, "step": 1 / 256}),
    ("blocks", 64, 48, {"n": 5, "lossless": True, "lightness": "zstd"}),
    ("blocks", 64, 48, {"n": 1, "lossless": True, "step": 0.5}),
    ("smooth", 50, 37, {"n": 20, "sampling": "point", "lossless": True, "lightness": "zstd"}),
    ("noise", 50, 37, {"n": 5, "sampling": "point", "lossless": True, "step": 3}),
    ("smooth", 50, 37, {"n": 2, "lossless": True}),
    ("smooth", 50, 37, {"n": 100, "lightness": "avif"}),
    ("blocks", 50, 37, {"n": 20, "lossless": True, "step": 255}),
]


YELLOW_FILE = crayoncodec.encode(np.full((8, 8, 3), (254, 251, 0), np.uint8), n=1, lossless=True)


def picture(kind: str, width: int, height: int) -> np.ndarray:
    """u8[H,W,3]."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width] / max(width, height)
    if kind == "noise":
        rgb = rng.integers(0, 256, (height, width, 3))
    elif kind == "blocks":
        cells = 255 * rng.integers(0, 2, (-(-height // 6), -(-width // 6), 3))
        rgb = np.kron(cells, np.ones((6, 6, 1), int))[:height, :width]
    else:
        waves = np.stack([0.5 + 0.5 * np.sin(6 * x + 3 * y), 0.5 + 0.5 * np.cos(5 * y), x * y + 0.2], axis=-1)
        rgb = np.clip(255 * waves + rng.normal(0, 6, waves.shape), 0, 255)
    return rgb.astype(np.uint8)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """§2: f64[3,H,W]."""
    v = rgb / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    r, g, b = np.moveaxis(linear, -1, 0)
    t = np.stack(
        [
            (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
            0.2126 * r + 0.7152 * g + 0.0722 * b,
            (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.0890,
        ]
    )
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def assert_same_pixels(data: bytes) -> Decoded:
    """Both decoders show the same picture."""
    ours, theirs = decode(data), crayoncodec.decode(data, color="guided")
    assert theirs.shape[:2] == ours.lightness.shape
    allowed = 0 if ours.nested_step else TOLERANCE
    assert np.abs(ours.guided_rgb().astype(int) - theirs[..., :3]).max() <= allowed
    if ours.alpha is None:
        assert theirs.shape[2] == 3
    else:
        assert np.array_equal(ours.alpha, theirs[..., 3])
    return ours


def assert_lightness(plane: np.ndarray, rgb: np.ndarray) -> None:
    """§2: L* x 255 / 100 to the nearest integer, either one being good within 0.02 of a tie."""
    exact = rgb_to_lab(rgb)[0] * 2.55
    wrong = plane != np.floor(exact + 0.5)
    tie = np.abs(exact % 1 - 0.5) <= 0.02
    assert not (wrong & ~tie).any()
    assert np.abs(plane - exact).max() <= 0.52


def assert_samples(file: Decoded, rgb: np.ndarray) -> None:
    """Every sample is the mean or the point of its cell (§3) to half a step and the 0.05 of §2."""
    assert file.samples is not None
    lab, n = rgb_to_lab(rgb), file.spacing
    height, width = rgb.shape[:2]
    assert file.samples.shape == (2, -(-height // n), -(-width // n))
    for _, i, j in np.ndindex(1, *file.samples.shape[1:]):
        if file.sampling == 1:
            expected = lab[1:, min(i * n + n // 2, height - 1), min(j * n + n // 2, width - 1)]
        else:
            expected = lab[1:, i * n : (i + 1) * n, j * n : (j + 1) * n].mean(axis=(1, 2))
        error = np.abs(file.samples[:, i, j] * (file.step / 256) - expected)
        assert error.max() <= file.step / 512 + 0.05


@pytest.mark.parametrize(
    ("kind", "width", "height", "options"),
    [
        ("smooth", 1, 1, {}),
        ("noise", 1, 7, {"color_quality": 100}),
        ("smooth", 13, 9, {"quality": 30}),
        ("blocks", 50, 37, {"color_quality": 90, "effort": 1}),
        ("noise", 33, 64, {"color_quality": 0, "lossless": True}),
        ("noise", 40, 31, {"color_quality": 100}),  # escapes, and several chunks
        ("smooth", 300, 133, {}),
        ("blocks", 131, 270, {"effort": 7, "lightness": "avif"}),
    ],
)
def test_nested(kind, width, height, options):
    rgb = picture(kind, width, height)
    data = crayoncodec.encode(rgb, **options)
    file = assert_same_pixels(data)
    container_file = container.unpack(data)
    grid = decoding.decode_grid(container_file, file.lightness)
    assert grid is not None
    assert np.array_equal(grid.samples, file.samples)
    assert (grid.spacing, grid.step) == (file.spacing, 1 / 256)
    lab, shown = rgb_to_lab(rgb), rgb_to_lab(file.guided_rgb())
    grey = np.square(lab[1:]).mean()
    assert np.square(shown[1:] - lab[1:]).mean() < grey


@pytest.mark.parametrize(("kind", "width", "height", "options"), CASES)
def test_picture(kind, width, height, options):
    rgb = picture(kind, width, height)
    file = assert_same_pixels(crayoncodec.encode(rgb, **options))
    assert file.lightness.shape == (height, width)
    assert (file.spacing, file.sampling) == (options["n"], int(options.get("sampling") == "point"))
    assert file.step == round(256 * options.get("step", 1))
    assert_samples(file, rgb)
    if options.get("lossless"):
        assert_lightness(file.lightness, rgb)


@pytest.mark.parametrize("lightness", ["avif", "webp", "zstd"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (13, 9), (50, 37)])
def test_alpha(width, height, lightness):
    alpha = np.random.default_rng(5).integers(0, 256, (height, width, 1), dtype=np.uint8)
    rgba = np.concatenate([picture("smooth", width, height), alpha], axis=-1)
    file = assert_same_pixels(
        crayoncodec.encode(rgba, n=5, lightness=lightness, lossless=lightness == "zstd")
    )
    assert np.array_equal(file.alpha, alpha[..., 0])


@pytest.mark.parametrize("channels", [0, 3, 4])
def test_grey(channels):
    grey = picture("smooth", 50, 37)[..., 0]
    image = np.stack([grey] * channels, axis=-1) if channels else grey
    file = assert_same_pixels(crayoncodec.encode(image, lossless=True))
    assert file.samples is None
    assert_lightness(file.lightness, np.stack([grey] * 3, axis=-1))
    assert np.abs(file.guided_rgb()[..., 0].astype(int) - grey).max() <= 1


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_metadata(prefix):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 6
    tiff = exif.tobytes().removeprefix(b"Exif\0\0")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    image = Image.fromarray(picture("smooth", 13, 9))
    image.info.update(exif=prefix + tiff, icc_profile=profile, xmp=xmp)
    file = assert_same_pixels(crayoncodec.encode(image, n=5))
    assert file.metadata == {"eXIf": tiff, "iCCP": profile, "xMPd": xmp}
    assert file.lightness.shape == (9, 13)  # orientation is not applied
    assert decode(crayoncodec.encode(picture("smooth", 13, 9))).metadata == {}


def test_bright_yellow():
    """§2: towards yellow a line of constant L* and hue leaves the gamut and enters it again."""
    assert_same_pixels(YELLOW_FILE)


def test_gamut():
    """§2, Back: a colour that is far outside nearly keeps L* and hue, one that is just outside nearly all."""
    lab = np.array([[60.0], [90.0], [-120.0]])[..., None]
    light, a, b = rgb_to_lab(lab_to_rgb(lab)).ravel()
    assert light == pytest.approx(60, abs=1.5)
    assert np.degrees(np.arctan2(b, a)) == pytest.approx(np.degrees(np.arctan2(-120, 90)), abs=5)
    assert np.hypot(a, b) < 100
    assert np.abs(decode(YELLOW_FILE).guided_rgb() - np.array([254, 251, 0])).max() <= 2


@pytest.fixture(scope="module")
def small() -> bytes:
    rgba = np.dstack([picture("smooth", 13, 9), np.arange(117, dtype=np.uint8).reshape(9, 13)])
    return crayoncodec.encode(rgba, n=5, lossless=True, lightness="zstd", xmp=b"<x/>")


def test_samples_beyond_128(small):
    """§3: their value is 128, whatever the step makes of them."""
    start = small.index(b"GRID")
    (size,) = struct.unpack(">I", small[start - 4 : start])
    payload = small[start + 4 : start + 8] + b"\xff\xff" + small[start + 10 : start + 4 + size]
    file = assert_same_pixels(small[: start - 4] + chunk(b"GRID", payload) + small[start + 8 + size :])
    assert file.samples is not None
    assert file.step == 65535
    assert np.abs(file.samples).max() > 0


def assert_refused(data: bytes) -> None:
    """By both decoders, each with its own kind of error."""
    with pytest.raises(ValueError, match=r"."):
        decode(data)
    with pytest.raises((crayoncodec.FormatError, crayoncodec.LimitError)):
        crayoncodec.decode(data, color="guided")


def test_truncated(small):
    for size in range(len(small)):
        assert_refused(small[:size])


def test_flipped_byte(small):
    for position in range(len(small)):
        assert_refused(small[:position] + bytes([small[position] ^ 0x21]) + small[position + 1 :])


@pytest.mark.parametrize("version", [0, 1, 2, 3, 255])
def test_other_networks(version):
    """§12: there is one version."""
    data = crayoncodec.encode(picture("smooth", 13, 9))
    start = data.index(b"GRID")
    (size,) = struct.unpack(">I", data[start - 4 : start])
    payload = bytearray(data[start + 4 : start + 4 + size])
    assert payload[1] == 4
    payload[1] = version
    data = data[: start - 4] + chunk(b"GRID", bytes(payload)) + data[start + 8 + size :]
    with pytest.raises(ValueError, match=r"^network$"):
        decode(data)
    with pytest.raises(crayoncodec.FormatError, match=f"network {version}, this crayoncodec has 4$"):
        crayoncodec.decode(data, color="guided")


@pytest.mark.parametrize("tail", [b"\0", chunk(b"CEND", b""), chunk(b"teXt", b"late")])
def test_trailing_bytes(small, tail):
    assert_refused(small + tail)


def test_unknown_chunks(small):
    head = 8 + 12 + 13  # the magic and HEAD
    assert_refused(small[:head] + chunk(b"NEWC", b"?") + small[head:])
    skipped = assert_same_pixels(small[:head] + 2 * chunk(b"newC", b"?") + small[head:])
    assert skipped.metadata == {"xMPd": b"<x/>"}


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, 2), (5, 0), (9, 0), (2, 255), (10, 2), (11, 16), (12, 0), (12, 2)],
)
def test_head_fields(small, offset, value):
    """Major version, empty, huge, transform, depth, number of grids."""
    head = bytearray(small[16:29])
    head[offset] = value
    assert_refused(small[:8] + chunk(b"HEAD", bytes(head)) + small[33:])


def test_minor_version_is_ignored(small):
    head = bytearray(small[16:29])
    head[1] = 9
    assert_same_pixels(small[:8] + chunk(b"HEAD", bytes(head)) + small[33:])
