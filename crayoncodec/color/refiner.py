"""Behind nested grids: cells are continued down to pixels, and a network in integers refines what they are.

Continued by guided details alone, as the levels are that are not coded; then a small U-Net at half of the
resolution, told the lightness of four pixels and their cell's colour, adds to the four colours of each. All of
it is integers: the same on every machine (docs/format.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from crayoncodec.color.features import (
    Array,
    Lightness,
    binomial,
    bicubic_details,
    blocks,
    children,
    details,
    pyramid,
    namespace,
    small,
    guided_details,
    wide,
)
from crayoncodec.color.predictor import TOP, Layer, convolve, folded
from crayoncodec.color.levels import MAX_CELL, _like, _there

PLANES: Final = 17
"""That the network is given."""
OUTPUTS: Final = 8
"""a* and b* of four pixels, row by row."""
STRIDE: Final = 8
"""Of the deepest level, in cells of 2 x 2 pixels."""
Integers = Any
UNIT_OUT: Final = 32
"""Of an output in a CIELAB unit."""
LOUDEST: Final = 256
"""The gate where the network is heard in full."""
_MOST_TEXTURE: Final = 1023
_QUIET: Final = 4000
"""Mean square of texture that rounding to 8 bits makes of a ramp, tripled, in squared units of lightness."""
_HALF_HEARD: Final = 3000
"""How much more makes the network count half."""
_SUMMED: Final = 256 * STRIDE**2
"""Of what weights a sum of texture is."""


def continued(cells: Array, levels: dict[int, Lightness], spacing: int, finest: int) -> Array:
    """Cells [...,2,h,w] of ``spacing`` -> those of ``finest``, by guided details."""
    while spacing > finest:
        spacing //= 2
        fine = levels[spacing]
        found = guided_details(cells, levels[2 * spacing], fine)[0]
        cells = divided(cells, found, fine.means.shape[-2:])
    return cells


def divided(parents: Array, found: Array, shape: Any) -> Array:
    """Parents and their details -> cells of a level of ``shape``."""
    rows, columns = shape
    there = _there(rows, columns)
    meant = _like(np.stack([there, there], 1).reshape(6, *there.shape[1:]), parents)
    return children(wide(parents), found * meant).clip(-MAX_CELL, MAX_CELL)[..., :rows, :columns]


def planes(
    parents: Array, guided: Array, levels: dict[int, Lightness], loudness: Array, spacing: int
) -> Array:
    """What the network is given: int8[...,PLANES,h,w].

    parents: cells of 2 x 2 pixels, [...,2,h,w]. guided: their details, [...,6,h,w]. loudness: of the picture's
    step, in 1/8 of an octave. spacing: of the finest cells that were decoded.
    """
    coarse, fine = levels[2].means, levels[1].means
    ones = namespace(parents).ones_like(coarse)
    return namespace(parents).concat(
        [
            small(plane)
            for plane in (
                *((part - coarse) >> 5 for part in blocks(fine)),
                (coarse >> 6) - 128,
                parents >> 8,
                (parents * 256 - binomial(parents)) >> 14,
                guided >> 6,
                loudness * ones,
                (16 * (spacing.bit_length() - 1) - 16) * ones,
            )
        ],
        -3,
    )


class Refiner:
    """The network of crayoncodec.networks.behind_loop, in integers."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        self.layers = layers
        self._depth = sum(name.startswith("down.") for name in layers)

    def outputs(self, given: Integers) -> Integers:
        """Planes int8[PLANES,h,w], sides multiples of STRIDE -> colours to add int[OUTPUTS,h,w]."""
        x, skips = self._hidden("stem", given), []
        for k in range(self._depth):
            skips.append(x)
            x = self._hidden(f"down.{k}", folded_up(x))
            x = self._hidden(f"before.{k}", x, x)
        x = self._hidden("bottom", x, x)
        for k in reversed(range(self._depth)):
            skip = skips.pop()
            x = unfolded(self._hidden(f"up.{k}", x, folded_up(skip)))
            x = self._hidden(f"after.{k}", x, x)
        return self._convolve("head", x)

    def _hidden(self, name, planes, added=0):
        return (self._convolve(name, planes) + added).clip(0, TOP).astype(np.uint8)

    def _convolve(self, name, planes):
        return convolve(*folded(self.layers[name], np.float32), planes).astype(np.int32)


def folded_up(x):
    c, h, w = x.shape
    return x.reshape(c, h // 2, 2, w // 2, 2).transpose(0, 2, 4, 1, 3).reshape(4 * c, h // 2, w // 2)


def unfolded(x):
    c, h, w = x.shape
    return x.reshape(c // 4, 2, 2, h, w).transpose(0, 3, 1, 4, 2).reshape(c // 4, 2 * h, 2 * w)


def painted(plane, samples, spacing, step, network):
    levels = pyramid(plane[None], max(spacing, 2))
    parents = continued(wide(samples), levels, spacing, 2)
    guided = guided_details(parents, levels[2], levels[1])[0]
    cells = divided(parents, guided, plane.shape)
    if network is None:
        return cells
    loud = (int(step) ** 8).bit_length() - 65
    given = planes(parents, guided, levels, loud, spacing)
    _, h, w = given.shape
    given = np.pad(given, ((0, 0), (0, -h % 8), (0, -w % 8)))
    heard = gate(levels)[0].repeat(8, 0).repeat(8, 1)[:h, :w]
    out = network.outputs(given)[:, :h, :w].clip(-4095, 4095).astype(np.int64) * heard >> 5
    return (cells + unfolded(out)[:, : plane.shape[0], : plane.shape[1]]).clip(-MAX_CELL, MAX_CELL)


def gate(levels: dict[int, Lightness]) -> Array:
    """Where the network is heard, 0 to LOUDEST, of every STRIDE x STRIDE cells of 2 x 2 pixels.

    Not where all around there is no texture but that of rounding: in a sky, on a ramp guided details are
    right, and whatever is added is noise.
    """
    texture = (details(wide(levels[1].means)) >> 1) - bicubic_details(wide(levels[2].means))
    sums = (texture.clip(-_MOST_TEXTURE, _MOST_TEXTURE) ** 2).sum(-3)[..., None, :, :]
    for _ in range(STRIDE.bit_length() - 1):
        sums = sum(blocks(sums))
    heard = (binomial(sums) - _SUMMED * _QUIET).clip(0)
    return LOUDEST * heard // (heard + _SUMMED * _HALF_HEARD)
