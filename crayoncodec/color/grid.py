"""Colour grids: one AB sample for every cell of n x n pixels (docs/format.md, "Colour grid")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.geometry import (
    MAX_SPACING,
    MAX_STEP,
    MIN_SPACING,
    SAMPLINGS,
    STEP_UNIT,
    Sampling,
    grid_shape,
)
from crayoncodec.machine import threads

DEFAULT_STEP: Final = 1.0
"""Quantiser step of the samples in CIELAB units (docs/design.md says why)."""
MAX_AB: Final = 128.0
"""Samples are taken as no farther from grey than this; sRGB ends at 108."""
_STRIP_PIXELS: Final = 2**18
_SHORT: Final = 8
"""Up to this spacing sums of every n-th value are quicker than sums of n values."""

F32 = NDArray[np.float32]
I16 = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class ColorGrid:
    """AB samples of a picture, i16[2, h, w] in units of ``step``, h = ceil(H/n), w = ceil(W/n)."""

    samples: I16
    spacing: int
    sampling: Sampling
    step: float
    nested_step: float = 0.0
    """If these are the finest cells of nested grids: their quantiser step for a cell of one pixel, in CIELAB
    units; 0 for a grid of its own."""

    @property
    def is_nested(self) -> bool:
        """Whether the samples were coded as nested grids."""
        return self.nested_step > 0

    @property
    def coarseness(self) -> float:
        """What networks are told: the spacing, or of nested grids their step for a cell of one pixel."""
        return self.nested_step or float(self.spacing)

    def ab(self) -> F32:
        """The samples in CIELAB units, f32[2, h, w], -128 to 128."""
        values: F32 = np.clip(self.samples * np.float32(self.step), -MAX_AB, MAX_AB)
        return values


def sample_grid(
    ab: F32,
    spacing: int,
    sampling: Sampling = "mean",
    step: float = DEFAULT_STEP,
    *,
    visible: NDArray[np.bool_] | None = None,
) -> ColorGrid:
    """AB f32[2,H,W] -> its colour grid, samples rounded to the nearest multiple of ``step``.

    Pixels that are not ``visible``, bool[H,W], do not tint the samples of those that are. Raises ValueError
    for a spacing, sampling or step outside the format's range.
    """
    return sample_grid_of(ab.shape[1:], lambda rows: ab[:, rows], spacing, sampling, step, visible=visible)


def sample_grid_of(
    shape: tuple[int, int],
    render: Callable[[slice], F32],
    spacing: int,
    sampling: Sampling,
    step: float,
    *,
    visible: NDArray[np.bool_] | None = None,
) -> ColorGrid:
    """As ``sample_grid``, of a picture (H, W) that is there in parts only, as for ``sample_rendered``."""
    spacing = _checked(spacing, sampling)

    def seen(rows: slice) -> F32:
        ab = render(rows)
        return ab if visible is None else _spread_visible(ab, visible[rows], spacing)

    return rounded(sample_rendered(shape, spacing, sampling, seen), spacing, sampling, step)


def rounded(cells: F32, spacing: int, sampling: Sampling, step: float) -> ColorGrid:
    """The cells' AB, f32[2,h,w], as samples; raises ValueError as ``sample_grid``."""
    spacing = _checked(spacing, sampling)
    if not 1 / 2 < step * STEP_UNIT < MAX_STEP + 1 / 2:
        raise ValueError(f"step is {step}, expected 1/{STEP_UNIT} to {MAX_STEP}/{STEP_UNIT}")
    step = round(step * STEP_UNIT) / STEP_UNIT
    return ColorGrid(np.rint(cells / np.float32(step)).astype(np.int16), spacing, sampling, step)


def _checked(spacing: int, sampling: Sampling) -> int:
    if spacing not in range(MIN_SPACING, MAX_SPACING + 1):
        raise ValueError(f"spacing n is {spacing}, expected a whole number of {MIN_SPACING} to {MAX_SPACING}")
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling is {sampling!r}, expected one of {', '.join(SAMPLINGS)}")
    return int(spacing)


def sample_rendered(
    shape: tuple[int, int], spacing: int, sampling: Sampling, render: Callable[[slice], F32]
) -> F32:
    """The samples, not rounded, f32[...,h,w], of a picture of ``shape`` that is there in parts only.

    render: gives planes of the picture, f32[...,rows,W], for a slice of its rows; it is asked for whole rows
    of cells, few at a time, by several threads.
    """
    sampled = threads.each(
        lambda rows: reduce_to_cells(render(rows), spacing, sampling),
        strips(shape, spacing),
        products=True,  # what renders may multiply matrices: guided upsampling does
    )
    return np.concatenate(sampled, axis=-2)


def strips(shape: tuple[int, int], spacing: int) -> Iterator[slice]:
    """Rows of a picture (H, W), whole rows of cells and few at a time."""
    height, width = shape
    step = max(1, _STRIP_PIXELS // (width * spacing)) * spacing
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def reduce_to_cells(planes: F32, spacing: int, sampling: Sampling) -> F32:
    """f32[...,H,W] -> one value per cell, f32[...,h,w].

    ``mean``: the mean of the cell's pixels. ``point``: its middle pixel, row min(i*n + n//2, H-1) and
    column min(j*n + n//2, W-1): the paper's "every n-th pixel" (section 2.2), which leaves the phase open.
    """
    height, width = planes.shape[-2:]
    if spacing == 1:  # every pixel is a cell
        return planes
    if sampling == "point":
        rows, columns = point_positions(height, width, spacing)
        return planes[..., rows[:, None], columns]
    sums = _sums(np.swapaxes(_sums(np.swapaxes(planes, -1, -2), spacing), -1, -2), spacing)
    return means_of(sums, (height, width), spacing)


def means_of(sums: NDArray[Any], shape: tuple[int, int], spacing: int) -> F32:
    """Sums over the cells of planes of a shape (H, W), [...,h,w] -> the means, f32[...,h,w]."""
    sides = [np.diff(np.arange(0, length, spacing), append=length) for length in shape]
    cells: F32 = (sums / np.outer(*sides)).astype(np.float32)
    return cells


def _sums(planes: NDArray[np.floating[Any]], spacing: int) -> NDArray[np.float64]:
    """Of ``spacing`` neighbours along the last axis, of fewer at its end."""
    length = planes.shape[-1]
    if spacing > _SHORT or length < spacing:
        return np.add.reduceat(planes, np.arange(0, length, spacing), axis=-1, dtype=np.float64)
    whole = length // spacing * spacing
    first, *others = (planes[..., k:whole:spacing] for k in range(spacing))
    sums = first.astype(np.float64)
    for part in others:
        sums += part
    rest = planes[..., whole:].sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.concatenate([sums, rest], axis=-1) if whole < length else sums


def point_positions(height: int, width: int, spacing: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixel rows and pixel columns at which point samples are taken."""
    rows, columns = grid_shape(height, width, spacing)
    return (
        np.minimum(np.arange(rows) * spacing + spacing // 2, height - 1),
        np.minimum(np.arange(columns) * spacing + spacing // 2, width - 1),
    )


def scatter_samples(grid: ColorGrid, shape: tuple[int, int], window: tuple[slice, slice]) -> F32:
    """The paper's decoder input and where it has samples: f32[3,h,w] of a window of the picture.

    AB, zero between the samples, then a mask: 1 at a sample, zero between.
    """
    sparse = np.zeros((3, *(span.stop - span.start for span in window)), np.float32)
    inside, at = [], []
    for positions, span in zip(point_positions(*shape, grid.spacing), window, strict=True):
        cells = np.flatnonzero((positions >= span.start) & (positions < span.stop))
        inside.append(cells)
        at.append(positions[cells] - span.start)
    sparse[:2, at[0][:, None], at[1]] = grid.ab()[:, inside[0][:, None], inside[1]]
    sparse[2, at[0][:, None], at[1]] = 1
    return sparse


def _spread_visible(ab: F32, visible: NDArray[np.bool_], spacing: int) -> F32:
    """AB f32[2,H,W], its pixels that are not visible (bool[H,W]) as the mean of their cell's visible ones.

    What is hidden under transparent pixels then does not tint those beside them. Cells without a visible
    pixel stay as they are.
    """
    share = reduce_to_cells(visible.astype(np.float32), spacing, "mean")
    means = reduce_to_cells(ab * visible, spacing, "mean") / np.where(share > 0, share, 1)
    rows, columns = (np.arange(size) // spacing for size in visible.shape)
    spread = means[:, rows[:, None], columns]
    return np.where(visible | (share == 0)[rows[:, None], columns], ab, spread)
