"""Nested colour grids: levels of cell means with halved spacing, the picture's colours from coarse to fine.

Below the coarsest level every 2 x 2 block of cells is its parent plus three *details*, the orthonormal Haar
differences H, V and D of either colour plane. They are predicted from what is decoded (parents, lightness)
and stored as multiples of a step. Everything here is integer arithmetic on numpy arrays or torch tensors, and
gives the same on both: what the entropy coder reads depends on it.

Colours are in 1/256 of a CIELAB unit, in axes turned by the picture's angle; lightness means in 1/64 of a
level of the 8-bit plane. Arrays are [..., C, h, w]: tensors int64, numpy arrays of as few bits as hold their
values, computed in bands of rows by several threads. A level of spacing n has ceil(H/n) x ceil(W/n) cells.
Where a level's side is odd, its last row or column stands for the missing children of the last blocks too
(docs/format.md, "Nested grids").
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec import threads
from crayoncodec.container import level_step

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
MAX_CELL: Final = 65535
"""Decoded cells are kept within this, so that nothing overflows whatever a file says."""
SHIFTS: Final = 16
"""Units of a predicted shift in a step."""
_EPSILON: Final = 160 * 51 * 51 * LIGHT**2 // 20**2
"""The slope's regulariser of guided upsampling (160 squared L* units) in squared units of lightness means."""
_SLOPE_BITS: Final = 12
_BINOMIAL: Final = (1, 4, 6, 4, 1)
_AROUND: Final = 2
"""Rows of neighbours that filters reach."""
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
    xp = _namespace(plane)
    low, high, sums = plane, plane, plane
    means = _narrow(plane) * LIGHT
    levels = {1: Lightness(means, xp.broadcast_to(means[..., :1, :1] * 0, means.shape))}
    spacing, shift = 1, -6
    while spacing < coarsest:
        spacing, shift = 2 * spacing, shift + 2
        if xp is np and spacing in (2, 32):  # sums have 8 bits, up to 16 x 16 pixels 16, then more
            sums = sums.astype(np.uint16 if spacing == 2 else np.int64)
        sums = sum(blocks(sums))
        low, high = reduce(xp.minimum, blocks(low)), reduce(xp.maximum, blocks(high))
        means = sums << -shift if shift <= 0 else (sums + (1 << (shift - 1))) >> shift
        levels[spacing] = Lightness(_narrow(means), _narrow(high) - _narrow(low))
    return levels


def details(children: Array) -> Array:
    """Cells [...,C,2h,2w] -> twice their details [...,3C,h,w]: H of all planes, V of all, D of all."""
    a, b, c, d = blocks(children)
    return _namespace(children).concat([a - b + c - d, a + b - c - d, a - b - c + d], -3)


def children(parents: Array, found: Array) -> Array:
    """Parents [...,C,h,w] and their details [...,3C,h,w] -> cells [...,C,2h,2w]."""
    xp, planes = _namespace(parents), parents.shape[-3]
    h, v, d = (found[..., k * planes : (k + 1) * planes, :, :] for k in range(3))
    rows = [
        xp.stack([parents + ((h + v + d) >> 1), parents + ((v - h - d) >> 1)], -1),
        xp.stack([parents + ((h - v - d) >> 1), parents + ((d - h - v) >> 1)], -1),
    ]
    *batch, height, width = parents.shape
    return xp.stack([row.reshape((*batch, height, 2 * width)) for row in rows], -2).reshape(
        (*batch, 2 * height, 2 * width)
    )


def guided_details(parents: Array, coarse: Lightness, fine: Lightness) -> tuple[Array, Array]:
    """Details [...,6,h,w] by guided upsampling of the parents [...,2,h,w], and by bicubic interpolation."""
    xp = _namespace(parents)
    parents, light = _wide(parents), _wide(coarse.means)
    mean = _binomial(light)
    variance = _binomial(light * light) * 256 - mean * mean
    covariance = _binomial(parents * light) * 256 - _binomial(parents) * mean
    slope = (covariance << _SLOPE_BITS) // (variance.clip(0) + _EPSILON * 65536)
    bicubic = _bicubic_details(parents)
    texture = (details(fine.means) >> 1) - _bicubic_details(light)
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
    xp = _namespace(parents)
    coarse, fine = levels[2 * spacing], levels[spacing]
    finer = levels[spacing // 2].means if spacing > 1 else _doubled(fine.means)
    sub = [quarter for half in blocks(finer) for quarter in blocks(half)]
    ones = xp.ones_like(coarse.means)
    planes: list[Array] = [
        *(((part - coarse.means) >> 5) for part in sub),
        *(part >> 1 for part in blocks(fine.ranges)),
        (coarse.means >> 6) - 128,
        parents >> 8,
        (parents * 256 - _binomial(parents)) >> 14,
        guided >> 6,
        (guided * 8) // step,
        bicubic >> 6,
        abs(symbols.clip(-7, 7)) * 16,
        loudness * ones,
        (16 * (spacing.bit_length() - 1) - 48) * ones,
    ]
    return xp.concat([_small(plane) for plane in planes], -3)


def known(symbols: Array, corrections: Array, step: Array, mask: Array) -> Array:
    """What is known of the first half of the blocks: int8[...,KNOWN,h,w].

    symbols, corrections (details less the guided ones): [...,6,h,w], 0 where not decoded. mask: where they
    are.
    """
    there = _small(mask * 32 + 0 * symbols[..., :1, :, :])
    return _namespace(symbols).concat([*seen(symbols, corrections, step), there], -3)


def seen(symbols: Array, corrections: Array, step: Array) -> tuple[Array, Array]:
    """Symbols and corrections, as networks are given them."""
    return _small(symbols.clip(-LIMIT, LIMIT) * 32), _small((corrections * 32) // step)


def _small(values: Array) -> Array:
    xp = _namespace(values)
    return xp.asarray(values.clip(-LIMIT, LIMIT), dtype=xp.int8)


def _narrow(values: Array) -> Array:
    """Numpy arrays as int16, tensors as they are."""
    return values.astype(np.int16) if isinstance(values, np.ndarray) else values


def _wide(values: Array) -> Array:
    xp = _namespace(values)
    return xp.asarray(values, dtype=xp.int64)


def _empty(like: Array, channels: int, dtype: str, shape: tuple[int, int] | None = None) -> Array:
    """[...,channels,h,w], by default of the shape of ``like``; tensors are int64 where numpy has less."""
    *batch, _, height, width = like.shape
    whole = (*batch, channels, *(shape or (height, width)))
    if isinstance(like, np.ndarray):
        return np.empty(whole, dtype)
    xp = _namespace(like)
    return like.new_empty(whole, dtype=xp.int8 if dtype == "int8" else xp.int64)


def step_of(step: int, spacing: int) -> tuple[int, int]:
    """Quantiser step of a level's cells in 1/COLOR of a CIELAB unit, and its loudness.

    step: of a cell of one pixel, in the same units: a cell of n x n pixels weighs n times as much.
    """
    own = level_step(step, spacing)
    return own, (own**8).bit_length() - 65


class Stage(NamedTuple):
    """A quarter of a level's details: what is predicted of them, before their symbols are known."""

    spacing: int
    """Of the level's cells."""
    step: Array
    plane: int
    """Of the two colour planes."""
    mask: Array
    """The details that are meant, bool[3,h,w]."""
    guided: Array
    """[...,3,h,w]."""
    shifts: Array
    """Of the prediction from ``guided``, in 1/SHIFTS of a step, [...,3,h,w]."""
    spreads: Array
    """Which distribution each symbol has, [...,3,h,w]."""


class _Blocks(NamedTuple):
    """The blocks of a level, in part decoded."""

    parents: Array
    """[...,2,h,w]."""
    guided: Array
    """Details, [...,6,h,w]."""
    symbols: Array
    """[...,6,h,w], 0 where not decoded."""
    shifts: Array
    """Whole numbers, likewise."""
    step: Array

    def window(self, window: threads.Window) -> _Blocks:
        """Some of the blocks."""
        parents, guided, symbols, shifts = (planes[..., *window] for planes in self[:4])
        return _Blocks(parents, guided, symbols, shifts, self.step)

    def corrections(self) -> Array:
        """Of ``guided``."""
        shifts, symbols = _wide(self.shifts), _wide(self.symbols)
        return shifts * self.step // SHIFTS + symbols * self.step


def stages(
    networks: Callable[[int], Any], coarsest: Array, levels: dict[int, Lightness], spacing: int, finest: int,
    steps: Callable[[int], tuple[Array, Array]],
) -> Generator[Stage, Array, Array]:  # fmt: skip
    """Go through the levels below ``coarsest``, cells [...,2,h,w] of ``spacing``, down to spacing ``finest``.

    networks: spacing -> a Predictor of crayoncodec.predictor or of crayoncodec.networks.nested. steps:
    spacing -> step and loudness. For every Stage that is yielded its symbols are sent, [...,3,h,w], 0 outside
    the mask. Returns the cells of the finest level.
    """
    xp = _namespace(coarsest)
    cells = coarsest.clip(-MAX_CELL, MAX_CELL)
    symbols = _narrow(xp.concat([cells * 0] * 3, -3))
    while spacing > finest:
        spacing //= 2
        network = networks(spacing)
        step, loudness = steps(spacing)
        rows, columns = levels[spacing].means.shape[-2:]
        guided, given = _prepared(cells, symbols, levels, spacing, step, loudness)
        hidden = network.trunk(given)
        del given
        found = _Blocks(cells, guided, symbols * 0, symbols * 0, step)
        there = _like(_there(rows, columns), guided)
        first = _like(_board(*cells.shape[-2:]), guided)
        for half, board in enumerate((first, ~first)):
            if half:
                hidden = network.second(hidden, _known(found, first))
            for plane in range(2):
                own = _first_plane(found) if plane else ()
                shifts, spreads = network.head(half, plane, hidden, *own)
                mask = there & board
                decided = yield Stage(
                    spacing, step, plane, mask, guided[..., plane::2, :, :], shifts, spreads
                )
                found.symbols[..., plane::2, :, :] += decided
                found.shifts[..., plane::2, :, :] += network.integers(shifts) * mask
        cells = _cells(found, there)[..., :rows, :columns]
        if spacing > finest:
            symbols = _doubled(found.symbols)[..., :rows, :columns]
    return cells


def answered(walk: Generator[Stage, Array, Array], answer: Callable[[Stage], Array]) -> Array:
    """Go through all ``stages`` with the symbols that ``answer`` gives; the cells of the finest level."""
    try:
        stage = next(walk)
        while True:
            stage = walk.send(answer(stage))
    except StopIteration as stop:
        return stop.value


def _prepared(
    parents: Array, symbols: Array, levels: dict[int, Lightness], spacing: int, step: Array, loudness: Array
) -> tuple[Array, Array]:
    """Guided details of a level, and its features; arguments as for ``features``."""
    height, width = parents.shape[-2:]
    guided, given = _empty(parents, 6, "int32"), _empty(parents, FEATURES, "int8")

    def part(window: threads.Window) -> None:
        near, inner = threads.around(window, _AROUND, height, width)
        light = {}
        for n in (2 * spacing, spacing, max(1, spacing // 2)):
            inside = [slice(span.start * 2 * spacing // n, span.stop * 2 * spacing // n) for span in near]
            light[n] = Lightness(*(planes[..., *inside] for planes in levels[n]))
        own = parents[..., *near]
        details, bicubic = guided_details(own, light[2 * spacing], light[spacing])
        planes = features(own, symbols[..., *near], details, bicubic, light, spacing, step, loudness)
        guided[..., *window], given[..., *window] = details[..., *inner], planes[..., *inner]

    _in_parts(part, parents)
    return guided, given


def _known(found: _Blocks, first: Array) -> Array:
    """As ``known``, of blocks whose first half is decoded."""
    out = _empty(found.parents, KNOWN, "int8")

    def part(window: threads.Window) -> None:
        own = found.window(window)
        out[..., *window] = known(own.symbols, own.corrections(), found.step, first[..., *window])

    _in_parts(part, out)
    return out


def _first_plane(found: _Blocks) -> tuple[Array, Array]:
    """As ``seen``, of the first colour plane."""
    out = _empty(found.parents, 3, "int8"), _empty(found.parents, 3, "int8")

    def part(window: threads.Window) -> None:
        own = found.window(window)
        both = seen(own.symbols[..., 0::2, :, :], own.corrections()[..., 0::2, :, :], found.step)
        for planes, values in zip(out, both, strict=True):
            planes[..., *window] = values

    _in_parts(part, found.parents)
    return out


def _cells(found: _Blocks, there: Array) -> Array:
    """Children of all blocks, [...,2,2h,2w]; there: the details that tell children apart that are there."""
    height, width = found.parents.shape[-2:]
    out = _empty(found.parents, 2, "int32", (2 * height, 2 * width))
    meant = _namespace(there).stack([there, there], 1).reshape(6, height, width)

    def part(window: threads.Window) -> None:
        own = found.window(window)
        details = (own.guided + own.corrections()) * meant[:, *window]
        cells = children(own.parents, details).clip(-MAX_CELL, MAX_CELL)
        out[..., *(slice(2 * span.start, 2 * span.stop) for span in window)] = cells

    _in_parts(part, found.parents)
    return out


def _in_parts(work: Callable[[threads.Window], None], planes: Array) -> None:
    """``work`` of all rows and columns, arrays' in parts, tensors' at once."""
    height, width = planes.shape[-2:]
    if isinstance(planes, np.ndarray):
        threads.each(work, threads.windows(height, width))
    else:
        work((slice(0, height), slice(0, width)))


def _there(rows: int, columns: int) -> NDArray[np.bool_]:
    """Which details of blocks tell children apart that are there: bool[3,ceil(rows/2),ceil(columns/2)]."""
    below = (np.arange(-(-rows // 2)) * 2 + 1 < rows)[:, None]
    beside = np.arange(-(-columns // 2)) * 2 + 1 < columns
    return np.stack(np.broadcast_arrays(beside, below, below & beside))


def _board(height: int, width: int) -> NDArray[np.bool_]:
    """The blocks that come first, as on a checkerboard: bool[h,w]."""
    first: NDArray[np.bool_] = (np.arange(height)[:, None] + np.arange(width)) % 2 == 0
    return first


def _bicubic_details(parents: Array) -> Array:
    """Details of bicubic interpolation, H and V along one axis each."""
    across, down = _filtered(parents, _BICUBIC, -1), _filtered(parents, _BICUBIC, -2)
    both = _filtered(across, _BICUBIC, -2)
    return _namespace(parents).concat([across >> 8, down >> 8, both >> 17], -3)


def _binomial(cells: Array) -> Array:
    """256 times the mean over the 5 x 5 binomial window, the nearest cell repeated beyond the border."""
    return _filtered(_filtered(cells, _BINOMIAL, -1), _BINOMIAL, -2)


def _filtered(cells: Array, weights: tuple[int, ...], axis: int) -> Array:
    """Weighted sums of five neighbours along the last axis or the one before."""

    def cut(first: int, last: int) -> Array:
        window = slice(first, last)
        return cells[..., window] if axis == -1 else cells[..., window, :]

    length = cells.shape[axis]
    cells = _namespace(cells).concat([cut(0, 1)] * 2 + [cells] + [cut(length - 1, length)] * 2, axis)
    return sum(weight * cut(k, k + length) for k, weight in enumerate(weights) if weight)


def blocks(cells: Array) -> tuple[Array, Array, Array, Array]:
    """The four children of every block, [...,ceil(h/2),ceil(w/2)] each, row by row."""
    xp = _namespace(cells)
    if cells.shape[-2] % 2:
        cells = xp.concat([cells, cells[..., -1:, :]], -2)
    if cells.shape[-1] % 2:
        cells = xp.concat([cells, cells[..., -1:]], -1)
    return cells[..., ::2, ::2], cells[..., ::2, 1::2], cells[..., 1::2, ::2], cells[..., 1::2, 1::2]


def _doubled(cells: Array) -> Array:
    xp = _namespace(cells)
    *batch, height, width = cells.shape
    wide = xp.stack([cells, cells], -1).reshape((*batch, height, 2 * width))
    return xp.stack([wide, wide], -2).reshape((*batch, 2 * height, 2 * width))


def _like(mask: np.ndarray, array: Array) -> Array:
    if isinstance(array, np.ndarray):
        return mask
    import torch

    return torch.as_tensor(mask, device=array.device)


def _namespace(array: Array) -> Any:
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch
