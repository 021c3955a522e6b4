"""The .cray container, version 1: chunks <-> bytes (docs/format.md, "Container"). Standard library only."""

from __future__ import annotations

import re
import struct
import zlib
from typing import IO, Final

from crayoncodec.errors import FormatError, LimitError
from crayoncodec.format import chunks
from crayoncodec.format.chunks import (
    ALPHA,
    END,
    FRAME,
    GRID,
    HEAD,
    LIGHTNESS,
    METADATA,
    NESTED,
    PREFIXES,
    SHOWN,
    ChunkInfo,
    CrayFile,
    Damage,
    GridChunk,
    Header,
    PlaneChunk,
)
from crayoncodec.format.limits import DEFAULT_LIMITS, Limits, check_limits

MAGIC: Final = b"\x89CRY\r\n\x1a\n"
MIME_TYPE: Final = "image/x-cray"
MAX_CHUNK: Final = 2**31 - 1


_ORDER: Final = {HEAD: 0, GRID: 1, LIGHTNESS: 2, ALPHA: 3, END: 4}
_MAX_DAMAGES: Final = 100
"""After so many salvage gives up: each may cost a checksum over the whole file."""


def pack(file: CrayFile) -> bytes:
    """CrayFile -> bytes, chunks in the order of the format. Raises LimitError for a chunk over 2 GiB."""
    whole = [
        (HEAD, chunks.pack_head(file.header)),
        *((kind, file.metadata[name]) for kind, name in METADATA.items() if name in file.metadata),
        *(() if file.painting is None else ((SHOWN, chunks.pack_painting(file.painting)),)),
        *file.unknown,
        *((GRID, chunks.pack_grid(grid)) for grid in file.grids),
        (LIGHTNESS, chunks.pack_lightness(file.lightness)),
    ]
    if file.alpha is not None:
        whole.append((ALPHA, chunks.pack_alpha(file.alpha)))
    whole.append((END, b""))
    parts = [MAGIC]
    for kind, payload in whole:
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
            after = position + len(payload) + FRAME
            reader.take(kind, payload, position)
            position = after
        except Damage as error:
            if not salvage or reader.header is None or len(reader.damaged) == _MAX_DAMAGES:
                raise
            reader.damaged.append(str(error))
            found = _next_frame(data, after)
            if found is None:
                break
            position = found
    if reader.ended and position != len(data):
        damage = Damage(f"{len(data) - position} bytes after CEND at offset {position}, expected none")
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
    found = []
    position = len(MAGIC)
    while not reader.ended:
        stream.seek(start + position)
        kind, size = _frame(stream.read(8), position, length)
        fields = stream.read(min(size, PREFIXES.get(kind, 0)))
        if kind == GRID:
            fields += stream.read(min(size - len(fields), chunks.grid_fields(fields)))
        reader.take(kind, fields, position, size)
        found.append(ChunkInfo(kind.decode("ascii"), position, size + FRAME))
        position += size + FRAME
    if position != length:
        raise FormatError(f"{length - position} bytes after CEND at offset {position}, expected none")
    return reader.finish(False), found


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
        self.painting: chunks.Painting | None = None
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
            raise Damage(f"chunk {name} at offset {offset} is out of order")
        if kind == HEAD:
            chunks.check_version(payload)
        prefix = PREFIXES.get(kind, 0)
        if len(payload) < prefix or (kind in (HEAD, END) and size != prefix):
            raise Damage(f"chunk {name} at offset {offset} has {size} bytes, not what it must have")
        if kind == HEAD:
            self.header = chunks.parse_head(payload, self.limits)
        elif kind == GRID:
            self._take_grid(payload, offset)
        elif kind == LIGHTNESS:
            self.lightness = chunks.parse_lightness(payload, offset)
        elif kind == ALPHA:
            self.alpha = chunks.parse_alpha(payload, offset)
        else:
            self.ended = True
        self._rank = rank

    def _take_grid(self, payload: bytes, offset: int) -> None:
        assert self.header is not None
        if len(self.grids) == self.header.grids:  # before more of them are kept
            raise Damage(_grid_count(len(self.grids) + 1, self.header))
        self.grids.append(chunks.parse_grid(payload, offset))

    def _take_ancillary(self, kind: bytes, payload: bytes, offset: int, size: int) -> None:
        name = kind.decode("ascii")
        if self.header is None:
            raise Damage(f"chunk {name} at offset {offset}, expected HEAD")
        if not kind[0] & 0x20:
            raise FormatError(f"unknown critical chunk {name} at offset {offset}, made by a newer version?")
        self._ancillary += 1
        if self._ancillary > self.limits.ancillary:
            raise LimitError(f"more than {self.limits.ancillary} ancillary chunks at offset {offset}")
        # Those that are known come once each, so that their framing is next to nothing.
        self._ancillary_size += size if kind in METADATA else size + FRAME
        if self._ancillary_size > self.limits.metadata:
            raise LimitError(f"ancillary chunks exceed {self.limits.metadata} bytes at offset {offset}")
        painting = chunks.parse_painting(payload, size) if kind == SHOWN else None
        if painting is not None and self.painting is None:
            self.painting = painting
        elif kind not in METADATA:
            self.unknown.append((kind, payload))
        elif METADATA[kind] in self.metadata:
            raise Damage(f"chunk {name} at offset {offset} is there twice")
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
            self.painting, tuple(self.unknown), tuple(self.damaged),
        )  # fmt: skip


def _check_magic(data: bytes) -> None:
    if data[: len(MAGIC)] != MAGIC:
        what = "empty" if not data else f"begins with {data[: len(MAGIC)].hex(' ')}"
        raise FormatError(f"not a .cray file: {what}, expected {MAGIC.hex(' ')} at offset 0")


def _frame(frame: bytes, position: int, length: int) -> tuple[bytes, int]:
    """Type and payload size of the chunk whose first 8 bytes are given."""
    if len(frame) < 8:
        raise Damage(f"file ends at offset {position + len(frame)}, expected a chunk")
    (size,), kind = struct.unpack_from(">I", frame), frame[4:8]
    if not all(65 <= letter <= 90 or 97 <= letter <= 122 for letter in kind):
        raise Damage(f"chunk type {kind.hex(' ')} at offset {position + 4}, expected four letters")
    if size > MAX_CHUNK or position + size + FRAME > length:
        raise Damage(
            f"chunk {kind.decode()} at offset {position} claims {size} bytes, the file ends after "
            f"{max(0, length - position - FRAME)}"
        )
    return kind, size


def _chunk_at(data: bytes, position: int) -> tuple[bytes, bytes]:
    kind, size = _frame(data[position : position + 8], position, len(data))
    payload = data[position + 8 : position + 8 + size]
    (stored,) = struct.unpack_from(">I", data, position + 8 + size)
    if stored != _crc(kind, payload):
        raise Damage(
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
        if position + size + FRAME <= len(data):
            return position
    return None


def _grid_count(found: int, header: Header) -> str:
    return f"{found} GRID chunks, HEAD says {header.grids}"


def _misfit(header: Header, grids: list[GridChunk]) -> str:
    """What is wrong with a picture's grids together; empty if they are one, or nest."""
    if len(grids) != header.grids:
        return _grid_count(len(grids), header)
    spacing = grids[0].spacing if grids else 0
    for grid in grids:
        if len(grids) > 1 and grid.coder != NESTED:
            return f"{len(grids)} GRID chunks, one of them {grid.coder}, expected {NESTED} ones only"
        if (grid.spacing, grid.network) != (spacing, grids[0].network):
            return (
                f"GRID of n = {grid.spacing}, network {grid.network}, "
                f"expected n = {spacing}, network {grids[0].network}"
            )
        spacing = grid.finest // 2
    return ""


def _crc(kind: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(kind))
