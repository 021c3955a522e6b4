"""What nested grids are shown as, to the bit, by the decoder that was written from docs/format.md alone."""

import functools
from pathlib import Path

import numpy as np
import pytest
from framing import chunk
from independent_decoder import decode, read_chunks
from independent_painting import to_rgb

import crayoncodec
from crayoncodec.color.srgb import lab_to_rgb

GOLDEN = sorted((Path(__file__).parent / "golden").glob("nested*.cray"))

CASES = [  # picture, height, width, options
    ("saturated", 1, 1, {}),
    ("saturated", 1, 37, {"quality": 30}),
    ("saturated", 23, 1, {}),
    ("saturated", 33, 50, {"color_quality": 0, "lossless": True}),
    ("saturated", 64, 64, {"quality": 5}),
    ("ramp", 64, 64, {"quality": 30}),
    ("half", 33, 50, {"color_quality": 30}),
]

pytestmark = pytest.mark.usefixtures("arithmetic")


def picture(kind: str, height: int, width: int) -> np.ndarray:
    """u8[H,W,3]: squares of the most saturated colours, a ramp, or one with noise on its left half."""
    rng = np.random.default_rng(height * 1000 + width)
    if kind == "saturated":
        squares = 255 * rng.integers(0, 2, (-(-height // 5), -(-width // 5), 3), dtype=np.uint8)
        squares[0, 0] = 255, 0, 0
        return squares.repeat(5, 0).repeat(5, 1)[:height, :width]
    y, x = np.mgrid[:height, :width] / max(height, width)
    rgb = (255 * np.stack([x, y, (x + y) / 2], -1)).astype(np.uint8)
    if kind == "half":
        rgb[:, : width // 2] = rng.integers(0, 256, (height, width // 2, 3))
    return rgb


@functools.cache
def encoded(kind: str, height: int, width: int, **options: int) -> bytes:
    """A picture's file, of nested grids: with this effort drawings are coded like photographs."""
    return crayoncodec.encode(picture(kind, height, width), effort=4, **options)


@functools.cache
def shown(data: bytes, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Guided and refined by the independent decoder, which is slow and knows one arithmetic."""
    file = decode(data, levels)
    return file.guided_rgb(), file.refined_rgb()


def assert_same_pixels(data: bytes, levels: int = 99) -> tuple[np.ndarray, np.ndarray]:
    """Both decoders show the same picture: guided, and refined."""
    guided, refined = shown(data, levels)
    assert np.array_equal(crayoncodec.decode(data, color="guided", levels=levels), guided)
    assert np.array_equal(crayoncodec.decode(data, color="neural", levels=levels), refined)
    return guided, refined


def changed(data: bytes, number: int, fields: dict[int, bytes]) -> bytes:
    """The file with other fields in one of its GRID chunks, by their offset."""
    chunks = read_chunks(data)
    grid = chunks[f"GRID {number}"]
    for offset, value in fields.items():
        grid = grid[:offset] + value + grid[offset + len(value) :]
    chunks[f"GRID {number}"] = grid
    return data[:8] + b"".join(chunk(name[:4].encode(), payload) for name, payload in chunks.items())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path):
    assert_same_pixels(path.read_bytes())


@pytest.mark.parametrize(("kind", "height", "width", "options"), CASES)
def test_picture(kind, height, width, options):
    assert_same_pixels(encoded(kind, height, width, **options))


def test_texture_is_heard_and_a_ramp_is_not():
    """§14, the gate: the right half is a ramp; sums are of 16 x 16 pixels, and two beside each matter."""
    guided, refined = assert_same_pixels(encoded("half", 70, 131, color_quality=20))
    other = np.any(guided != refined, axis=-1)
    assert other[:, :64].mean() > 0.9
    assert not other[:, 64 + 3 * 16 :].any()


@pytest.mark.parametrize("levels", [1, 3, 6])
def test_first_levels(levels):
    """§14: the step that the network is told is the last chunk's, here of one that is not decoded."""
    data = next(path for path in GOLDEN if path.stem == "nested-chunks").read_bytes()
    _, refined = assert_same_pixels(data, levels)
    coarser = changed(data, 2, {3: (1000).to_bytes(2)})
    _, other = assert_same_pixels(coarser, levels)
    assert not np.array_equal(refined, other)


@pytest.mark.parametrize("step", [1, 5000, 65535])
def test_any_step(step):
    """Colours may be those of no picture, and details too."""
    data = encoded("half", 33, 50, color_quality=60)
    assert_same_pixels(changed(data, 1, {3: step.to_bytes(2)}), levels=6)


@pytest.mark.parametrize("octave", [8, 9, 15])
def test_cells_larger_than_the_picture(octave):
    data = encoded("saturated", 33, 50, color_quality=60)
    assert_same_pixels(changed(data, 1, {2: bytes([16 * octave])}))


@pytest.mark.parametrize("way", [None, 0, 1])
@pytest.mark.parametrize("levels", [5, 6, 7])
def test_default(levels, way):
    """§14, last words: spacings of 8, 4 and 2, and where all levels are decoded, what §1's shoW says."""
    data = told(encoded("half", 33, 50), way)
    guided, refined = assert_same_pixels(data, levels)
    expected = refined if levels < 7 or way == 1 else guided
    assert np.array_equal(crayoncodec.decode(data, levels=levels), expected)
    assert not np.array_equal(guided, refined)


def told(data, way):
    """A file with a shoW chunk of this way, or without one."""
    if b"shoW" in data:
        start = data.index(b"shoW") - 4
        data = data[:start] + data[start + 13 :]
    after_head = 8 + 12 + 13
    more = b"" if way is None else chunk(b"shoW", bytes([way]))
    return data[:after_head] + more + data[after_head:]


@pytest.mark.parametrize("most", [65535, 20000, 3000])
def test_every_colour(most):
    """§7, To RGB in whole numbers: of A and B to their ends, most far outside the gamut."""
    rng = np.random.default_rng(most)
    lightness, ab = rng.integers(0, 256, (100, 300)), rng.integers(-most, most + 1, (2, 100, 300))
    ab[:, 0] = rng.choice([-most, 0, most], (2, 300))
    lightness[1] = 255
    found = lab_to_rgb(lightness.astype(np.uint8), ab.astype(np.int32))
    assert np.array_equal(found, to_rgb(lightness, ab))
