"""Lightness plane and colour grid -> RGB, tile by tile, so that memory stays bounded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import lab_to_rgb, lightness_from_u8
from crayoncodec.errors import CrayWarning
from crayoncodec.grid import ColorGrid, sample_rendered, scatter_samples
from crayoncodec.guided import GuidedModel, shrunk

TILE: Final = 1536
"""Side of a tile in pixels, without its overlap."""
_SMALLEST: Final = 256
"""The same, where memory does not suffice for larger ones."""

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Window = tuple[slice, slice]
"""Rows and columns of a picture."""


Inputs = Mapping[str, F32]
"""What a network is given of a window, by the names of guided.Planes: f32[H,W] and f32[2,H,W]. Where it asks
for that, ``sparse``, too: f32[3,H,W], as of grid.scatter_samples."""


class Backend(Protocol):
    """A network that turns windows' planes into AB."""

    inputs: tuple[str, ...]
    """Names of what it needs: those of Inputs and ``coarseness``."""
    reach: int
    """Pixels of surroundings that a window needs to come out as in the whole picture, in multiples of:"""
    multiple: int
    """Windows begin at multiples of this."""

    def predict(self, windows: Iterable[Inputs], coarseness: float) -> Iterator[F32]:
        """AB f32[2,H,W] of each window, in order. Windows are asked for as they are needed.

        coarseness: the grid's. Raises MemoryError.
        """

    def on_cpu(self) -> Backend | None:
        """The same network on the CPU if this one is elsewhere, and None if not."""


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


def equal_tiles(shape: tuple[int, ...], side: int, overlap: int, multiple: int) -> list[Tile]:
    """As few tiles of about side x side pixels as cover a picture (H, W), their windows all of one size.

    So a runtime prepares for one shape, and windows go into one batch. They begin at multiples of
    ``multiple``, of which ``overlap`` is one; those that end with the picture are smaller by less than that.
    """

    def spans(length: int) -> list[tuple[slice, slice]]:
        whole = -(-length // multiple) * multiple
        count = max(1, -(-(whole - 2 * overlap) // max(side, multiple)))
        # Windows overlap by twice the surroundings that a core needs.
        size = -(-(whole + 2 * overlap * (count - 1)) // (count * multiple)) * multiple
        starts = [min(i * (size - 2 * overlap), whole - size) for i in range(count)]
        edges = [0, *(start + overlap for start in starts[1:]), length]
        return [
            (slice(begin, end), slice(start, min(start + size, length)))
            for start, (begin, end) in zip(starts, pairwise(edges), strict=True)
        ]

    rows, columns = map(spans, shape)
    return [Tile((row[0], column[0]), (row[1], column[1])) for row in rows for column in columns]


def recolorize(lightness: U8, grid: ColorGrid | None, backend: Backend | None = None, tile: int = TILE) -> U8:
    """Stored lightness u8[H,W] and its grid -> sRGB u8[H,W,3].

    Without a grid the picture is grey; without a backend its colours are the guided upsampling.
    """
    height, width = lightness.shape
    paint = painter(lightness, grid, backend, tile)
    out = np.empty((height, width, 3), np.uint8)
    for part in tiles(height, width, tile, 0):
        out[part.core] = lab_to_rgb(lightness_from_u8(lightness[part.core]), paint(part.core))
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
    """What the network makes of the whole picture, before back projection: AB f16[2,H,W].

    Where memory does not suffice tiles are made smaller, and then the CPU is taken, each with a CrayWarning.
    """
    using, side = backend, tile
    while True:
        try:
            return _predict(lightness, grid, using, side)
        except MemoryError as error:
            said = str(error) or "not enough memory"
            if side > _SMALLEST:
                side = max(_SMALLEST, side // 2)
                instead = f"tiles of {side} pixels"
            elif (on_cpu := using.on_cpu()) is not None:
                using, side = on_cpu, tile
                instead = "the CPU"
            else:
                raise
        warnings.warn(f"{said}, trying {instead}", CrayWarning, stacklevel=2)


def _predict(lightness: U8, grid: ColorGrid, backend: Backend, tile: int) -> F16:
    ab = np.empty((2, *lightness.shape), np.float16)
    painted = backend.predict(windows(lightness, grid, backend, tile), grid.coarseness)
    for part, window in zip(_parts(lightness, backend, tile), painted, strict=True):
        ab[:, *part.core] = part.cut(window)
    return ab


def windows(lightness: U8, grid: ColorGrid, backend: Backend, tile: int = TILE) -> Iterator[Inputs]:
    """What ``predict`` gives the network, window after window."""
    model = _fitted(grid.ab(), grid, lightness)
    for part in _parts(lightness, backend, tile):
        top, left = (span.start for span in part.window)
        inputs = model.planes(lightness_from_u8(lightness[part.window]), top, left)._asdict()
        if "sparse" in backend.inputs:
            inputs["sparse"] = scatter_samples(grid, lightness.shape, part.window)
        yield inputs


def _parts(lightness: U8, backend: Backend, tile: int) -> list[Tile]:
    return equal_tiles(lightness.shape, tile, backend.reach, backend.multiple)


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
    return GuidedModel.fit(samples, lightness_from_u8(lightness), grid.spacing, grid.sampling)


def _guided(model: GuidedModel, lightness: U8) -> Callable[[Window], F32]:
    return lambda window: (
        model.planes(lightness_from_u8(lightness[window]), *(span.start for span in window)).base
    )
