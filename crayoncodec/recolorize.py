"""Lightness plane and colour grid -> RGB, tile by tile, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import lab_to_rgb
from crayoncodec.grid import ColorGrid, sample_rendered, scatter_samples
from crayoncodec.guided import GuidedModel, Planes, shrunk

TILE: Final = 1024
"""Side of a tile in pixels, without its overlap."""

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Window = tuple[slice, slice]
"""Rows and columns of a picture."""


class Backend(Protocol):
    """A network that turns a window's planes into AB."""

    reach: int
    """Pixels of surroundings that a window needs to come out as in the whole picture."""
    multiple: int
    """Windows begin at multiples of this."""

    def predict(self, planes: Planes, sparse: F32, coarseness: float) -> F32:
        """Planes f32[H,W] and f32[2,H,W], sparse samples f32[3,H,W] (scatter_samples) -> AB f32[2,H,W].

        coarseness: the grid's.
        """


class Tile(NamedTuple):
    """A tile and the larger window that it is computed from."""

    core: Window
    window: Window

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
    paint = painter(lightness, grid, backend, tile)
    out = np.empty((height, width, 3), np.uint8)
    for part in tiles(height, width, tile, 0):
        out[part.core] = lab_to_rgb(lightness[part.core], paint(part.core))
    return out


def painter(
    lightness: U8, grid: ColorGrid | None, backend: Backend | None = None, tile: int = TILE
) -> Callable[[Window], F32]:
    """The function that gives AB f32[2,h,w] of any window of the picture; arguments as for recolorize."""
    if grid is None:
        return lambda window: np.zeros((2, *lightness[window].shape), np.float32)
    if backend is None:
        return _guided(_fitted(grid.ab(), grid, lightness), lightness)
    predicted = predict(lightness, grid, backend, tile)
    if grid.is_nested:  # their samples are no surer than the network
        return lambda window: predicted[:, *window].astype(np.float32)
    return back_projected(lightness, grid, predicted)


def whole(lightness: U8) -> Window:
    """The window that is all of a picture."""
    return slice(0, lightness.shape[0]), slice(0, lightness.shape[1])


def predict(lightness: U8, grid: ColorGrid, backend: Backend, tile: int = TILE) -> F16:
    """What the network makes of the whole picture, before back projection: AB f16[2,H,W]."""
    height, width = lightness.shape
    model = _fitted(grid.ab(), grid, lightness)
    ab = np.empty((2, height, width), np.float16)
    side = -(-tile // backend.multiple) * backend.multiple
    for part in tiles(height, width, side, backend.reach):
        top, left = (span.start for span in part.window)
        planes = model.planes(lightness[part.window], top, left)
        sparse = scatter_samples(grid, lightness.shape, part.window)
        ab[:, *part.core] = part.cut(backend.predict(planes, sparse, grid.coarseness))
    return ab


def back_projected(lightness: U8, grid: ColorGrid, predicted: F16) -> Callable[[Window], F32]:
    """A network's AB f16[2,H,W], corrected by the samples: AB f32[2,h,w] of any window of the picture.

    Sampled again, its colours are not quite the grid's samples. What is missing there is a colour grid, too,
    and its guided upsampling is added.
    """
    sampled = sample_rendered(
        lightness.shape, grid.spacing, grid.sampling, lambda rows: predicted[:, rows].astype(np.float32)
    )
    missing = _guided(_fitted(shrunk(grid.ab() - sampled, grid.step), grid, lightness), lightness)
    return lambda window: predicted[:, *window] + missing(window)


def _fitted(samples: F32, grid: ColorGrid, lightness: U8) -> GuidedModel:
    return GuidedModel.fit(samples, lightness, grid.spacing, grid.sampling)


def _guided(model: GuidedModel, lightness: U8) -> Callable[[Window], F32]:
    return lambda window: model.planes(lightness[window], *(span.start for span in window)).base
