"""Nested colour grids: levels of cell means with halved spacing, the picture's colours from coarse to fine.

Below the coarsest level the details of every block (``features``) are predicted from what is decoded
(parents, lightness) and stored as multiples of a step.

Tensors are int64, numpy arrays of as few bits as hold their values, computed in bands of rows by several
threads. A level of spacing n has ceil(H/n) x ceil(W/n) cells. Where a level's side is odd, its last row or
column stands for the missing children of the last blocks too (docs/format.md, "Nested grids").
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.features import (
    FEATURES,
    KNOWN,
    Array,
    Lightness,
    children,
    doubled,
    features,
    guided_details,
    known,
    namespace,
    narrow,
    seen,
    wide,
)
from crayoncodec.color.geometry import level_step
from crayoncodec.machine import threads

MAX_CELL: Final = 65535
"""Decoded cells are kept within this, so that nothing overflows whatever a file says."""
SHIFTS: Final = 16
"""Units of a predicted shift in a step."""
_AROUND: Final = 2
"""Rows of neighbours that filters reach."""


def _empty(like: Array, channels: int, dtype: str, shape: tuple[int, int] | None = None) -> Array:
    """[...,channels,h,w], by default of the shape of ``like``; tensors are int64 where numpy has less."""
    *batch, _, height, width = like.shape
    whole = (*batch, channels, *(shape or (height, width)))
    if isinstance(like, np.ndarray):
        return np.empty(whole, dtype)
    xp = namespace(like)
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
        shifts, symbols = wide(self.shifts), wide(self.symbols)
        return shifts * self.step // SHIFTS + symbols * self.step


def stages(
    networks: Callable[[int], Any], coarsest: Array, levels: dict[int, Lightness], spacing: int, finest: int,
    steps: Callable[[int], tuple[Array, Array]],
) -> Generator[Stage, Array, Array]:  # fmt: skip
    """Go through the levels below ``coarsest``, cells [...,2,h,w] of ``spacing``, down to spacing ``finest``.

    networks: spacing -> a Predictor of crayoncodec.color.predictor or of crayoncodec.networks.in_loop. steps:
    spacing -> step and loudness. For every Stage that is yielded its symbols are sent, [...,3,h,w], 0 outside
    the mask. Returns the cells of the finest level.
    """
    xp = namespace(coarsest)
    cells = coarsest.clip(-MAX_CELL, MAX_CELL)
    symbols = narrow(xp.concat([cells * 0] * 3, -3))
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
            symbols = doubled(found.symbols)[..., :rows, :columns]
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
    meant = namespace(there).stack([there, there], 1).reshape(6, height, width)

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


def _like(mask: np.ndarray, array: Array) -> Array:
    return mask if isinstance(array, np.ndarray) else _on(mask.tobytes(), mask.shape, array.device)


@lru_cache(64)
def _on(mask: bytes, shape: tuple[int, ...], device: Any) -> Array:
    """A mask on a device, where it is asked for at every step of a training."""
    import torch

    return torch.as_tensor(np.frombuffer(mask, bool).reshape(shape).copy(), device=device)
