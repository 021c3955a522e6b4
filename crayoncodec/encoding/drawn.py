"""Pictures that were drawn, not taken: charts, text, screenshots. A palette has all of their colours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import cielab
from crayoncodec.color.means import mean_ab
from crayoncodec.format.palette import MOST, MOST_ALIKE, Palette, places

_FEW: Final = 256
_STEPS: Final = (1 / 16, 1 / 2)
"""Quantiser step of few colours, whose palette is small anyway, and of more, in CIELAB units."""
EXACT_IS_WORTH: Final = 9 / 8
"""How many times the bytes of a lossy file an exact one may have."""
_FLAT: Final = 2 / 3
"""What part of a drawing's pixels have the very colour of the pixel to their left."""
_ROWS: Final = 64
_COLORS: Final = 2**24

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]


def is_drawn(rgb: U8) -> bool:
    """Whether so much of a picture u8[H,W,3] is flat that colour by colour may be the shorter way."""
    height, width = rgb.shape[:2]
    flat = sum(int((part[:, 1:] == part[:, :-1]).sum()) for part in _packed(rgb))
    return bool(flat >= _FLAT * height * width)


class Drawing(NamedTuple):
    """A picture by its colours."""

    palette: Palette
    """Of the colours of each lightness the most frequent one is the first."""
    indices: U8
    """Which of those of its lightness each pixel has, [H,W]."""
    step: float
    """Quantiser step of the palette, in CIELAB units."""


def drawing_of(rgb: U8) -> Drawing | None:
    """A picture u8[H,W,3] by its colours, None where there are too many for a palette."""
    found = np.zeros(_COLORS, np.uint32)
    for part in _packed(rgb):
        some, counts = np.unique(part, return_counts=True)
        found[some] += counts.astype(np.uint32)
    colors = np.flatnonzero(found)
    if len(colors) > MOST:
        return None
    step = _STEPS[len(colors) > _FEW]
    given = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], -1).astype(np.uint8)[None]
    lightness = cielab.stored_lightness(given)[0]
    samples = np.rint(mean_ab(given, 1)[:, 0] / step).astype(np.int16)
    # Colours that become the same are one.
    keys, one = np.unique(
        np.concatenate([lightness[None].astype(np.int16), samples]), axis=1, return_inverse=True
    )
    counts = np.bincount(one.ravel(), found[colors])
    order = np.lexsort((-counts, keys[0]))
    palette = Palette(keys[0, order].astype(np.uint8), keys[1:, order])
    alike, first = places(palette.lightness)
    if alike.max() > MOST_ALIKE:
        return None
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    index = np.zeros(_COLORS, np.uint8)
    index[colors] = place[one.ravel()] - first[lightness]
    return Drawing(palette, np.concatenate([index[part] for part in _packed(rgb)]), step)


def _packed(rgb: U8) -> Iterator[U32]:
    """Bands of rows, each colour a number."""
    for start in range(0, len(rgb), _ROWS):
        red, green, blue = np.moveaxis(rgb[start : start + _ROWS].astype(np.uint32), -1, 0)
        yield red << 16 | green << 8 | blue
