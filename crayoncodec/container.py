"""The .cray container, version 1: chunks <-> bytes (docs/format.md, "Container"). Standard library only."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import IO, Final, Literal, TypeVar, get_args

from crayoncodec.errors import FormatError, LimitError

MAGIC: Final = b"\x89CRY\r\n\x1a\n"
MAJOR: Final = 1
MINOR: Final = 0
COLOR_CIELAB_D65: Final = 1
LIGHTNESS_DEPTH: Final = 8
MAX_CHUNK: Final = 2**31 - 1
MAX_LEVELS: Final = 16
"""Grids that nest; their spacings are powers of two."""
MIN_SPACING: Final = 1
MAX_SPACING: Final = 65535
STEP_UNIT: Final = 256
"""Quantiser steps are stored as whole multiples of 1/256 of a CIELAB unit."""
MAX_STEP: Final = 65535
QUALITY_EXACT: Final = 255

# Stored as their places in these lists.
Sampling = Literal["mean", "point"]
GridCoder = Literal["zstd", "webp", "nested"]
PlaneCoder = Literal["zstd", "webp", "avif"]
SAMPLINGS: Final[tuple[Sampling, ...]] = get_args(Sampling)
GRID_CODERS: Final[tuple[GridCoder, ...]] = get_args(GridCoder)
PLANE_CODERS: Final[tuple[PlaneCoder, ...]] = get_args(PlaneCoder)
ALPHA_CODERS: Final = PLANE_CODERS[:2]
NESTED: Final = GRID_CODERS[2]

HEAD: Final = b"HEAD"
GRID: Final = b"GRID"
LIGHTNESS: Final = b"LGHT"
ALPHA: Final = b"ALPH"
END: Final = b"CEND"
EXIF: Final = b"eXIf"
ICC: Final = b"iCCP"
XMP: Final = b"xMPd"
METADATA: Final[dict[bytes, str]] = {EXIF: "exif", ICC: "icc_profile", XMP: "xmp"}
"""Metadata chunks and the names that Pillow gives what they hold."""
STRIPPABLE: Final = ("all", "gps", "exif", "xmp", "icc")
"""What of a picture's metadata can be left out."""

_HEAD: Final = struct.Struct(">BBIIBBB")
_GRID: Final = struct.Struct(">BHBHB")
_NESTED: Final = struct.Struct(">BB")
"""Follows _GRID in chunks of nested grids."""
_LIGHTNESS: Final = struct.Struct(">BB")
_ALPHA: Final = struct.Struct(">B")
_PREFIXES: Final = {HEAD: _HEAD.size, GRID: _GRID.size, LIGHTNESS: _LIGHTNESS.size, ALPHA: _ALPHA.size}
_ORDER: Final = {HEAD: 0, GRID: 1, LIGHTNESS: 2, ALPHA: 3, END: 4}
_FRAME: Final = 12
GRID_FRAMING: Final = _FRAME + _GRID.size + _NESTED.size
"""Bytes of a chunk of nested grids besides its payload."""
_MAX_DAMAGES: Final = 100
"""After so many salvage gives up: each may cost a checksum over the whole file."""

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Limits:
    """What a file may ask for; checked before anything of that size is allocated."""

    pixels: int = 178_956_970
    """Pixels of the picture (``--max-pixels``). The default is Pillow's own limit, in whose place this one is
    when pictures of other formats are read."""
    side: int = 2**18
    """Pixels of the longer side; the lossless coder's time grows with it."""
    metadata: int = 64 * 2**20
    """Bytes of all ancillary chunks together: their payloads, and the framing of those of unknown types."""
    ancillary: int = 1000
    """Ancillary chunks; encoders write three at most."""

    def __post_init__(self) -> None:
        """Raise ValueError for what nothing can be compared with; infinity is no limit."""
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"{name} is {value!r}, expected a number from 0 on")

    def check_size(self, width: int, height: int) -> None:
        """Raise LimitError for a picture that is too large."""
        if width * height > self.pixels:
            raise LimitError(
                f"picture is {width} x {height} = {width * height} pixels, the limit is {self.pixels} "
                "(--max-pixels, Limits.pixels)"
            )
        if max(width, height) > self.side:
            raise LimitError(f"picture is {width} x {height}, the limit of a side is {self.side}")


DEFAULT_LIMITS: Final = Limits()


def check_limits(limits: Limits) -> None:
    """Raise TypeError for anything else."""
    if not isinstance(limits, Limits):
        raise TypeError(f"limits is {limits!r}, expected Limits(...)")


@dataclass(frozen=True)
class Header:
    """The HEAD chunk."""

    width: int
    height: int
    grids: int
    """GRID chunks that follow; 0 for a grey picture."""
    major: int = MAJOR
    minor: int = MINOR
    color: int = COLOR_CIELAB_D65
    lightness_depth: int = LIGHTNESS_DEPTH

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


@dataclass(frozen=True)
class GridChunk:
    """A GRID chunk: one colour grid, still coded."""

    spacing: int
    sampling: Sampling
    step: int
    """Quantiser step in 1/256 of a CIELAB unit; of nested grids that of a cell of one pixel."""
    coder: GridCoder
    payload: bytes
    level: int = 0
    """Of the first grid in it; 0 is the coarsest."""
    network: int = 0
    """Version of the network that predicts nested grids; 0 for a grid of its own."""
    levels: int = 1
    """How many grids it holds, each of half the spacing of the one before."""

    @property
    def finest(self) -> int:
        """Spacing of its last grid."""
        return self.spacing >> (self.levels - 1)


@dataclass(frozen=True)
class PlaneChunk:
    """An LGHT or ALPH chunk: one 8-bit plane, still coded."""

    coder: PlaneCoder
    payload: bytes
    quality: int | None = None
    """What the encoder was asked for, 0 to 100; None for a plane kept exactly, as alpha always is."""


@dataclass(frozen=True)
class CrayFile:
    """A whole file, its chunks checked and nothing decoded."""

    header: Header
    lightness: PlaneChunk
    grids: tuple[GridChunk, ...] = ()
    alpha: PlaneChunk | None = None
    metadata: dict[str, bytes] = field(default_factory=dict)
    """Any of exif, icc_profile, xmp."""
    unknown: tuple[tuple[bytes, bytes], ...] = ()
    """Ancillary chunks that this version does not know, type and payload; kept on rewriting."""
    damaged: tuple[str, ...] = ()
    """What had to be skipped, one line each; only after ``unpack(..., salvage=True)``."""

    @property
    def is_nested(self) -> bool:
        """Whether the colours are levels of nested grids."""
        return bool(self.grids) and self.grids[0].coder == NESTED


@dataclass(frozen=True)
class ChunkInfo:
    """Where a chunk lies: its type, the offset of its length field, and its size with framing."""

    type: str
    offset: int
    size: int

    @property
    def payload_offset(self) -> int:
        """Where its payload begins."""
        return self.offset + 8

    @property
    def payload_size(self) -> int:
        """Bytes of its payload."""
        return self.size - _FRAME


def grid_shape(height: int, width: int, spacing: int) -> tuple[int, int]:
    """Rows and columns of the grid of a height x width picture."""
    return -(-height // spacing), -(-width // spacing)


def level_step(step: int, spacing: int) -> int:
    """Quantiser step of a nested level's cells, from that of a cell of one pixel, both in 1/256 of a unit."""
    return max(1, step // spacing)


def pack(file: CrayFile) -> bytes:
    """CrayFile -> bytes, chunks in the order of the format. Raises LimitError for a chunk over 2 GiB."""
    chunks = [
        (HEAD, _pack_head(file.header)),
        *((kind, file.metadata[name]) for kind, name in METADATA.items() if name in file.metadata),
        *file.unknown,
        *((GRID, _pack_grid(grid)) for grid in file.grids),
        (LIGHTNESS, _pack_lightness(file.lightness)),
    ]
    if file.alpha is not None:
        chunks.append((ALPHA, _ALPHA.pack(ALPHA_CODERS.index(file.alpha.coder)) + file.alpha.payload))
    chunks.append((END, b""))
    parts = [MAGIC]
    for kind, payload in chunks:
        if len(payload) > MAX_CHUNK:
            raise LimitError(f"chunk {kind.decode()} has {len(payload)} bytes, expected at most {MAX_CHUNK}")
        parts += [struct.pack(">I", len(payload)), kind, payload, struct.pack(">I", _crc(kind, payload))]
    return b"".join(parts)


def unpack(data: bytes, limits: Limits = DEFAULT_LIMITS, *, salvage: bool = False) -> CrayFile:
    """Bytes -> CrayFile, every chunk's checksum and order verified.

    With ``salvage``, damaged chunks are skipped and named in ``damaged`` as long as HEAD and LGHT are
    whole; what is unsupported stays an error. Raises FormatError, LimitError.
    """
    _check_magic(data)
    reader = _Reader(limits)
    position = len(MAGIC)
    while not reader.ended:
        after = position + 1
        try:
            kind, payload = _chunk_at(data, position)
            after = position + len(payload) + _FRAME
            reader.take(kind, payload, position)
            position = after
        except _Damage as error:
            if not salvage or reader.header is None or len(reader.damaged) == _MAX_DAMAGES:
                raise
            reader.damaged.append(str(error))
            found = _next_frame(data, after)
            if found is None:
                break
            position = found
    if reader.ended and position != len(data):
        damage = _Damage(f"{len(data) - position} bytes after CEND at offset {position}, expected none")
        if not salvage:
            raise damage
        reader.damaged.append(str(damage))
    return reader.finish(salvage)


def scan(stream: IO[bytes], limits: Limits = DEFAULT_LIMITS) -> tuple[CrayFile, list[ChunkInfo]]:
    """Read headers only: payloads are skipped (left empty), and checksums are not verified.

    ``stream`` must be seekable. Raises FormatError, LimitError.
    """
    start = stream.tell()
    length = stream.seek(0, 2) - start
    stream.seek(start)
    _check_magic(stream.read(len(MAGIC)))
    reader = _Reader(limits)
    chunks = []
    position = len(MAGIC)
    while not reader.ended:
        stream.seek(start + position)
        kind, size = _frame(stream.read(8), position, length)
        fields = stream.read(min(size, _PREFIXES.get(kind, 0)))
        if kind == GRID and fields[-1:] == bytes([GRID_CODERS.index(NESTED)]):
            fields += stream.read(min(size - len(fields), _NESTED.size))
        reader.take(kind, fields, position, size)
        chunks.append(ChunkInfo(kind.decode("ascii"), position, size + _FRAME))
        position += size + _FRAME
    if position != length:
        raise FormatError(f"{length - position} bytes after CEND at offset {position}, expected none")
    return reader.finish(False), chunks


class _Damage(FormatError):
    """Damage to one chunk, as against a file that is whole and cannot be supported."""


class _Reader:
    """Collects chunks into a CrayFile and enforces their order, number and limits."""

    def __init__(self, limits: Limits) -> None:
        check_limits(limits)
        self.limits = limits
        self.header: Header | None = None
        self.lightness: PlaneChunk | None = None
        self.alpha: PlaneChunk | None = None
        self.grids: list[GridChunk] = []
        self.metadata: dict[str, bytes] = {}
        self.unknown: list[tuple[bytes, bytes]] = []
        self.damaged: list[str] = []
        self.ended = False
        self._rank = -1
        self._ancillary = self._ancillary_size = 0

    def take(self, kind: bytes, payload: bytes, offset: int, size: int | None = None) -> None:
        size = len(payload) if size is None else size
        name = kind.decode("ascii")
        if kind not in _ORDER:
            self._take_ancillary(kind, payload, offset, size)
            return
        rank = _ORDER[kind]
        repeated = rank == self._rank and kind != GRID
        if (self.header is None) != (kind == HEAD) or rank < self._rank or repeated:
            raise _Damage(f"chunk {name} at offset {offset} is out of order")
        if kind == HEAD:
            _check_version(payload)
        prefix = _PREFIXES.get(kind, 0)
        if len(payload) < prefix or (kind in (HEAD, END) and size != prefix):
            raise _Damage(f"chunk {name} at offset {offset} has {size} bytes, not what it must have")
        if kind == HEAD:
            self.header = _parse_head(payload, self.limits)
        elif kind == GRID:
            self._take_grid(payload, offset)
        elif kind == LIGHTNESS:
            self.lightness = _parse_lightness(payload, offset)
        elif kind == ALPHA:
            coder = _named(payload[0], ALPHA_CODERS, f"ALPH at offset {offset}: coder")
            self.alpha = PlaneChunk(coder, payload[_ALPHA.size :])
        else:
            self.ended = True
        self._rank = rank

    def _take_grid(self, payload: bytes, offset: int) -> None:
        assert self.header is not None
        if len(self.grids) == self.header.grids:  # before more of them are kept
            raise _Damage(_grid_count(len(self.grids) + 1, self.header))
        self.grids.append(_parse_grid(payload, offset))

    def _take_ancillary(self, kind: bytes, payload: bytes, offset: int, size: int) -> None:
        name = kind.decode("ascii")
        if self.header is None:
            raise _Damage(f"chunk {name} at offset {offset}, expected HEAD")
        if not kind[0] & 0x20:
            raise FormatError(f"unknown critical chunk {name} at offset {offset}, made by a newer version?")
        self._ancillary += 1
        if self._ancillary > self.limits.ancillary:
            raise LimitError(f"more than {self.limits.ancillary} ancillary chunks at offset {offset}")
        # Those that are known come once each, so that their framing is next to nothing.
        self._ancillary_size += size if kind in METADATA else size + _FRAME
        if self._ancillary_size > self.limits.metadata:
            raise LimitError(f"ancillary chunks exceed {self.limits.metadata} bytes at offset {offset}")
        if kind not in METADATA:
            self.unknown.append((kind, payload))
        elif METADATA[kind] in self.metadata:
            raise _Damage(f"chunk {name} at offset {offset} is there twice")
        else:
            self.metadata[METADATA[kind]] = payload

    def finish(self, salvage: bool) -> CrayFile:
        if self.header is None or self.lightness is None:
            if self.damaged:
                raise FormatError(self.damaged[0])
            raise FormatError(f"no {'HEAD' if self.header is None else 'LGHT'} chunk, expected one")
        if not self.damaged:
            damage = _misfit(self.header, self.grids)
            if damage:
                if not salvage:
                    raise FormatError(damage)
                self.damaged.append(damage)
        return CrayFile(
            self.header, self.lightness, tuple(self.grids), self.alpha, self.metadata,
            tuple(self.unknown), tuple(self.damaged),
        )  # fmt: skip


def _check_magic(data: bytes) -> None:
    if data[: len(MAGIC)] != MAGIC:
        what = "empty" if not data else f"begins with {data[: len(MAGIC)].hex(' ')}"
        raise FormatError(f"not a .cray file: {what}, expected {MAGIC.hex(' ')} at offset 0")


def _frame(frame: bytes, position: int, length: int) -> tuple[bytes, int]:
    """Type and payload size of the chunk whose first 8 bytes are given."""
    if len(frame) < 8:
        raise _Damage(f"file ends at offset {position + len(frame)}, expected a chunk")
    (size,), kind = struct.unpack_from(">I", frame), frame[4:8]
    if not all(65 <= letter <= 90 or 97 <= letter <= 122 for letter in kind):
        raise _Damage(f"chunk type {kind.hex(' ')} at offset {position + 4}, expected four letters")
    if size > MAX_CHUNK or position + size + _FRAME > length:
        raise _Damage(
            f"chunk {kind.decode()} at offset {position} claims {size} bytes, the file ends after "
            f"{max(0, length - position - _FRAME)}"
        )
    return kind, size


def _chunk_at(data: bytes, position: int) -> tuple[bytes, bytes]:
    kind, size = _frame(data[position : position + 8], position, len(data))
    payload = data[position + 8 : position + 8 + size]
    (stored,) = struct.unpack_from(">I", data, position + 8 + size)
    if stored != _crc(kind, payload):
        raise _Damage(
            f"chunk {kind.decode()} at offset {position}: CRC-32 is {_crc(kind, payload):08x}, "
            f"the file says {stored:08x}"
        )
    return kind, payload


def _next_frame(data: bytes, start: int) -> int | None:
    """Offset of the next chunk at or after ``start`` with a known type and a size that fits the file."""
    names = re.compile(b"|".join([*_ORDER, *METADATA]))
    for match in names.finditer(data, start + 4):
        position = match.start() - 4
        (size,) = struct.unpack_from(">I", data, position)
        if position + size + _FRAME <= len(data):
            return position
    return None


def _check_version(head: bytes) -> None:
    """Comes before all else: another major version may have another HEAD."""
    if head and head[0] != MAJOR:
        raise FormatError(f"format version {head[0]}, this crayoncodec reads version {MAJOR}")


def _parse_head(payload: bytes, limits: Limits) -> Header:
    major, minor, width, height, color, depth, grids = _HEAD.unpack(payload)
    if width == 0 or height == 0:
        raise FormatError(f"picture is {width} x {height}, expected at least 1 x 1")
    limits.check_size(width, height)
    if color != COLOR_CIELAB_D65:
        raise FormatError(f"colour transform {color}, expected {COLOR_CIELAB_D65} (CIELAB, D65)")
    if depth != LIGHTNESS_DEPTH:
        raise FormatError(f"lightness depth {depth}, expected {LIGHTNESS_DEPTH}")
    if grids > MAX_LEVELS:
        raise FormatError(f"{grids} colour grids, expected 0 to {MAX_LEVELS}")
    return Header(width, height, grids, major, minor, color, depth)


def _pack_head(header: Header) -> bytes:
    return _HEAD.pack(
        header.major, header.minor, header.width, header.height, header.color,
        header.lightness_depth, header.grids,
    )  # fmt: skip


def _pack_grid(grid: GridChunk) -> bytes:
    sampling, coder = SAMPLINGS.index(grid.sampling), GRID_CODERS.index(grid.coder)
    fields = _GRID.pack(grid.level, grid.spacing, sampling, grid.step, coder)
    if grid.coder == NESTED:
        fields += _NESTED.pack(grid.network, grid.levels)
    return fields + grid.payload


def _parse_grid(payload: bytes, offset: int) -> GridChunk:
    level, spacing, sampling_number, step, coder_number = _GRID.unpack_from(payload)
    where = f"GRID at offset {offset}:"
    sampling = _named(sampling_number, SAMPLINGS, f"{where} sampling")
    coder = _named(coder_number, GRID_CODERS, f"{where} coder")
    if spacing < MIN_SPACING or step < 1:
        raise _Damage(f"{where} spacing n is {spacing} and step {step}, expected 1 to 65535")
    if coder != NESTED:
        if level:
            raise _Damage(f"{where} level is {level}, expected 0")
        return GridChunk(spacing, sampling, step, coder, payload[_GRID.size :])
    needed = _GRID.size + _NESTED.size
    if len(payload) < needed:
        raise _Damage(f"{where} nested grids in {len(payload)} bytes, expected at least {needed}")
    network, levels = _NESTED.unpack_from(payload, _GRID.size)
    if spacing & (spacing - 1) or not 1 <= levels <= spacing.bit_length():
        raise _Damage(f"{where} {levels} nested grids from n = {spacing}, expected powers of two down to 1")
    if sampling != "mean":
        raise _Damage(f"{where} sampling of nested grids is {sampling}, expected mean")
    return GridChunk(spacing, sampling, step, coder, payload[needed:], level, network, levels)


def _grid_count(found: int, header: Header) -> str:
    return f"{found} GRID chunks, HEAD says {header.grids}"


def _misfit(header: Header, grids: list[GridChunk]) -> str:
    """What is wrong with a picture's grids together; empty if they are one, or nest."""
    if len(grids) != header.grids:
        return _grid_count(len(grids), header)
    level, spacing = 0, grids[0].spacing if grids else 0
    for grid in grids:
        if len(grids) > 1 and grid.coder != NESTED:
            return f"{len(grids)} GRID chunks, one of them {grid.coder}, expected {NESTED} ones only"
        if (grid.level, grid.spacing, grid.network) != (level, spacing, grids[0].network):
            return (
                f"GRID of level {grid.level}, n = {grid.spacing}, network {grid.network}, "
                f"expected level {level}, n = {spacing}, network {grids[0].network}"
            )
        level, spacing = level + grid.levels, grid.finest // 2
    return ""


def _pack_lightness(plane: PlaneChunk) -> bytes:
    quality = QUALITY_EXACT if plane.quality is None else plane.quality
    return _LIGHTNESS.pack(PLANE_CODERS.index(plane.coder), quality) + plane.payload


def _parse_lightness(payload: bytes, offset: int) -> PlaneChunk:
    coder, quality = _LIGHTNESS.unpack_from(payload)
    where = f"LGHT at offset {offset}:"
    if quality > 100 and quality != QUALITY_EXACT:
        raise _Damage(f"{where} quality is {quality}, expected 0 to 100 or {QUALITY_EXACT}")
    name = _named(coder, PLANE_CODERS, f"{where} coder")
    return PlaneChunk(name, payload[_LIGHTNESS.size :], None if quality == QUALITY_EXACT else quality)


def _named(number: int, names: tuple[Name, ...], what: str) -> Name:
    if number >= len(names):
        raise _Damage(f"{what} is {number}, expected 0 to {len(names) - 1}")
    return names[number]


def _crc(kind: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(kind))
