"""What WebP and AVIF files say of their size, read before anything is decoded (docs/format.md, section 4).

libavif decodes what the AV1 frame says, not what the file does (`ispe`), and whatever frames there are; so
the frame's own header is read. Boxes are those of ISO/IEC 14496-12 and 23008-12; OBUs those of the AV1
specification, section 5. libwebp compares a file's size with its frame's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_ANIMATION: Final = 2
_SEQUENCE, _DELIMITER, _HEADER, _TILES, _METADATA, _FRAME, _PADDING = 1, 2, 3, 4, 5, 6, 15
_KNOWN: Final = (_SEQUENCE, _DELIMITER, _HEADER, _TILES, _METADATA, _FRAME, _PADDING)
_MOST_OBUS: Final = 100
_FILE: Final = (b"ftyp", b"meta", b"mdat")
_META: Final = (b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp")


def webp(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP file that is no animation. Raises ValueError, struct.error for any other."""
    riff, form, kind = struct.unpack_from("<4s4x4s4s", data)
    if (riff, form) != (b"RIFF", b"WEBP"):
        raise ValueError("no WebP file")
    if kind == b"VP8 " and data[23:26] == b"\x9d\1\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and data[20:21] == b"\x2f":
        (sides,) = struct.unpack_from("<I", data, 21)
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(data) >= 30 and not data[20] & _ANIMATION:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    raise ValueError("expected one picture, VP8, VP8L or VP8X")


def avif(data: bytes) -> tuple[int, int]:
    """Width and height of the only AV1 frame of an AVIF file that has one image item and nothing else.

    Raises ValueError, struct.error or IndexError for any other file: sequences, grids, auxiliary images,
    items in pieces, several frames.
    """
    boxes = _boxes(data, _FILE)
    meta = _boxes(_full(boxes[b"meta"]), _META)
    item = meta[b"pitm"][4:6]
    entry = _boxes(meta[b"iinf"][6:], (b"infe",))[b"infe"]
    if meta[b"iinf"][4:6] != b"\0\1" or entry[:1] != b"\2" or entry[4:6] != item or entry[8:12] != b"av01":
        raise ValueError("expected one item, an AV1 image")
    return _size_of_frame(_extent(data, meta[b"iloc"], item))


def _boxes(data: bytes, kinds: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """Type -> content of boxes, of which there must be one of each of these kinds and no other."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind not in kinds or kind in found or size < 8 or position + size > len(data):
            raise ValueError(f"box {kind!r} of {size} bytes, expected {b', '.join(kinds).decode()} once each")
        found[kind] = data[position + 8 : position + size]
        position += size
    if len(found) < len(kinds):
        raise ValueError(f"a box is missing, expected {b', '.join(kinds).decode()}")
    return found


def _full(box: bytes) -> bytes:
    """What follows a box's version and flags."""
    return box[4:]


def _extent(data: bytes, box: bytes, item: bytes) -> bytes:
    """Where ``iloc`` says that the item is: in one piece of the file."""
    sizes = [box[4] >> 4, box[4] & 15, box[5] >> 4]
    if box[0] > 0 or box[5] & 15 or any(size not in (0, 4, 8) for size in sizes):
        raise ValueError("iloc of another kind, expected version 0")
    offset_size, length_size, base_size = sizes
    at = 14 + base_size
    if box[6:8] != b"\0\1" or box[8:10] != item or box[10:12] != b"\0\0" or box[at - 2 : at] != b"\0\1":
        raise ValueError("item in pieces or elsewhere, expected one extent in this file")
    base = int.from_bytes(box[12 : 12 + base_size])
    offset = base + int.from_bytes(box[at : at + offset_size])
    length = int.from_bytes(box[at + offset_size : at + offset_size + length_size])
    if len(box) != at + offset_size + length_size or length == 0 or offset + length > len(data):
        raise ValueError("item reaches beyond the end of the file")
    return data[offset : offset + length]


def _size_of_frame(sample: bytes) -> tuple[int, int]:
    sequence, frames = None, 0
    for kind, payload in _obus(sample):
        if kind == _SEQUENCE:
            if sequence is not None:
                raise ValueError("two AV1 sequence headers, expected one")
            sequence = payload
        frames += kind in (_HEADER, _FRAME)
    if sequence is None or frames != 1:
        raise ValueError(f"{frames} AV1 frames, expected one with a sequence header")
    return _size_of_sequence(sequence)


def _obus(sample: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and payloads of OBUs."""
    position = 0
    for _ in range(_MOST_OBUS):
        if position == len(sample):
            return
        header = sample[position]
        kind = header >> 3 & 15
        position += 2 if header & 4 else 1
        size = len(sample) - position
        if header & 2:
            size, position = _leb128(sample, position)
        if kind not in _KNOWN or header & 0x80 or position + size > len(sample):
            raise ValueError(f"AV1 OBU of type {kind} and {size} bytes, expected parts of one frame")
        yield kind, sample[position : position + size]
        position += size
    raise ValueError(f"more than {_MOST_OBUS} AV1 OBUs")


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for k in range(8):
        byte = data[position + k]
        value |= (byte & 127) << (7 * k)
        if byte < 128:
            return value, position + k + 1
    raise ValueError("AV1 OBU without a size")


def _size_of_sequence(header: bytes) -> tuple[int, int]:
    """Width and height from a sequence header (5.5.1)."""
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    reduced = bits.take(1)
    if reduced:
        bits.take(5)  # level
    else:
        if bits.take(1):
            raise ValueError("AV1 sequence header with timing, expected that of a still picture")
        delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if delays and bits.take(1):
                bits.take(4)
    lengths = bits.take(4) + 1, bits.take(4) + 1
    width, height = (bits.take(length) + 1 for length in lengths)
    # Where the header is not the short one, a frame may have another size, of so many bits.
    if not reduced and (lengths[0] > width.bit_length() or lengths[1] > height.bit_length()):
        raise ValueError("AV1 sequence header that leaves the frame's size open")
    return width, height


class _Bits:
    """Reads numbers of so many bits."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:64]), 8 * len(data[:64])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("AV1 sequence header ends early")
        return self._value >> self._left & ((1 << count) - 1)
