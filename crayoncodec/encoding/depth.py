"""How deep the levels of nested grids go: as long as the next one is worth its bits.

What guided details lack of the picture is known when cells are fitted to them, before anything is coded. What
is larger than a step will take bits, and take off its square; the mean of what squares are larger by says as
much as both depths coded would (docs/design.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from crayoncodec.encoding.halving import details

_WORTH_IT: Final = 0.002
"""Squared steps by which the squares of details have to be larger than one, in the mean."""
_SHIFT: Final = 21
"""Bits of a 32-bit floating-point number behind its exponent and two more."""

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def _middles() -> F64:
    """Of the classes of a tally, four to an octave: numbers of which the first eleven bits are the same."""
    infinite = 0xFF << (23 - _SHIFT)
    bits = (np.arange(infinite, dtype=np.int32) << _SHIFT) + (1 << (_SHIFT - 1))
    return bits.view(np.float32).astype(np.float64)


_SQUARES: Final = _middles()


def tally(missing: F32) -> I64:
    """How many details of cells f32[2,H,W], in CIELAB units, have a square in each of ``_SQUARES``."""
    squares = np.square(np.stack([detail for plane in missing for detail in details(plane)]))
    return np.bincount(squares.view(np.int32).ravel() >> _SHIFT, minlength=len(_SQUARES))


def pays(counts: I64, step: float) -> bool:
    """Whether details of which there are so many are worth coding with a quantiser step, in CIELAB units."""
    larger = np.maximum(_SQUARES / step**2 - 1, 0)
    return bool((counts * larger).sum() > _WORTH_IT * counts.sum())
