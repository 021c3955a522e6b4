"""Kernels of what is shown behind nested grids (refine.h): the integers of color.refiner.

Arrays are C-contiguous, of the dtypes that are named; ``rows`` are those of the cells that the others lie in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.machine import kernels

I8 = NDArray[np.int8]
U16 = NDArray[np.uint16]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]


class Parents(NamedTuple):
    """Cells, and lightness."""

    cells: I32
    """[2,h,w]."""
    coarse: I16
    """Means of the cells, [h,w]."""
    fine: I16
    """Of their children, [rows,columns]."""


class Added(NamedTuple):
    """What a network gives."""

    values: I32
    """[8,rows,across]."""
    gate: U16
    """[ceil(h/8),ceil(w/8)]."""
    first: int
    """Which row of cells the first one is."""


def given(
    parents: Parents, numbers: tuple[int, int], planes: I8, first: int, rows: slice
) -> None:  # fmt: skip
    """What the network is given, into planes [17,rows,across], of which the first row is row ``first``.

    numbers: the two planes that are the same everywhere.
    """
    from crayoncodec.machine import _native

    _native.given(
        *parents, *parents.coarse.shape, *parents.fine.shape, *numbers, planes, first, *planes.shape[1:],
        rows.start, rows.stop, kernels.version(),
    )  # fmt: skip


def continued(parents: Parents, added: Added | None, most: int, cells: I32, first: int, rows: slice) -> None:
    """Children into cells [2,rows,columns], of which the first row is row 2 ``first``."""
    from crayoncodec.machine import _native

    values, gate, start, shape = None, None, 0, (0, 0)
    if added is not None:
        values, gate, start, shape = *added, added.values.shape[1:]
    _native.continued(
        *parents, *parents.coarse.shape, *parents.fine.shape, values, gate, start, *shape, most, cells, first,
        cells.shape[1], rows.start, rows.stop, kernels.version(),
    )  # fmt: skip


def texture(coarse: I16, fine: I16, sums: I32, rows: slice) -> None:
    """Squares of the texture of cells, summed, into sums [h,w]."""
    from crayoncodec.machine import _native

    _native.texture(coarse, fine, *coarse.shape, *fine.shape, sums, rows.start, rows.stop, kernels.version())
