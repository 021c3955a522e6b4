"""The geometry of colour grids: spacings, where cells are sampled, steps. Standard library only."""

from __future__ import annotations

from typing import Final, Literal, get_args

MIN_SPACING: Final = 1
MAX_SPACING: Final = 65535
STEP_UNIT: Final = 256
"""Quantiser steps are stored as whole multiples of 1/256 of a CIELAB unit."""
MAX_STEP: Final = 65535
# Stored as their places in this list.
Sampling = Literal["mean", "point"]
SAMPLINGS: Final[tuple[Sampling, ...]] = get_args(Sampling)
SCALES: Final = (1, 2, 4, 8, 16)
"""How many times smaller on either side a picture can be decoded."""


def grid_shape(height: int, width: int, spacing: int) -> tuple[int, int]:
    """Rows and columns of the grid of a height x width picture."""
    return -(-height // spacing), -(-width // spacing)


def scale_within(reduction: int) -> int:
    """The largest of SCALES that makes a picture smaller no more than so many times; 1 if none does."""
    return max((scale for scale in SCALES if scale <= reduction), default=1)


def level_step(step: int, spacing: int) -> int:
    """Quantiser step of a nested level's cells, from that of a cell of one pixel, both in 1/256 of a unit."""
    return max(1, step // spacing)
