"""Palettes (docs/format.md, section 5): what is coded comes back, what is damaged is refused."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from independent_decoder import decode_palette

from crayoncodec import FormatError
from crayoncodec.format import palette
from crayoncodec.format.palette import Palette

LIGHTNESS = np.array([[7, 7, 9], [9, 7, 200]], np.uint8)
COLORS = Palette(
    np.array([7, 7, 9, 200], np.uint8), np.array([[0, -32768, 5, 300], [1, 32767, -6, -300]], np.int16)
)
INDICES = np.array([[0, 1, 0], [0, 0, 0]], np.uint8)


def stream(count: int, content: bytes) -> bytes:
    return count.to_bytes(2) + zstandard.ZstdCompressor().compress(content)


def content(colors: Palette = COLORS, indices: np.ndarray = INDICES) -> bytes:
    return zstandard.ZstdDecompressor().decompress(palette.encode(colors, indices)[2:])


def test_the_bytes():
    """Lightness; low bytes of a*, of b*; high bytes of both; indices."""
    expected = "07 07 09 c800 00 05 2c 01 ff fa d400 80 00 01 00 7f ff fe00 01 00 00 00 00"
    assert content() == bytes.fromhex(expected)
    assert palette.encode(COLORS, INDICES)[:2] == b"\0\x04"


def test_each_pixel_has_its_color():
    a, b = palette.decode(palette.encode(COLORS, INDICES), LIGHTNESS, "grid")
    assert a.tolist() == [[0, -32768, 5], [5, 0, 300]]
    assert b.tolist() == [[1, 32767, -6], [-6, 1, -300]]


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_any_palette_comes_back(height, width, count, seed):
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.integers(0, 256, count, dtype=np.uint8))
    colors = Palette(levels, rng.integers(-32768, 32768, (2, count), dtype=np.int16))
    lightness = rng.choice(levels, (height, width))
    alike, _ = palette.places(levels)
    indices = (rng.integers(0, 2**16, (height, width)) % alike[lightness] % 256).astype(np.uint8)
    data = palette.encode(colors, indices)
    found = palette.decode(data, lightness, "grid")
    assert found.dtype == np.int16
    assert np.array_equal(found, palette.painted(colors, indices, lightness))
    assert np.array_equal(found, decode_palette(data, lightness))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "palette in 0 bytes, expected at least 2"),
        (b"\0", "palette in 1 bytes"),
        (b"\0\x04", "damaged zstd frame"),
        (stream(3, content()), "zstd frame holds 26 bytes, expected 21"),
        (stream(4, content()[:-1]), "zstd frame holds 25 bytes, expected 26"),
        (stream(4, content() + b"\0"), "zstd frame holds 27 bytes, expected 26"),
        (stream(4, content()) + b"\0", "damaged zstd frame"),
        (stream(0, bytes(6)), "a colour that its lightness does not have"),
        (stream(4, bytes([7, 9, 7, 200]) + content()[4:]), "not in the order of their lightness"),
        (stream(4, content()[:-6] + bytes([2, 0, 0, 0, 0, 0])), "a colour that its lightness does not have"),
        (stream(4, bytes([7, 7, 9, 201]) + content()[4:]), "a colour that its lightness does not have"),
        (stream(65535, bytes(100)), "zstd frame holds 100 bytes, expected 327681"),
    ],
)
def test_what_is_refused(data, text):
    with pytest.raises(FormatError, match=text):
        palette.decode(data, LIGHTNESS, "colour grid")
    with pytest.raises(ValueError, match=r"palette|Zstandard"):
        decode_palette(data, LIGHTNESS)


def test_a_frame_that_swells_is_given_up():
    frame = zstandard.ZstdCompressor().compress(bytes(10**8))
    tracemalloc.start()
    with pytest.raises(FormatError, match="holds 100000000 bytes"):
        palette.decode(b"\0\x04" + frame, LIGHTNESS, "grid")
    assert tracemalloc.get_traced_memory()[1] < 2**18
    tracemalloc.stop()
