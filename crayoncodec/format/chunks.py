"""Chunks and their fields, <-> bytes (docs/format.md, section 1). Standard library only."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar, get_args

from crayoncodec.color.geometry import MIN_SPACING, SAMPLINGS, Sampling
from crayoncodec.errors import FormatError
from crayoncodec.format.limits import Limits

MAJOR: Final = 1
MINOR: Final = 0
COLOR_CIELAB_D65: Final = 1
LIGHTNESS_DEPTH: Final = 8
MAX_LEVELS: Final = 16
"""Grids that nest; their spacings are powers of two."""
QUALITY_EXACT: Final = 255

# Stored as their places in these lists.
GridCoder = Literal["zstd", "webp", "nested", "palette"]
PlaneCoder = Literal["zstd", "webp", "avif"]
GRID_CODERS: Final[tuple[GridCoder, ...]] = get_args(GridCoder)
PLANE_CODERS: Final[tuple[PlaneCoder, ...]] = get_args(PlaneCoder)
ALPHA_CODERS: Final = PLANE_CODERS[:2]
NESTED: Final = GRID_CODERS[2]
PALETTE: Final = GRID_CODERS[3]
Painting = Literal["guided", "refined 1"]
PAINTINGS: Final[tuple[Painting, ...]] = get_args(Painting)
"""Ways to show nested grids (section 14)."""

HEAD: Final = b"HEAD"
GRID: Final = b"GRID"
LIGHTNESS: Final = b"LGHT"
ALPHA: Final = b"ALPH"
END: Final = b"CEND"
EXIF: Final = b"eXIf"
ICC: Final = b"iCCP"
XMP: Final = b"xMPd"
SHOWN: Final = b"shoW"
METADATA: Final[dict[bytes, str]] = {EXIF: "exif", ICC: "icc_profile", XMP: "xmp"}
"""Metadata chunks and the names that Pillow gives what they hold."""
STRIPPABLE: Final = ("all", "gps", "exif", "xmp", "icc")
"""What of a picture's metadata can be left out."""

_HEAD: Final = struct.Struct(">BBIIBBB")
_ONE_GRID: Final = struct.Struct(">HBH")
_NESTED: Final = struct.Struct(">BBH")
_PALETTE: Final = struct.Struct(">H")
_GRID_FIELDS: Final = {
    "zstd": _ONE_GRID, "webp": _ONE_GRID, NESTED: _NESTED, PALETTE: _PALETTE,
}  # fmt: skip
"""What follows the coder in GRID."""
_LIGHTNESS: Final = struct.Struct(">BB")
_ALPHA: Final = struct.Struct(">B")
PREFIXES: Final = {
    HEAD: _HEAD.size, GRID: 1, LIGHTNESS: _LIGHTNESS.size, ALPHA: _ALPHA.size, SHOWN: 1,
}  # fmt: skip
"""Bytes of fields that a chunk begins with; ``grid_fields`` has the rest of GRID's."""
FRAME: Final = 12
"""Bytes of a chunk besides its payload: size, type and CRC-32."""
NESTED_FRAMING: Final = FRAME + 1 + _NESTED.size
"""Bytes of a chunk of nested grids besides its payload."""
ONE_GRID_FRAMING: Final = FRAME + 1 + _ONE_GRID.size
"""The same of one grid."""
PAINTING_SIZE: Final = FRAME + 1
"""Bytes of a shoW chunk."""
Name = TypeVar("Name", bound=str)


class Damage(FormatError):
    """Damage to one chunk, as against a file that is whole and cannot be supported."""


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
    painting: Painting | None = None
    """Which way of showing nested grids the encoder found closer to the picture, if it says so."""
    unknown: tuple[tuple[bytes, bytes], ...] = ()
    """Ancillary chunks that this version does not know, type and payload; kept on rewriting."""
    damaged: tuple[str, ...] = ()
    """What had to be skipped, one line each; only after ``unpack(..., salvage=True)``."""

    @property
    def is_nested(self) -> bool:
        """Whether the colours are levels of nested grids."""
        return bool(self.grids) and self.grids[0].coder == NESTED

    def levels_to(self, spacing: int) -> int:
        """How many levels of nested grids, from the coarsest on, have cells of ``spacing`` pixels or more.

        At least 1, and as many as such levels could be: the file may have fewer.
        """
        return max(1, (self.grids[0].spacing // spacing).bit_length())


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
        return self.size - FRAME


def check_version(head: bytes) -> None:
    """Comes before all else: another major version may have another HEAD."""
    if head and head[0] != MAJOR:
        raise FormatError(f"format version {head[0]}, this crayoncodec reads version {MAJOR}")


def parse_head(payload: bytes, limits: Limits) -> Header:
    """The fields of HEAD. Raises FormatError for what is not supported, LimitError."""
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


def pack_head(header: Header) -> bytes:
    """The payload of HEAD."""
    return _HEAD.pack(
        header.major, header.minor, header.width, header.height, header.color,
        header.lightness_depth, header.grids,
    )  # fmt: skip


def grid_fields(payload: bytes) -> int:
    """How many bytes of fields a GRID chunk has behind the one given; 0 for a coder that is not known."""
    return _GRID_FIELDS[GRID_CODERS[payload[0]]].size if payload and payload[0] < len(GRID_CODERS) else 0


def pack_grid(grid: GridChunk) -> bytes:
    """The payload of GRID."""
    if grid.coder == NESTED:
        sizes = (grid.spacing.bit_length() - 1) << 4 | grid.levels - 1
        fields = _NESTED.pack(grid.network, sizes, grid.step)
    elif grid.coder == PALETTE:
        fields = _PALETTE.pack(grid.step)
    else:
        fields = _ONE_GRID.pack(grid.spacing, SAMPLINGS.index(grid.sampling), grid.step)
    return bytes([GRID_CODERS.index(grid.coder)]) + fields + grid.payload


def parse_grid(payload: bytes, offset: int) -> GridChunk:
    """The payload of the GRID chunk at ``offset``, or its fields only. Raises Damage."""
    where = f"GRID at offset {offset}:"
    coder = _named(payload[0], GRID_CODERS, f"{where} coder")
    needed = 1 + grid_fields(payload)
    if len(payload) < needed:
        raise Damage(f"{where} {coder} in {len(payload)} bytes, expected at least {needed}")
    spacing, sampling_number, network, levels = 1, 0, 0, 1
    if coder == NESTED:
        network, sizes, step = _NESTED.unpack_from(payload, 1)
        spacing, levels = 1 << (sizes >> 4), 1 + (sizes & 15)
        if levels > spacing.bit_length():
            raise Damage(f"{where} {levels} nested grids from n = {spacing}, expected none below n = 1")
    elif coder == PALETTE:
        (step,) = _PALETTE.unpack_from(payload, 1)
    else:
        spacing, sampling_number, step = _ONE_GRID.unpack_from(payload, 1)
    sampling = _named(sampling_number, SAMPLINGS, f"{where} sampling")
    if spacing < MIN_SPACING or step < 1:
        raise Damage(f"{where} spacing n is {spacing} and step {step}, expected 1 to 65535")
    return GridChunk(spacing, sampling, step, coder, payload[needed:], network, levels)


def pack_painting(painting: Painting) -> bytes:
    """The payload of shoW."""
    return bytes([PAINTINGS.index(painting)])


def parse_painting(payload: bytes, size: int) -> Painting | None:
    """The payload of shoW, which has ``size`` bytes; None for what this version does not know."""
    known = size == 1 and payload[0] < len(PAINTINGS)
    return PAINTINGS[payload[0]] if known else None


def pack_lightness(plane: PlaneChunk) -> bytes:
    """The payload of LGHT."""
    quality = QUALITY_EXACT if plane.quality is None else plane.quality
    return _LIGHTNESS.pack(PLANE_CODERS.index(plane.coder), quality) + plane.payload


def parse_lightness(payload: bytes, offset: int) -> PlaneChunk:
    """As ``parse_grid``, of LGHT."""
    coder, quality = _LIGHTNESS.unpack_from(payload)
    where = f"LGHT at offset {offset}:"
    if quality > 100 and quality != QUALITY_EXACT:
        raise Damage(f"{where} quality is {quality}, expected 0 to 100 or {QUALITY_EXACT}")
    name = _named(coder, PLANE_CODERS, f"{where} coder")
    return PlaneChunk(name, payload[_LIGHTNESS.size :], None if quality == QUALITY_EXACT else quality)


def pack_alpha(plane: PlaneChunk) -> bytes:
    """The payload of ALPH."""
    return _ALPHA.pack(ALPHA_CODERS.index(plane.coder)) + plane.payload


def parse_alpha(payload: bytes, offset: int) -> PlaneChunk:
    """As ``parse_grid``, of ALPH."""
    (coder,) = _ALPHA.unpack_from(payload)
    name = _named(coder, ALPHA_CODERS, f"ALPH at offset {offset}: coder")
    return PlaneChunk(name, payload[_ALPHA.size :])


def _named(number: int, names: tuple[Name, ...], what: str) -> Name:
    if number >= len(names):
        raise Damage(f"{what} is {number}, expected 0 to {len(names) - 1}")
    return names[number]
