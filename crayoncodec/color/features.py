"""What a level of nested grids is made of, and what its details are predicted from.

Every 2 x 2 block of cells is its parent plus three *details*, the orthonormal Haar differences H, V and D of
either colour plane. Everything here is integer arithmetic on numpy arrays or torch tensors [..., C, h, w],
and gives the same on both: what the entropy coder reads depends on it (docs/format.md, section 11).

Colours are in 1/256 of a CIELAB unit, in axes turned by the picture's angle; lightness means in 1/64 of a
level of the 8-bit plane.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.machine import kernels, level_kernels, threads

COLOR: Final = 256
"""Units of a colour in a CIELAB unit."""
LIGHT: Final = 64
"""Units of a lightness mean in a level of the plane."""
FEATURES: Final = 51
"""Planes that predictions are made from."""
KNOWN: Final = 13
"""Planes that the second half of the blocks has besides."""
LIMIT: Final = 127
"""Features are -127 to 127."""
_EPSILON: Final = 160 * 51 * 51 * LIGHT**2 // 20**2
"""The slope's regulariser of guided upsampling (160 squared L* units) in squared units of lightness means."""
_SLOPE_BITS: Final = 12
_BINOMIAL: Final = (1, 4, 6, 4, 1)
_BICUBIC: Final = (-9, 94, 0, -94, 9)
"""256 times the difference of two children by bicubic interpolation (Keys 1981, -0.75) between parents."""
Array = Any
"""np.ndarray or torch.Tensor."""


class Lightness(NamedTuple):
    """What a level knows of the lightness plane, integers [...,1,h,w]."""

    means: Array
    """In 1/LIGHT of the plane's levels."""
    ranges: Array
    """Largest less smallest value."""


def pyramid(plane: Array, coarsest: int) -> dict[int, Lightness]:
    """Lightness plane [...,1,H,W] -> spacing, the powers of two to ``coarsest`` -> what is known."""
    if isinstance(plane, np.ndarray) and plane.dtype == np.uint8 and plane.ndim == 3 and kernels.are_there():
        return _compiled_pyramid(np.ascontiguousarray(plane[0]), coarsest)
    xp = namespace(plane)
    low, high, sums = plane, plane, plane
    means = narrow(plane) * LIGHT
    levels = {1: Lightness(means, xp.broadcast_to(means[..., :1, :1] * 0, means.shape))}
    spacing, shift = 1, -6
    while spacing < coarsest:
        spacing, shift = 2 * spacing, shift + 2
        if xp is np and spacing in (2, 32):  # sums have 8 bits, up to 16 x 16 pixels 16, then more
            sums = sums.astype(np.uint16 if spacing == 2 else np.int64)
        sums = sum(blocks(sums))
        low, high = reduce(xp.minimum, blocks(low)), reduce(xp.maximum, blocks(high))
        means = sums << -shift if shift <= 0 else (sums + (1 << (shift - 1))) >> shift
        levels[spacing] = Lightness(narrow(means), narrow(high) - narrow(low))
    return levels


def _compiled_pyramid(plane: NDArray[np.uint8], coarsest: int) -> dict[int, Lightness]:
    """As ``pyramid``, of u8[H,W]."""
    means = np.empty(plane.shape, np.int16)
    threads.each(
        lambda rows: np.multiply(plane[rows], LIGHT, out=means[rows], dtype=np.int16),
        threads.bands(*plane.shape),
    )
    finer = level_kernels.Halved(plane, plane, plane, means, np.broadcast_to(np.int16(0), plane.shape))
    levels, spacing = {1: Lightness(means[None], finer.ranges[None])}, 1
    while spacing < coarsest:
        spacing *= 2
        height, width = (-(-side // 2) for side in finer.means.shape)
        new = level_kernels.Halved.empty(height, width, spacing)
        halve = partial(level_kernels.halve, finer, new, spacing)
        threads.each(halve, threads.bands(height, width))
        levels[spacing] = Lightness(new.means[None], new.ranges[None])
        finer = new
    return levels


def details(children: Array) -> Array:
    """Cells [...,C,2h,2w] -> twice their details [...,3C,h,w]: H of all planes, V of all, D of all."""
    a, b, c, d = blocks(children)
    return namespace(children).concat([a - b + c - d, a + b - c - d, a - b - c + d], -3)


def children(parents: Array, found: Array) -> Array:
    """Parents [...,C,h,w] and their details [...,3C,h,w] -> cells [...,C,2h,2w]."""
    xp, planes = namespace(parents), parents.shape[-3]
    h, v, d = (found[..., k * planes : (k + 1) * planes, :, :] for k in range(3))
    rows = [
        xp.stack([parents + ((h + v + d) >> 1), parents + ((v - h - d) >> 1)], -1),
        xp.stack([parents + ((h - v - d) >> 1), parents + ((d - h - v) >> 1)], -1),
    ]
    *batch, height, width = parents.shape
    return xp.stack([row.reshape((*batch, height, 2 * width)) for row in rows], -2).reshape(
        (*batch, 2 * height, 2 * width)
    )


def blocks(cells: Array) -> tuple[Array, Array, Array, Array]:
    """The four children of every block, [...,ceil(h/2),ceil(w/2)] each, row by row."""
    xp = namespace(cells)
    if cells.shape[-2] % 2:
        cells = xp.concat([cells, cells[..., -1:, :]], -2)
    if cells.shape[-1] % 2:
        cells = xp.concat([cells, cells[..., -1:]], -1)
    return cells[..., ::2, ::2], cells[..., ::2, 1::2], cells[..., 1::2, ::2], cells[..., 1::2, 1::2]


def guided_details(parents: Array, coarse: Lightness, fine: Lightness) -> tuple[Array, Array]:
    """Details [...,6,h,w] by guided upsampling of the parents [...,2,h,w], and by bicubic interpolation."""
    xp = namespace(parents)
    parents, light = wide(parents), wide(coarse.means)
    mean = binomial(light)
    variance = binomial(light * light) * 256 - mean * mean
    covariance = binomial(parents * light) * 256 - binomial(parents) * mean
    slope = (covariance << _SLOPE_BITS) // (variance.clip(0) + _EPSILON * 65536)
    bicubic = bicubic_details(parents)
    texture = (details(fine.means) >> 1) - bicubic_details(light)
    steps = [(slope * texture[..., k : k + 1, :, :]) >> _SLOPE_BITS for k in range(3)]
    return bicubic + xp.concat(steps, -3), bicubic


def features(
    parents: Array, symbols: Array, guided: Array, bicubic: Array, levels: dict[int, Lightness],
    spacing: int, step: Array, loudness: Array,
) -> Array:  # fmt: skip
    """What a level's details are predicted from: int8[...,FEATURES,h,w], -LIMIT to LIMIT.

    parents: [...,2,h,w]. symbols: what was decoded for the parents' own blocks, [...,6,h,w]. spacing: of the
    children. step: of the details, broadcast against the planes. loudness: the same in 1/8 of an octave.
    """
    xp = namespace(parents)
    coarse, fine = levels[2 * spacing], levels[spacing]
    finer = levels[spacing // 2].means if spacing > 1 else doubled(fine.means)
    sub = [quarter for half in blocks(finer) for quarter in blocks(half)]
    ones = xp.ones_like(coarse.means)
    planes: list[Array] = [
        *(((part - coarse.means) >> 5) for part in sub),
        *(part >> 1 for part in blocks(fine.ranges)),
        (coarse.means >> 6) - 128,
        parents >> 8,
        (parents * 256 - binomial(parents)) >> 14,
        guided >> 6,
        (guided * 8) // step,
        bicubic >> 6,
        abs(symbols.clip(-7, 7)) * 16,
        loudness * ones,
        octave(spacing) * ones,
    ]
    return xp.concat([small(plane) for plane in planes], -3)


def octave(spacing: int) -> int:
    """Of cells, as a feature."""
    return min(16 * (spacing.bit_length() - 1) - 48, LIMIT)


def known(symbols: Array, corrections: Array, step: Array, mask: Array) -> Array:
    """What is known of the first half of the blocks: int8[...,KNOWN,h,w].

    symbols, corrections (details less the guided ones): [...,6,h,w], 0 where not decoded. mask: where they
    are.
    """
    there = small(mask * 32 + 0 * symbols[..., :1, :, :])
    return namespace(symbols).concat([*seen(symbols, corrections, step), there], -3)


def seen(symbols: Array, corrections: Array, step: Array) -> tuple[Array, Array]:
    """Symbols and corrections, as networks are given them."""
    return small(symbols.clip(-LIMIT, LIMIT) * 32), small((corrections * 32) // step)


def bicubic_details(parents: Array) -> Array:
    """Details of bicubic interpolation, H and V along one axis each."""
    across, down = _filtered(parents, _BICUBIC, -1), _filtered(parents, _BICUBIC, -2)
    both = _filtered(across, _BICUBIC, -2)
    return namespace(parents).concat([across >> 8, down >> 8, both >> 17], -3)


def binomial(cells: Array) -> Array:
    """256 times the mean over the 5 x 5 binomial window, the nearest cell repeated beyond the border."""
    return _filtered(_filtered(cells, _BINOMIAL, -1), _BINOMIAL, -2)


def _filtered(cells: Array, weights: tuple[int, ...], axis: int) -> Array:
    """Weighted sums of five neighbours along the last axis or the one before."""

    def cut(first: int, last: int) -> Array:
        window = slice(first, last)
        return cells[..., window] if axis == -1 else cells[..., window, :]

    length = cells.shape[axis]
    cells = namespace(cells).concat([cut(0, 1)] * 2 + [cells] + [cut(length - 1, length)] * 2, axis)
    return sum(weight * cut(k, k + length) for k, weight in enumerate(weights) if weight)


def doubled(cells: Array) -> Array:
    """Every cell as four, [...,2h,2w]."""
    xp = namespace(cells)
    *batch, height, width = cells.shape
    wide = xp.stack([cells, cells], -1).reshape((*batch, height, 2 * width))
    return xp.stack([wide, wide], -2).reshape((*batch, 2 * height, 2 * width))


def small(values: Array) -> Array:
    """Within -LIMIT to LIMIT, as int8."""
    xp = namespace(values)
    return xp.asarray(values.clip(-LIMIT, LIMIT), dtype=xp.int8)


def narrow(values: Array) -> Array:
    """Numpy arrays as int16, tensors as they are."""
    return values.astype(np.int16) if isinstance(values, np.ndarray) else values


def wide(values: Array) -> Array:
    """As int64."""
    xp = namespace(values)
    return xp.asarray(values, dtype=xp.int64)


def namespace(array: Array) -> Any:
    """The module, numpy or torch, whose array it is."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch
