"""Kernels around the range coder (symbols.h), of parts of flat arrays.

Arrays are C-contiguous, of the dtypes that are named.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def count(spreads: U8, mask: Mask, part: slice) -> I64:
    """How often each spread comes in a part of the flat array where the mask is True: i64[256]."""
    from crayoncodec.machine import _native

    counts = np.zeros(256, np.int64)
    _native.count(spreads, mask, spreads.size, part.start, part.stop, counts)
    return counts


def sort(spreads: U8, mask: Mask, part: slice, starts: I64, positions: U32) -> None:
    """Positions of a part's spreads, from each spread's start [256] on, which moves."""
    from crayoncodec.machine import _native

    _native.sort(spreads, mask, spreads.size, part.start, part.stop, starts, positions, positions.size)


def place(positions: U32, found: I16, part: slice, symbols: I16) -> None:
    """The symbols at a part of the positions become those found there."""
    from crayoncodec.machine import _native

    _native.place(positions, found, found.size, part.start, part.stop, symbols, symbols.size)


def choose(
    targets: F64, guided: I32, predicted: tuple[I16, U8], mask: Mask, step: int, largest: int, bits: F32,
    prices: F32, dead_zone: float, symbols: I16, part: slice,
) -> None:  # fmt: skip
    """Symbols of a part of the details, 0 outside the mask: the nearest, one nearer to zero, or zero.

    Planes are [3,h,w]. targets: twice the details. predicted: shifts and spreads. largest: symbol. bits:
    [spreads, n], of symbols -(n - 2) / 2 to (n - 2) / 2, of an escape. prices: of a bit in squared steps,
    [h,w]; where it is 0, what is within the dead zone becomes 0.
    """
    from crayoncodec.machine import _native

    kinds, letters = bits.shape
    _native.choose(
        targets, guided, *predicted, mask, prices.size, step, largest, bits, kinds, letters // 2 - 1, prices,
        dead_zone, symbols, part.start, part.stop,
    )  # fmt: skip
