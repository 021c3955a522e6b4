"""Nested grids that no encoder would write: symbols are drawn; spacings, steps and chunks are chosen.

They reach what pictures do not: clipped cells, escapes, steps that differ between chunks, and first levels of
many cells.
"""

from __future__ import annotations

from unittest import mock

import framing
import independent_decoder
import independent_nested
import numpy as np

from crayoncodec.color import predictor
from crayoncodec.format import entropy, planes

OFFSET = 16
"""Spread that offsets of spreads have, alone."""


def drawn(shape, levels, *, turn=11, spreads=(20, 33), largest=6.0, escapes=0.0, seed=0):
    """The bytes of a file of so many rows and columns.

    levels: of each GRID chunk the spacing of its first level, how many levels it has, and its step.
    largest: about the size of symbols. escapes: share of symbols that are drawn from all there are.
    """
    rng = np.random.default_rng(seed)
    plane = _lightness(shape, rng)
    tables = entropy.Tables(predictor.load(predictor.VERSION).frequencies)
    coders = []

    class Drawing:
        """Stands for the range decoder: what it gives is drawn, and coded."""

        def __init__(self, data, alphabets):
            self.coder, self.offset = entropy.Encoder(tables), 0
            coders.append(self.coder)

        def symbols(self, given):
            if given == [OFFSET]:
                found = rng.integers(-4, 5, 1) * (largest > 0)
                self.coder.put(found, np.array(given))
                return found.tolist()
            found = np.rint(rng.laplace(0, largest, len(given)))
            wild = rng.random(len(given)) < escapes
            found[wild] = rng.integers(-32767, 32768, wild.sum())
            found = found.clip(-32767, 32767).astype(np.int64)
            self.coder.put(found, np.array(given))
            return found.tolist()

    grids: list[bytes] = []
    for spacing, count, step in levels:
        fields = framing.nested_fields(spacing.bit_length() - 1, count, step, predictor.VERSION)
        grids.append(fields + (b"" if grids else bytes([turn, *spreads])))
    with mock.patch.object(independent_nested, "RangeDecoder", Drawing):
        independent_nested.decode(grids, plane, lambda residuals: independent_decoder.restore(residuals, 16))
    return b"".join(
        [
            b"\x89CRY\r\n\x1a\n",
            framing.head(width=shape[1], height=shape[0], grids=len(grids)),
            *[
                framing.chunk(b"GRID", grid + coder.finish())
                for grid, coder in zip(grids, coders, strict=True)
            ],
            framing.chunk(b"LGHT", b"\0\xff" + planes.encode(plane, "zstd", None)),
            framing.END,
        ]
    )


def _lightness(shape, rng):
    """Waves, edges and noise, u8[H,W]."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    smooth = 128 + 60 * np.sin(x / 7) + 40 * np.cos(y / 5)
    edges = 90 * ((x // 9 + y // 13) % 2)
    return (smooth + edges + rng.normal(0, 10, shape)).clip(0, 255).astype(np.uint8)
