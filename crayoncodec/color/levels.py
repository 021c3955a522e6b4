"""Nested colour grids: levels of cell means with halved spacing, the picture's colours from coarse to fine.

Below the coarsest level the details of every block (``features``) are predicted from what is decoded
(parents, lightness) and stored as multiples of a step.

A level of spacing n has ceil(H/n) x ceil(W/n) cells.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from crayoncodec.color.blocks import MAX_CELL, kind
from crayoncodec.color.features import Array, Lightness
from crayoncodec.color.geometry import level_step


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


def stages(
    networks: Callable[[int], Any], coarsest: Array, levels: dict[int, Lightness], spacing: int, finest: int,
    steps: Callable[[int], tuple[Array, Array]],
) -> Generator[Stage, Array, Array]:  # fmt: skip
    """Go through the levels below ``coarsest``, cells [...,2,h,w] of ``spacing``, down to spacing ``finest``.

    networks: spacing -> a Predictor of crayoncodec.color.predictor or of crayoncodec.networks.in_loop. steps:
    spacing -> step and loudness. For every Stage that is yielded its symbols are sent, [...,3,h,w], 0 outside
    the mask. Returns the cells of the finest level.
    """
    cells, above = coarsest.clip(-MAX_CELL, MAX_CELL), None
    while spacing > finest:
        spacing //= 2
        network = networks(spacing)
        step, loudness = steps(spacing)
        blocks, given = kind(cells).prepared(cells, above, levels, spacing, step, loudness)
        levels = {n: known for n, known in levels.items() if n <= spacing and spacing > finest}
        hidden = network.trunk(given)
        del given
        for half in range(2):
            mask = blocks.mask(half)
            if half:
                hidden = network.second(hidden, blocks.known())
            for plane in range(2):
                own = blocks.first_plane() if plane else ()
                shifts, spreads = network.head(half, plane, hidden, *own)
                guided = blocks.guided[..., plane::2, :, :]
                decided = yield Stage(spacing, step, plane, mask, guided, shifts, spreads)
                blocks.settle(half, plane, decided, network.integers(shifts))
        del hidden, shifts, spreads, decided
        cells, above = blocks.cells(), blocks.symbols
        del blocks, guided, mask
    return cells


def answered(walk: Generator[Stage, Array, Array], answer: Callable[[Stage], Array]) -> Array:
    """Go through all ``stages`` with the symbols that ``answer`` gives; the cells of the finest level."""
    try:
        stage = next(walk)
        while True:
            stage = walk.send(answer(stage))
    except StopIteration as stop:
        return stop.value
