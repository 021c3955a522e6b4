"""Lightness plane and colour grid -> RGB, tile by tile, so that memory stays bounded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.grid import ColorGrid, sample_rendered, scatter_samples
from crayoncodec.color.refiner import Network, Painting
from crayoncodec.color.srgb import lab_to_rgb, shades
from crayoncodec.errors import CrayWarning
from crayoncodec.machine import threads

if TYPE_CHECKING:
    from crayoncodec.color.guided import GuidedModel

TILE: Final = 1792
"""Side of a tile in pixels, without its overlap."""
_LARGE: Final = 2**25
_TILE_OF_LARGE: Final = 1152
"""The same, of pictures of so many pixels, which take much memory by themselves."""
_SMALLEST: Final = 256
"""The same, where memory does not suffice for larger ones."""

LEAST_PAINTED: Final = 3
"""Spacing from which on a network is expected to bring 0.05 dB of AB PSNR (measured: docs/design.md)."""
_LEAST_STEP: Final = 12.0
"""Quantiser step from which on it is of nested grids of spacing 2, too: encoders go so deep with such a step
where colours are fine, and much is left to paint."""

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
Window = threads.Window
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
    """Tiles that cover a picture (H, W), their windows all of one size and together as small as can be.

    A window has at most the pixels of a tile of side x side and what lies around it. With one size a runtime
    prepares for one shape, and windows go into one batch. They begin at multiples of ``multiple``, of which
    ``overlap`` is one; those that end with the picture are smaller by less than that.
    """
    most = (side + 2 * overlap) ** 2
    wholes = [-(-length // multiple) * multiple for length in shape]

    def size(whole: int, count: int) -> int:
        # Windows overlap by twice the surroundings that a core needs.
        return -(-(whole + 2 * overlap * (count - 1)) // (count * multiple)) * multiple

    def counts(whole: int) -> range:
        return range(1, max(1, -(-(whole - 2 * overlap) // multiple)) + 1)

    def chosen() -> tuple[int, int]:
        found = []
        for rows in counts(wholes[0]):
            height = size(wholes[0], rows)
            for columns in counts(wholes[1]):
                width = size(wholes[1], columns)
                if height * width <= most:
                    found.append((rows * columns * height * width, rows, columns))
                    break
            if found and columns == 1:
                break
        return min(found)[1:]

    def spans(length: int, whole: int, count: int) -> list[tuple[slice, slice]]:
        extent = size(whole, count)
        starts = [min(i * (extent - 2 * overlap), whole - extent) for i in range(count)]
        edges = [0, *(start + overlap for start in starts[1:]), length]
        return [
            (slice(begin, end), slice(start, min(start + extent, length)))
            for start, (begin, end) in zip(starts, pairwise(edges), strict=True)
        ]

    rows, columns = map(spans, shape, wholes, chosen())
    return [Tile((row[0], column[0]), (row[1], column[1])) for row in rows for column in columns]


def pays(spacing: int, nested_step: float = 0.0) -> bool:
    """Whether a network is expected to be worth its time behind samples ``spacing`` pixels apart.

    nested_step: as of ColorGrid.
    """
    return spacing >= LEAST_PAINTED or (spacing > 1 and nested_step >= _LEAST_STEP)


def recolorize(
    lightness: U8, grid: ColorGrid | None, backend: Backend | Network | None = None, tile: int = TILE
) -> U8:
    """Stored lightness u8[H,W] and its grid -> sRGB u8[H,W,3].

    Without a grid the picture is grey; without a backend its colours are the guided upsampling. Nested grids
    without a backend, or with a network of integers, give the same integers everywhere.
    """
    if grid is None:
        return shades(lightness)
    out = np.empty((*lightness.shape, 3), np.uint8)
    if grid.is_nested and (backend is None or isinstance(backend, Network)):
        _in_integers(lightness, grid, backend, lambda rows, ab: lab_to_rgb(lightness[rows], ab, out[rows]))
        return out
    if grid.is_nested:
        for core, ab in predict_tiles(lightness, grid, cast(Backend, backend), tile):
            lab_to_rgb(lightness[core], ab, out[core])
        return out
    paint = painter(lightness, grid, backend, tile)

    def part(window: Window) -> None:
        lab_to_rgb(lightness[window], paint(window), out[window])

    height, width = lightness.shape
    threads.each(part, threads.windows(height, width), products=True)
    return out


def painter(
    lightness: U8, grid: ColorGrid, backend: Backend | Network | None = None, tile: int = TILE
) -> Callable[[Window], F32]:
    """The function that gives AB f32[2,h,w] of any window of the picture; arguments as for recolorize."""
    if grid.is_nested and (backend is None or isinstance(backend, Network)):
        found = np.empty((2, *lightness.shape), np.int32)

        def put(rows: slice, ab: I32) -> None:
            found[:, rows] = ab

        _in_integers(lightness, grid, backend, put)
        return lambda window: found[:, *window].astype(np.float32) * np.float32(grid.step)
    assert not isinstance(backend, Network), "of nested grids"
    if backend is None:
        return _guided(_fitted(grid.ab(), grid, lightness), lightness)
    predicted = predict(lightness, grid, backend, tile)
    if grid.is_nested:  # their samples are no surer than the network
        return lambda window: predicted[:, *window].astype(np.float32)
    return back_projected(lightness, grid, predicted)


def _in_integers(
    lightness: U8, grid: ColorGrid, network: Network | None, take: Callable[[slice, I32], object]
) -> None:
    """Have rows of colours int32[2,rows,W], in units of the grid's step, taken by several threads."""
    step = round(grid.nested_step / grid.step)
    painting = Painting(lightness, grid.samples, grid.spacing, step, network)
    for strip, colors in painting.strips():

        def part(pairs: slice, strip: slice = strip, colors: Callable[[slice], I32] = colors) -> None:
            first = strip.start + 2 * pairs.start
            rows = slice(first, min(strip.stop, strip.start + 2 * pairs.stop))
            take(rows, colors(rows))

        threads.each(part, threads.bands(-(-(strip.stop - strip.start) // 2), 2 * lightness.shape[1]))
        del colors, part  # before the next ones are there


def whole(lightness: U8) -> Window:
    """The window that is all of a picture."""
    return slice(0, lightness.shape[0]), slice(0, lightness.shape[1])


def predict(lightness: U8, grid: ColorGrid, backend: Backend, tile: int = TILE) -> F16:
    """What the network makes of the whole picture, before back projection: AB f16[2,H,W]."""
    ab = np.empty((2, *lightness.shape), np.float16)
    for core, painted in predict_tiles(lightness, grid, backend, tile):
        ab[:, *core] = painted
    return ab


def predict_tiles(
    lightness: U8, grid: ColorGrid, backend: Backend, tile: int = TILE
) -> Iterator[tuple[Window, F32]]:
    """What ``predict`` gives, as AB f32[2,h,w] of windows that cover the picture.

    Where memory does not suffice tiles are made smaller, and then the CPU is taken, each with a CrayWarning;
    windows are then given again.
    """
    using, side = backend, min(tile, _TILE_OF_LARGE) if lightness.size > _LARGE else tile
    while True:
        try:
            painted = using.predict(windows(lightness, grid, using, side), grid.coarseness)
            for part, window in zip(_parts(lightness, using, side), painted, strict=True):
                yield part.core, part.cut(window)
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
        else:
            return
        warnings.warn(f"{said}, trying {instead}", CrayWarning, stacklevel=2)


def windows(lightness: U8, grid: ColorGrid, backend: Backend, tile: int = TILE) -> Iterator[Inputs]:
    """What ``predict`` gives the network, window after window."""
    model = _fitted(grid.ab(), grid, lightness)

    def inputs(window: Window) -> Inputs:
        planes = model.planes(lightness[window], *(span.start for span in window))._asdict()
        if "sparse" in backend.inputs:
            planes["sparse"] = scatter_samples(grid, lightness.shape, window)
        return planes

    for part in _parts(lightness, backend, tile):
        yield inputs(part.window)  # of which nothing is kept here while the next is made


def _parts(lightness: U8, backend: Backend, tile: int) -> list[Tile]:
    return equal_tiles(lightness.shape, tile, backend.reach, backend.multiple)


def back_projected(lightness: U8, grid: ColorGrid, predicted: F16) -> Callable[[Window], F32]:
    """A network's AB f16[2,H,W], corrected by the samples: AB f32[2,h,w] of any window of the picture.

    Sampled again, its colours are not quite the grid's samples. What is missing there is a colour grid, too,
    and its guided upsampling is added.
    """
    from crayoncodec.color.guided import shrunk

    sampled = sample_rendered(
        lightness.shape, grid.spacing, grid.sampling, lambda rows: predicted[:, rows].astype(np.float32)
    )
    missing = _guided(_fitted(shrunk(grid.ab() - sampled, grid.step), grid, lightness), lightness)
    return lambda window: predicted[:, *window] + missing(window)


def _fitted(samples: F32, grid: ColorGrid, lightness: U8) -> GuidedModel:
    from crayoncodec.color.guided import GuidedModel

    return GuidedModel.fit(samples, lightness, grid.spacing, grid.sampling)


def _guided(model: GuidedModel, lightness: U8) -> Callable[[Window], F32]:
    return lambda window: model.planes(lightness[window], *(span.start for span in window)).base
