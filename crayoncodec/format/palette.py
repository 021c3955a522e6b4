"""Few colours i16[2,H,W] <-> bytes: of each lightness, which there are (docs/format.md, section 5)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from crayoncodec.errors import FormatError
from crayoncodec.format import residuals

MOST: Final = 65535
"""Colours in a palette."""
MOST_ALIKE: Final = 256
"""Colours of the same lightness."""
_COUNT: Final = struct.Struct(">H")
_BYTES: Final = 5
"""Of a colour: its lightness, two for a*, two for b*."""
_LEVELS: Final = 256
_ZSTD_LEVEL: Final = 19

I16 = NDArray[np.int16]
U8 = NDArray[np.uint8]


class Palette(NamedTuple):
    """Colours in the order of their lightness."""

    lightness: U8
    """As stored, [K]."""
    samples: I16
    """a* and b* in quantiser steps, [2,K]."""


def encode(palette: Palette, indices: U8) -> bytes:
    """Colours, and which of those of its lightness each pixel has, u8[H,W] -> codestream."""
    lightness, samples = palette
    split = np.moveaxis(samples.astype("<i2")[..., None].view(np.uint8), -1, 0)
    content = lightness.tobytes() + split.tobytes() + indices.tobytes()
    return _COUNT.pack(len(lightness)) + zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content)


def decode(data: bytes, lightness: U8, what: str) -> I16:
    """Codestream, and the stored plane u8[H,W] -> i16[2,H,W]. Raises FormatError with ``what`` named."""
    if len(data) < _COUNT.size:
        raise FormatError(f"{what}: palette in {len(data)} bytes, expected at least {_COUNT.size}")
    (count,) = _COUNT.unpack_from(data)
    raw = np.frombuffer(
        residuals.decompress_frame(data[_COUNT.size :], _BYTES * count + lightness.size, what), np.uint8
    )
    levels = raw[:count]
    if (levels[1:] < levels[:-1]).any():
        raise FormatError(f"{what}: colours of the palette are not in the order of their lightness")
    indices = raw[_BYTES * count :].reshape(lightness.shape)
    if (indices >= places(levels)[0][lightness]).any():
        raise FormatError(f"{what}: a pixel has a colour that its lightness does not have")
    split = raw[count : _BYTES * count].reshape(2, 2, count)
    samples = np.ascontiguousarray(np.moveaxis(split, 0, -1)).view("<i2")[..., 0].astype(np.int16)
    return painted(Palette(levels, samples), indices, lightness)


def painted(palette: Palette, indices: U8, lightness: U8) -> I16:
    """The samples i16[2,H,W] of pixels that have these of their lightness's colours."""
    _, first = places(palette.lightness)
    return palette.samples[:, first[lightness] + indices]


def places(levels: U8) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """How many colours each lightness has, and the place of its first one, both [256]; levels: as sorted."""
    alike = np.bincount(levels, minlength=_LEVELS).astype(np.int32)
    return alike, (alike.cumsum() - alike).astype(np.int32)
