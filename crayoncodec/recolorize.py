"""Lightness plane and colour grid -> RGB, tile by tile, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import lab_to_rgb, lightness_from_u8
from crayoncodec.grid import ColorGrid, scatter_samples
from crayoncodec.guided import GuidedModel, Planes

TILE: Final = 1024
"""Side of a tile in pixels, without its overlap."""

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


class Backend(Protocol):
    """A network that turns a window's planes into AB."""

    reach: int
    """Pixels of surroundings that a window needs to come out as in the whole picture."""
    multiple: int
    """Windows begin at multiples of this."""

    def predict(self, planes: Planes, sparse: F32, spacing: int) -> F32:
        """Planes f32[H,W] and f32[2,H,W], sparse samples f32[2,H,W] -> AB f32[2,H,W]."""


class Tile(NamedTuple):
    """A tile and the larger window that it is computed from, as (rows, columns) of the picture."""

    core: tuple[slice, slice]
    window: tuple[slice, slice]

    def cut(self, array: F32) -> F32:
        """The core's part of an array over the window."""
        rows, columns = (
            slice(core.start - window.start, core.stop - window.start)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return array[..., rows, columns]


def tiles(height: int, width: int, side: int, overlap: int) -> Iterator[Tile]:
    """Tiles of at most side x side pixels that cover the picture, each with ``overlap`` around it."""

    def spans(length: int) -> list[tuple[slice, slice]]:
        return [
            (slice(start, min(start + side, length)),
             slice(max(0, start - overlap), min(start + side + overlap, length)))
            for start in range(0, length, side)
        ]  # fmt: skip

    for rows in spans(height):
        for columns in spans(width):
            yield Tile((rows[0], columns[0]), (rows[1], columns[1]))


def recolorize(lightness: U8, grid: ColorGrid | None, backend: Backend | None = None, tile: int = TILE) -> U8:
    """Stored lightness u8[H,W] and its grid -> sRGB u8[H,W,3].

    Without a grid the picture is grey; without a backend its colours are the guided upsampling.
    """
    height, width = lightness.shape
    out = np.empty((height, width, 3), np.uint8)
    model = None if grid is None else GuidedModel.fit(grid, lightness_from_u8(lightness))
    overlap, multiple = (backend.reach, backend.multiple) if backend is not None else (0, 1)
    for part in tiles(height, width, -(-tile // multiple) * multiple, overlap):
        l_window = lightness_from_u8(lightness[part.window])
        if model is None or grid is None:
            ab = np.zeros((2, *l_window.shape), np.float32)
        else:
            top, left = (span.start for span in part.window)
            planes = model.planes(l_window, top, left)
            ab = planes.base
            if backend is not None:
                sparse = scatter_samples(grid, lightness.shape, part.window)
                ab = backend.predict(planes, sparse, grid.spacing)
        out[part.core] = lab_to_rgb(part.cut(l_window), part.cut(ab))
    return out
