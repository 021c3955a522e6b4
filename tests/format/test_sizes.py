"""What codestreams of libraries say of their size is known before a library sees them."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from coded_planes import PLANE, STREAMS
from memory import at_most
from pictures import photo
from PIL import Image

from crayoncodec import FormatError
from crayoncodec.format import planes, sizes


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I", len(content) + 8) + kind + content


def avif(sample, size=(33, 24), items=1, extents=1, more_meta=b"", more=b""):
    """A file as libavif writes it, around an AV1 sample."""
    meta = [
        box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", bytes(4), b"\0\1"),
        box(b"iloc", bytes(4), b"\x44\0", struct.pack(">HHHH", items, 1, 0, extents), b"%OFFSET%" * extents),
        box(b"iinf", bytes(4), struct.pack(">H", items),
            box(b"infe", b"\2\0\0\0\0\1\0\0av01Color\0") * items),
        box(b"iprp", box(b"ipco", box(b"ispe", bytes(4), struct.pack(">II", *size)),
                         box(b"pixi", bytes(4), b"\1\x08"), box(b"av1C", b"\x81\0\x1c\0"),
                         box(b"colr", b"nclx\0\1\0\x0d\0\6\x80")),
            box(b"ipma", bytes(4), struct.pack(">IHB", 1, 1, 4), b"\1\2\x83\4")),
    ]  # fmt: skip
    head = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf") + box(b"meta", bytes(4), *meta, more_meta) + more
    place = struct.pack(">II", len(head) + 8, len(sample))
    return head.replace(b"%OFFSET%", place) + box(b"mdat", sample)


SAMPLE = STREAMS["avif"][STREAMS["avif"].index(b"mdat") + 4 :]
"""Delimiter, sequence header and frame."""
SEQUENCE = SAMPLE[2 : 4 + SAMPLE[3]]
FRAME = SAMPLE[len(SEQUENCE) + 2 :]


def test_the_files_that_these_tests_make_are_avif():
    assert np.array_equal(
        planes.decode(avif(SAMPLE), "avif", PLANE.shape, "plane"),
        planes.decode(STREAMS["avif"], "avif", PLANE.shape, "plane"),
    )
    assert sizes.avif(avif(SAMPLE)) == (33, 24)


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (avif(SAMPLE, (16, 16)), "avif codestream is 33 x 24, expected 16 x 16"),
        (avif(SAMPLE + FRAME, (16, 16)), "2 AV1 frames, expected one"),
        (avif(SAMPLE[: 2 + len(SEQUENCE)]), "0 AV1 frames, expected one"),
        (avif(SAMPLE[2 + len(SEQUENCE) :]), "1 AV1 frames, expected one with a sequence header"),
        (avif(SEQUENCE + SAMPLE), "two AV1 sequence headers"),
        (avif(b"\x12\0" * 200 + SAMPLE), "more than 100 AV1 OBUs"),
        (avif(SAMPLE + b"\x4a\0"), "AV1 OBU of type 9"),
        (avif(SAMPLE, items=2), "expected infe once each|expected one item"),
        (avif(SAMPLE, extents=2), "item in pieces"),
        (avif(SAMPLE, more_meta=box(b"iref", bytes(4))), "box b'iref'"),
        (avif(SAMPLE, more_meta=box(b"pitm", bytes(6))), "box b'pitm'"),
        (avif(SAMPLE, more=box(b"moov")), "box b'moov'"),
        (avif(SAMPLE, more=bytes(8) * 100_000), "of 0 bytes"),
        (avif(SAMPLE) + b"\0\0\0\1mdat" + bytes(16), "box b'mdat'"),
    ],
)
def test_avif_files_with_anything_but_one_frame_of_the_right_size_are_refused(stream, text, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    shape = (16, 16) if struct.pack(">II", 16, 16) in stream else PLANE.shape
    with pytest.raises(FormatError, match=text):
        planes.decode(stream, "avif", shape, "plane")


def test_an_avif_sequence_and_one_with_alpha_are_refused():
    images = [Image.fromarray(photo(24, 33, seed)) for seed in range(2)]
    streams = io.BytesIO(), io.BytesIO()
    images[0].save(streams[0], "AVIF", save_all=True, append_images=images[1:])
    Image.fromarray(np.dstack([photo(24, 33), PLANE])).save(streams[1], "AVIF")
    for stream in streams:
        with pytest.raises(FormatError, match="damaged avif codestream"):
            planes.decode(stream.getvalue(), "avif", PLANE.shape, "plane")


def bits(*fields):
    """Pairs of a value and how many bits it has -> bytes."""
    text = "".join(f"{value:0{count}b}" for value, count in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


def sequence(payload):
    return b"\x0a" + bytes([len(payload)]) + payload


def test_sequence_headers_that_are_not_the_short_one():
    begin = [(0, 3), (1, 1), (0, 1), (0, 1), (0, 1), (0, 5), (0, 12), (8, 5), (1, 1)]
    sides = [(32, 6), (23, 5), (0, 20)]
    whole = sequence(bits(*begin, (5, 4), (4, 4), *sides))
    assert sizes.avif(avif(whole + FRAME)) == (33, 24)
    wide = sequence(bits(*begin, (15, 4), (4, 4), (32, 16), *sides[1:]))
    with pytest.raises(ValueError, match="leaves the frame's size open"):
        sizes.avif(avif(wide + FRAME))
    timed = sequence(bits((0, 3), (1, 1), (0, 1), (1, 1), (0, 200)))
    with pytest.raises(ValueError, match="timing"):
        sizes.avif(avif(timed + FRAME))
    with pytest.raises(ValueError, match="ends early"):
        sizes.avif(avif(sequence(bits(*begin)) + FRAME))


@pytest.mark.parametrize("inner", ["webp lossy", "webp"])
def test_a_webp_canvas_of_another_size_than_its_picture_is_refused(inner):
    stream = planes.encode(PLANE, "webp", 60 if inner == "webp lossy" else None)
    for width, height in ((16, 16), (16383, 16383)):
        canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + stream[12:]
        lying = b"RIFF" + struct.pack("<I", len(chunks)) + chunks
        assert sizes.webp(lying) == (width, height)
        for shape in (PLANE.shape, (16, 16)):
            with at_most(16), pytest.raises(FormatError):
                planes.decode(lying, "webp", shape, "plane")


def test_an_animated_webp_is_refused():
    images = [Image.fromarray(photo(24, 33, seed)) for seed in range(2)]
    stream = io.BytesIO()
    images[0].save(stream, "WEBP", save_all=True, append_images=images[1:])
    with pytest.raises(FormatError, match="expected one picture"):
        planes.decode(stream.getvalue(), "webp", PLANE.shape, "plane")
