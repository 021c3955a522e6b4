"""The encoder's side of a picture: its planes at any quality."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import cielab, refiner
from crayoncodec.color.geometry import STEP_UNIT, Sampling
from crayoncodec.color.grid import ColorGrid, reduce_to_cells, rounded, sample_grid_of
from crayoncodec.color.means import mean_ab
from crayoncodec.encoding import closer, depth, drawn, fitting
from crayoncodec.encoding.metrics import ciede2000
from crayoncodec.errors import CrayWarning, FormatError, ImageError
from crayoncodec.files.picture import Picture
from crayoncodec.format import nested, palette, planes, uniform
from crayoncodec.format.chunks import PAINTING_SIZE, GridChunk, Painting, PlaneChunk, PlaneCoder
from crayoncodec.machine import process
from crayoncodec.painting.recolorize import painter, pays, recolorize

_PRICED: Final = 5
"""Effort from which on symbols of nested grids are chosen by what they cost, cells fitted to guided details,
levels as deep as they pay, and files say which way of painting is closer. Where decoders would take the
network, and it is closer, cells are fitted to that, too."""
_GRID_FITTED: Final = 6
"""Effort from which on means of a grid of its own are fitted to guided upsampling."""
_FITTED_TO_NETWORK: Final = 7
"""Effort from which on cells of nested grids are fitted to the network wherever it is closer, in rounds."""
_ROUNDS: Final = 2
GRID_FITTED_TO_NETWORK: Final = 9
"""The same for a grid of its own, which takes longer."""
LOSSLESS_COLOR: Final = 90
"""Colour quality that goes with a lightness plane kept exactly."""
_FINEST: Final = ((12.0, 4), (3.0, 2), (0.0, 1))
"""From which quantiser step on which spacing is the finest, where nothing else is known (docs/design.md)."""
_SHALLOWEST: Final = 4
_DEEPEST: Final = 2
"""The finest spacing where steps are not so small that every pixel may deserve a sample."""
_PER_BIT: Final = 0.16
"""What a bit may take off the sum of squared errors of pixels, in squared steps of one."""

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Array = TypeVar("Array", bound=NDArray[Any])


class Plane(NamedTuple):
    """A coded plane, and what a decoder makes of it."""

    chunk: PlaneChunk
    shown: U8


class Nested(NamedTuple):
    """Nested grids, and whether the network is closer to the picture; None where nobody asked yet."""

    coded: nested.Coded
    network_is_closer: bool | None


class Qualities(NamedTuple):
    """Of lightness and of colour, 0 to 100."""

    lightness: int
    color: int


class Encoder:
    """A picture, coded as often as it takes."""

    def __init__(self, picture: Picture, coder: PlaneCoder | None, lossless: bool, effort: int) -> None:
        self._picture, self._effort = picture, effort
        self._plane = cielab.stored_lightness(picture.rgb)
        self._coder = coder or default_coder(self._plane.shape, lossless)
        self._may_be_exact = coder is None or lossless
        self.lossless = lossless or (coder is None and self._coder not in planes.LOSSY_CODERS)
        if self.lossless and not lossless:
            height, width = self._plane.shape
            warnings.warn(
                f"no lossy coder takes {width} x {height} pixels, lightness is kept exactly",
                CrayWarning,
                stacklevel=3,
            )
        self._visible = None if picture.alpha is None else picture.alpha > 0
        self._coded: Callable[[int | None], Plane] = lru_cache(2)(self._lightness)
        self._means: Callable[[int], ColorGrid] = lru_cache(2)(self._cell_means)
        """Spacing -> means of the cells of nested grids' finest level."""
        self._cells: Callable[[int, int], fitting.Fitted] = lru_cache(2)(self._finest)
        self.nested: Callable[[Qualities], Nested] = lru_cache(1)(self._nested)
        """Nested grids of a colour quality, for the plane of a lightness quality as a decoder has it."""

    @cached_property
    def _exact(self) -> F32:
        """L* f32[H,W], where errors are measured."""
        return cielab.rgb_to_lightness(self._picture.rgb)

    @cached_property
    def _ab(self) -> F32:
        """AB f32[2,H,W], where errors are measured or samples are fitted: 8 bytes a pixel."""
        return cielab.rgb_to_lab(self._picture.rgb)[1]

    def lightness(self, quality: int) -> Plane:
        """The lightness plane of a quality; one and the same where it is kept exactly."""
        return self._coded(None if self.lossless else quality)

    def _lightness(self, quality: int | None) -> Plane:
        return encode_plane(self._plane, self._coder, quality, "lightness plane", self._effort)

    def grid(self, shown: U8, n: int, sampling: Sampling, step: float) -> tuple[GridChunk, ...]:
        """One grid, for the lightness plane that a decoder has; none for a grey picture."""
        samples = self._sampled(n, sampling, step)
        if self._picture.is_gray:
            return ()
        if self._effort >= _GRID_FITTED and sampling == "mean" and n > 1:
            samples = self._fitted(shown, samples, self._effort >= GRID_FITTED_TO_NETWORK and pays(n))
        payload, coder = uniform.encode(samples.samples)
        _decoded(
            lambda what: uniform.decode(payload, coder, samples.samples.shape[1:], what),
            "colour grid",
            samples.samples,
        )
        return (GridChunk(n, sampling, round(samples.step * STEP_UNIT), coder, payload),)

    def _sampled(self, n: int, sampling: Sampling, step: float) -> ColorGrid:
        rgb = self._picture.rgb
        if sampling == "mean" and self._visible is None:
            return rounded(mean_ab(rgb, n), n, sampling, step)
        return sample_grid_of(
            rgb.shape[:2],
            lambda rows: cielab.rgb_to_lab(rgb[rows])[1],
            n,
            sampling,
            step,
            visible=self._visible,
        )

    def _cell_means(self, spacing: int) -> ColorGrid:
        means = self._sampled(spacing, "mean", 1 / STEP_UNIT)
        process.trim(self._plane.size)  # of what the threads sampled from
        return means

    def _nested(self, qualities: Qualities) -> Nested:
        shown, step = self.lightness(qualities.lightness).shown, pixel_step(qualities.color)
        price = nested.PRICE if self._effort >= _PRICED else 0.0
        spacing, cells = self._as_deep_as_pays(qualities.lightness, step)

        def code(cells: F32) -> nested.Coded:
            return nested.encode(cells, shown, spacing, round(step * STEP_UNIT), price)

        coded = code(cells)
        slow = self._effort >= _FITTED_TO_NETWORK
        if not slow and not (self._effort >= _PRICED and pays(spacing, step)):
            return Nested(coded, None)
        if not self._network_is_closer(shown, coded):
            return Nested(coded, False)
        for _ in range(_ROUNDS if slow else 1):
            cells = self._fitted_to_network(shown, cells, _grid(coded))
            coded = code(cells)
        return Nested(coded, True)

    def _fitted_to_network(self, shown: U8, cells: F32, grid: ColorGrid) -> F32:
        """Cells, nearer to what the network makes the picture of; grid: what they were coded as."""
        smaller = grid.spacing // 2
        paint, columns = painter(shown, grid, fitting.Louder(refiner.load())), slice(0, shown.shape[1])

        def of_cells(rows: slice) -> F32:
            return reduce_to_cells(paint((_scaled(rows, smaller), columns)), smaller, "mean")

        return fitting.fit_nested_to_network(cells, self._smaller(shown, smaller), grid.ab(), of_cells)

    def _as_deep_as_pays(self, lightness: int, step: float) -> tuple[int, F32]:
        """The finest spacing for a quantiser step, and its cells."""
        by_step = next(spacing for least, spacing in _FINEST if step >= least)
        if self._effort < _PRICED:
            return by_step, self._means(by_step).ab()
        spacing = _SHALLOWEST
        while spacing > min(by_step, _DEEPEST):
            fitted = self._cells(lightness, spacing)
            if not depth.pays(fitted.lacking, 2 * step / spacing):
                return spacing, fitted.cells
            spacing //= 2
        return spacing, self._means(1).ab() if spacing == 1 else self._cells(lightness, spacing).cells

    def _finest(self, lightness: int, spacing: int) -> fitting.Fitted:
        """Cells of the finest level that are coded beside lightness of a quality, and what they lack."""
        smaller = self._smaller(self.lightness(lightness).shown, spacing // 2)
        return fitting.fit_nested(self._means(spacing).ab(), smaller)

    def painting(self, qualities: Qualities) -> Painting | None:
        """Which way of showing ``nested`` is closer to the picture; None if decoders take it anyway."""
        if self._picture.is_gray or self._effort < _PRICED:
            return None
        coded, found = self.nested(qualities)
        if found is None:
            found = self._network_is_closer(self.lightness(qualities.lightness).shown, coded)
        grid = _grid(coded)
        return None if found == pays(grid.spacing, grid.nested_step) else "refined 1" if found else "guided"

    def _network_is_closer(self, shown: U8, coded: nested.Coded) -> bool:
        grid = _grid(coded)
        word = 8 * PAINTING_SIZE * _PER_BIT * grid.nested_step**2
        return grid.spacing > 1 and closer.network_is(self._picture.rgb, self._visible, shown, grid, word)

    def _smaller(self, shown: U8, spacing: int) -> Callable[[slice], fitting.Smaller]:
        """Rows of cells of ``spacing`` -> these, with the lightness that a decoder has."""
        rgb, visible = self._picture.rgb, self._visible

        def cells(rows: slice) -> fitting.Smaller:
            pixels = _scaled(rows, spacing)
            lightness = reduce_to_cells(cielab.lightness_from_u8(shown[pixels]), spacing, "mean")
            ab = mean_ab(rgb[pixels], spacing)
            if visible is None:
                return fitting.Smaller(lightness, ab, None)
            seen = visible[pixels].astype(np.float32)
            return fitting.Smaller(lightness, ab, reduce_to_cells(seen, spacing, "mean"))

        return cells

    def nested_chunks(self, qualities: Qualities) -> tuple[GridChunk, ...]:
        """The chunks of ``nested``; none for a grey picture."""
        return () if self._picture.is_gray else self.nested(qualities).coded.chunks

    def as_drawn(self) -> tuple[PlaneChunk, tuple[GridChunk, ...]] | None:
        """Exact lightness and all colours of a drawing; None if it is none, or was told another way to go."""
        rgb = self._picture.rgb
        if self._effort < _PRICED or not self._may_be_exact or not drawn.is_drawn(rgb):
            return None
        coder = self._coder if self.lossless else default_coder(self._plane.shape, True)
        plane = encode_plane(self._plane, coder, None, "lightness plane").chunk
        if self._picture.is_gray:
            return plane, ()
        found = drawn.drawing_of(rgb)
        if found is None:
            return None
        payload = palette.encode(found.palette, found.indices)
        samples = palette.painted(found.palette, found.indices, self._plane)
        _decoded(lambda what: palette.decode(payload, self._plane, what), "colour grid", samples)
        return plane, (GridChunk(1, "mean", round(found.step * STEP_UNIT), "palette", payload),)

    def lightness_error(self, quality: int) -> float:
        """Mean squared error of the plane of a quality."""
        shown = cielab.lightness_from_u8(self.lightness(quality).shown)
        return float(np.square(shown - self._exact).mean())

    def color_error(self, qualities: Qualities) -> float:
        """Mean squared error of a* and b* that are painted without a network."""
        if self._picture.is_gray:
            return 0.0
        return float(np.square(cielab.rgb_to_lab(self._guided(qualities))[1] - self._ab).mean())

    def _guided(self, qualities: Qualities) -> U8:
        """What a decoder without a network shows."""
        grid = None
        if not self._picture.is_gray:
            grid = _grid(self.nested(qualities).coded)
        return recolorize(self.lightness(qualities.lightness).shown, grid)

    def difference(self, qualities: Qualities) -> float:
        """CIEDE2000 that 95 % of the visible pixels have at most, painted without a network."""
        decoded = cielab.rgb_to_lab(self._guided(qualities))
        differences = ciede2000(self._exact, self._ab, *decoded)
        seen = differences if self._visible is None or not self._visible.any() else differences[self._visible]
        return float(np.percentile(seen, 95))

    def _fitted(self, shown: U8, samples: ColorGrid, to_network: bool) -> ColorGrid:
        lightness = cielab.lightness_from_u8(shown)
        if not to_network:
            return fitting.fit_samples(self._ab, lightness, samples, self._visible)
        from crayoncodec.painting import checkpoints

        network, _ = checkpoints.load()
        return fitting.fit_samples_to_network(network, self._ab, lightness, samples, self._visible)


def _scaled(rows: slice, spacing: int) -> slice:
    """Rows of cells, in pixels."""
    return slice(rows.start * spacing, rows.stop * spacing)


def _grid(coded: nested.Coded) -> ColorGrid:
    """Nested grids as a decoder has them."""
    last = coded.chunks[-1]
    return ColorGrid(coded.samples, last.finest, "mean", 1 / STEP_UNIT, last.step / STEP_UNIT)


def pixel_step(quality: int) -> float:
    """Colour quality, 0 to 100 -> quantiser step of a cell of one pixel, in CIELAB units: 128 to 1.

    The curve makes equal qualities of AVIF lightness and of colour a balanced pair (docs/design.md).
    """
    share = quality / 100
    return float(2 ** (7 - 5 * share - 2 * share**8))


def default_coder(shape: tuple[int, int], lossless: bool) -> PlaneCoder:
    """The first coder that takes planes as large as these: a lossless one if no lossy one does."""
    coders = (() if lossless else planes.LOSSY_CODERS) + planes.LOSSLESS_CODERS
    return next(coder for coder in coders if planes.fits(coder, shape))


def encode_plane(plane: U8, coder: PlaneCoder, quality: int | None, what: str, effort: int = 5) -> Plane:
    """Code u8[H,W], losslessly if ``quality`` is None, and see that it can be decoded again.

    Raises ImageError if not, or as planes.encode does.
    """
    payload = planes.encode(plane, coder, quality, effort)
    shown = _decoded(
        lambda what: planes.decode(payload, coder, plane.shape, what),
        what,
        plane if quality is None else None,
    )
    return Plane(PlaneChunk(coder, payload, quality), shown)


def encode_alpha(plane: U8) -> PlaneChunk:
    """Code alpha u8[H,W], which is kept exactly."""
    return encode_plane(plane, default_coder(plane.shape, True), None, "alpha plane").chunk


def _decoded(decode: Callable[[str], Array], what: str, expected: Array | None) -> Array:
    """What a decoder makes of what was just coded. Raises ImageError for nothing, or not what is expected.

    Libraries write what they cannot read, where a picture is beyond their limits.
    """
    try:
        found = decode(what)
    except FormatError as error:
        raise ImageError(f"what was coded cannot be decoded: {error}") from error
    if expected is not None and not np.array_equal(found, expected):
        raise ImageError(f"{what}: what was coded decodes to other values")
    return found
