"""Kernels of the levels of nested grids (levels.h): the integers of color.features and color.blocks.

Arrays are C-contiguous, of the dtypes that are named; ``rows`` are those of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.machine import kernels

I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


class Halved(NamedTuple):
    """A level of the pyramid: arrays [h,w]."""

    sums: U8 | NDArray[np.uint16] | I64
    low: U8
    high: U8
    means: I16
    """In 1/64."""
    ranges: I16

    @classmethod
    def empty(cls, height: int, width: int, spacing: int) -> Halved:
        """Of cells of ``spacing`` x ``spacing`` pixels."""
        sums = np.dtype("u1") if spacing == 1 else np.dtype("u2") if spacing <= 16 else np.dtype("i8")
        kinds = (sums, np.dtype("u1"), np.dtype("u1"), np.dtype("i2"), np.dtype("i2"))
        return cls(*(np.empty((height, width), kind) for kind in kinds))


def halve(finer: Halved, new: Halved, spacing: int, rows: slice) -> None:
    """Rows of the level of ``spacing`` from the next finer one."""
    from crayoncodec.machine import _native

    shift = 2 * (spacing.bit_length() - 1) - 6
    _native.halve(
        *finer[:3], *finer.sums.shape, finer.sums.itemsize, new.sums.itemsize, shift, *new, rows.start,
        rows.stop, kernels.version(),
    )  # fmt: skip


class Shape(NamedTuple):
    """Of a level."""

    height: int
    """Of its blocks."""
    width: int
    rows: int
    """Of its cells."""
    columns: int


def prepare(
    shape: Shape, parents: I32, symbols: I16 | None, lightness: Sequence[I16],
    numbers: tuple[int, int, int], out: tuple[I32, I8], rows: slice,
) -> None:  # fmt: skip
    """Guided details [6,h,w] and features [h,w,51] of a level.

    parents: [2,h,w]. symbols: of the blocks that the parents are children of, [6,ceil(h/2),ceil(w/2)].
    lightness: means of the blocks, means and ranges of the cells, means of cells half as large if there are
    any. numbers: step, and the two features that are the same everywhere.
    """
    from crayoncodec.machine import _native

    coarse, fine, ranges, finer = (*lightness, None)[:4]
    _native.prepare(
        parents, symbols, coarse, fine, ranges, finer, *shape, *lightness[-1].shape,
        *numbers, *out, rows.start, rows.stop, kernels.version(),
    )  # fmt: skip


def settle(
    shape: Shape, step: int, half: int, plane: int, new: tuple[I16, I16], decoded: tuple[I16, I16],
    told: tuple[I8, I8], rows: slice,
) -> None:  # fmt: skip
    """Take in symbols and shifts [3,h,w] of a half and plane: into those [6,h,w], and what networks are told.

    told: what is known of the first half [h,w,13], what of the first plane [h,w,6].
    """
    from crayoncodec.machine import _native

    _native.settle(*decoded, *shape, step, half, plane, *new, *told, rows.start, rows.stop)


def children(
    shape: Shape, step: int, parents: I32, guided: I32, decoded: tuple[I16, I16], most: int, cells: I32,
    rows: slice,
) -> None:  # fmt: skip
    """Children [2,rows,columns] of rows of blocks, kept within -most to most."""
    from crayoncodec.machine import _native

    _native.children(
        parents, guided, *decoded, *shape, step, most, cells, rows.start, rows.stop,
        kernels.version(),
    )  # fmt: skip


def turn(cells: I32, cosine: int, sine: int, samples: I16, part: slice) -> None:
    """Cells [2,h,w] -> samples [2,h,w], of a part of all h w; cosine and sine in 1/16384."""
    from crayoncodec.machine import _native

    size = cells[0].size
    _native.turn(cells, cosine, sine, samples, size, part.start, part.stop, kernels.version())
