"""Plane and grid coders: what goes in comes out, and what is damaged is refused (docs/format.md, 4 to 6)."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
import zstandard
from coded_planes import PLANE, STREAMS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from memory import at_most
from pictures import photo
from PIL import Image

from crayoncodec import FormatError, ImageError
from crayoncodec.color import cielab
from crayoncodec.format import planes, residuals, uniform

ZSTD = "28b52ffd"


def arrays(dtype, values, *leading):
    sides = st.integers(1, 20)
    shapes = st.tuples(*leading, sides, sides)
    return shapes.flatmap(lambda shape: hnp.arrays(dtype, shape, elements=values))


@pytest.mark.parametrize(
    ("stream", "integers"),
    [
        # Frames with one raw block: header, content size, block size, residuals.
        (f"{ZSTD} 20 06 310000 14 04 00 02 87 70", [[10, 12, 12], [11, 200, 0]]),
        (f"{ZSTD} 20 03 190000 fd 02 00", [[129], [130], [130]]),
        (f"{ZSTD} 20 03 190000 fd 02 00", [[129, 130, 130]]),
        (f"{ZSTD} 20 01 090000 ff", [[128]]),
        # The same with a block of one byte, repeated.
        (f"{ZSTD} 20 06 330000 02", [[1, 2, 3], [2, 3, 4]]),
    ],
)
def test_plane_vectors(stream, integers):
    expected = np.array(integers, np.uint8)
    decoded = planes.decode(bytes.fromhex(stream), "zstd", expected.shape, "plane")
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, expected)


@pytest.mark.parametrize(
    ("stream", "integers"),
    [
        (f"{ZSTD} 20 08 410000 ff 01 02 03 ff 00 00 00", [[[-32768, 32767]], [[1, -1]]]),
        (f"{ZSTD} 20 08 410000 ff 01 02 03 ff 00 00 00", [[[-32768], [32767]], [[1], [-1]]]),
        (f"{ZSTD} 20 04 210000 58 8f 02 01", [[[300]], [[-200]]]),
    ],
)
def test_grid_vectors(stream, integers):
    expected = np.array(integers, np.int16)
    decoded = uniform.decode(bytes.fromhex(stream), "zstd", expected.shape[1:], "grid")
    assert decoded.dtype == np.int16
    assert np.array_equal(decoded, expected)


@settings(deadline=None)
@given(arrays(np.uint8, st.integers(0, 255)), st.sampled_from(planes.LOSSLESS_CODERS))
def test_lossless_planes_come_back(plane, coder):
    stream = planes.encode(plane, coder, None)
    assert np.array_equal(planes.decode(stream, coder, plane.shape, "plane"), plane)


@settings(deadline=None)
@given(arrays(np.int16, st.integers(-(2**15), 2**15 - 1), st.just(2)))
def test_any_grid_comes_back(samples):
    stream, coder = uniform.encode(samples)
    assert np.array_equal(uniform.decode(stream, coder, samples.shape[1:], "grid"), samples)


@settings(deadline=None)
@given(arrays(np.int16, st.integers(-128, 127), st.just(2)))
def test_both_grid_coders_give_back_the_same(samples):
    streams = {
        "zstd": residuals.compress(samples, 3),
        "webp": uniform._encode_webp((samples + 128).astype(np.uint8)),
    }
    for coder, stream in streams.items():
        assert np.array_equal(uniform.decode(stream, coder, samples.shape[1:], "grid"), samples)


def test_the_smaller_grid_coder_is_taken():
    noise = np.random.default_rng(0).integers(-128, 128, (2, 30, 30), np.int16)
    (small, coder), (_, wide) = uniform.encode(noise), uniform.encode(noise * 2)
    assert coder == "webp"
    assert len(small) < len(residuals.compress(noise, 19))
    assert wide == "zstd"


@pytest.mark.parametrize("coder", planes.LOSSY_CODERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 37), (37, 1), (24, 33), (65, 64)])
def test_lossy_planes_come_back_nearly(coder, shape):
    plane = np.ascontiguousarray(photo(*shape)[..., 0])
    decoded = planes.decode(planes.encode(plane, coder, 95), coder, shape, "plane")
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - plane).max() <= 8


@pytest.mark.parametrize("coder", planes.LOSSY_CODERS)
def test_lossy_planes_keep_the_whole_range(coder):
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 8).reshape(32, 64)
    decoded = planes.decode(planes.encode(ramp, coder, 100), coder, ramp.shape, "plane")
    assert np.abs(decoded.astype(int) - ramp).max() <= 2


@pytest.mark.parametrize("coder", STREAMS)
@pytest.mark.parametrize("shape", [(24, 32), (23, 33), (25, 33), (1, 1), (5000, 5000)])
def test_another_size_than_the_header_says_is_refused(coder, shape):
    with at_most(16), pytest.raises(FormatError, match=r"lightness: .* expected \d+"):
        planes.decode(STREAMS[coder], coder, shape, "lightness")


@pytest.mark.parametrize("coder", ["zstd", "webp"])
def test_a_grid_of_another_size_is_refused(coder):
    samples = np.zeros((2, 4, 6), np.int16)
    stream = (
        residuals.compress(samples, 3) if coder == "zstd" else uniform._encode_webp(samples.astype(np.uint8))
    )
    with pytest.raises(FormatError, match=r"grid: .* expected \d+"):
        uniform.decode(stream, coder, (4, 5), "grid")


def bomb(declared, blocks, window=0x48):
    """A zstd frame that says how much it holds and holds 128 KiB in each block of four bytes."""
    block = struct.pack("<I", 131072 << 3 | 1 << 1)
    frame = bytes.fromhex(ZSTD) + bytes([0xC0, window]) + struct.pack("<Q", declared)
    return frame + block * (blocks - 1) + struct.pack("<I", 131072 << 3 | 1 << 1 | 1)


@pytest.mark.parametrize(
    "stream",
    [
        bomb(declared=100, blocks=20_000),
        bomb(declared=2**17, blocks=20_000),
        bomb(declared=100, blocks=1, window=0xFF),
        bomb(declared=2**62, blocks=20_000),
        bomb(declared=2**64 - 1, blocks=20_000),
    ],
)
@pytest.mark.parametrize("shape", [(10, 10), (256, 512)])
def test_a_zstd_frame_that_swells_is_given_up(stream, shape):
    tracemalloc.start()
    with at_most(16), pytest.raises(FormatError) as caught:
        planes.decode(stream, "zstd", shape, "plane")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "allocate" not in str(caught.value)
    assert peak < 2**18


def test_a_webp_header_that_lies_is_given_up():
    stream = bytearray(STREAMS["webp"])
    at = stream.index(b"VP8L") + 9
    stream[at : at + 4] = struct.pack("<I", 16382 << 14 | 16382)
    with at_most(16), pytest.raises(FormatError):
        planes.decode(bytes(stream), "webp", PLANE.shape, "plane")


@pytest.mark.parametrize(
    "stream",
    [
        STREAMS["zstd"] + b"!",
        STREAMS["zstd"] * 2,
        STREAMS["zstd"][:-1],
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(PLANE.size)),
        bytes.fromhex("502a4d18 00000000") + STREAMS["zstd"],
        bytes.fromhex(f"{ZSTD} 23 01000000 06 310000 14 04 00 02 87 70"),
    ],
    ids=["more", "twice", "less", "no size", "skippable", "dictionary"],
)
def test_zstd_frames_that_the_format_does_not_know_are_refused(stream):
    with pytest.raises(FormatError, match=r"plane: .*zstd"):
        planes.decode(stream, "zstd", PLANE.shape, "plane")


@pytest.mark.parametrize("coder", STREAMS)
@pytest.mark.parametrize("change", [0xFF, 0x01, 0x80, "cut"])
def test_damaged_codestreams_are_refused_or_decode_to_their_size(coder, change):
    stream, errors = STREAMS[coder], []
    for at in range(len(stream)):
        bad = stream[:at] + (b"" if change == "cut" else bytes([stream[at] ^ change]) + stream[at + 1 :])
        try:
            assert planes.decode(bad, coder, PLANE.shape, "plane").shape == PLANE.shape
        except FormatError as error:
            errors.append(str(error))
    assert len(errors) > (0.9 * len(stream) if change == "cut" else 8)
    assert all(error.startswith("plane: ") and "\n" not in error for error in errors)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*STREAMS]))
def test_garbage_is_refused(garbage, coder):
    with pytest.raises(FormatError, match="plane: "):
        planes.decode(garbage, coder, (10, 10), "plane")


@pytest.mark.parametrize("coder", ["webp", "avif"])
@pytest.mark.parametrize("other", STREAMS)
def test_a_codestream_of_another_coder_is_refused(coder, other):
    if coder != other:
        with pytest.raises(FormatError, match=f"plane: damaged {coder} codestream"):
            planes.decode(STREAMS[other], coder, PLANE.shape, "plane")


def test_what_a_coder_cannot_do_is_said():
    long = np.zeros((1, 16384), np.uint8)
    with pytest.raises(
        ImageError, match=r"webp takes sides up to 16383 and \d+ pixels, found 16384 x 1; zstd"
    ):
        planes.encode(long, "webp", None)
    with pytest.raises(ValueError, match="zstd is not lossy"):
        planes.encode(PLANE, "zstd", 80)
    with pytest.raises(ValueError, match="avif is not lossless"):
        planes.encode(PLANE, "avif", None)
    assert np.array_equal(planes.decode(planes.encode(long, "zstd", None), "zstd", long.shape, "plane"), long)


def test_effort_buys_bytes_of_avif():
    plane = cielab.lightness_to_u8(cielab.rgb_to_lab(photo(160, 200))[0])
    sizes = [len(planes.encode(plane, "avif", 60, effort)) for effort in (1, 5, 9)]
    assert sizes[1] == len(planes.encode(plane, "avif", 60))
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("coder", "quality", "side"),
    [("avif", 60, 32768), ("webp", 60, 16383), ("webp", None, 16383), ("zstd", None, 2**20)],
)
def test_every_coder_gives_back_the_longest_side_that_it_takes(coder, quality, side, turned):
    line = np.arange(side + 1).astype(np.uint8)[None]
    longest, longer = (np.ascontiguousarray(row.T if turned else row) for row in (line[:, :-1], line))
    decoded = planes.decode(planes.encode(longest, coder, quality), coder, longest.shape, "plane")
    assert decoded.shape == longest.shape
    if quality is None:
        assert np.array_equal(decoded, longest)
    if coder != "zstd":  # whose limit is the container's
        assert planes.fits(coder, longest.shape)
        assert not planes.fits(coder, longer.shape)
        with pytest.raises(ImageError, match=f"plane coder {coder} takes sides up to {side} "):
            planes.encode(longer, coder, quality)


@pytest.mark.parametrize(
    ("coder", "shape", "fits"),
    [
        ("avif", (16384, 16384), True),
        ("avif", (16384, 16385), False),
        ("webp", (10923, 16383), True),
        ("webp", (10924, 16383), False),
        ("zstd", (2**20, 2**20), True),
    ],
)
def test_pixels_that_coders_take(coder, shape, fits):
    assert planes.fits(coder, shape) == fits


def restored(residual, dtype):
    """Word for word from docs/format.md, section 6."""
    padded = np.zeros(np.add(residual.shape, 1), dtype)
    for y, x in np.ndindex(residual.shape):
        left, above, corner = (int(padded[at]) for at in ((y + 1, x), (y, x + 1), (y, x)))
        low, high = sorted((left, above))
        predicted = min(max(left + above - corner, low), high)
        padded[y + 1, x + 1] = np.array(int(residual[y, x]) + predicted).astype(dtype)
    return padded[1:, 1:]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 90), (90, 1), (2, 90), (90, 2), (39, 50), (40, 50), (50, 40), (45, 41)]
)
def test_residuals_are_restored_whatever_the_shape(shape, dtype, arithmetic):
    rng = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    for residual in (
        rng.integers(-limits.max // 2, limits.max // 2, shape).astype(np.int32),
        rng.integers(-3, 4, shape).astype(np.int32),
    ):
        found = residuals.restore(residual, dtype)
        assert found.dtype == dtype
        assert np.array_equal(found, restored(residual, dtype))


def test_what_a_library_cannot_code_is_an_image_error(monkeypatch):
    def fails(*_, **__):
        raise ValueError("encoding error 6")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(ImageError, match=r"plane coder webp cannot code 33 x 24 \(encoding error 6\)"):
        planes.encode(PLANE, "webp", 80)
