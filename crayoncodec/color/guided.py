"""Lightness-guided upsampling of a colour grid: the decoder that needs no network.

Around every cell AB is modelled as a linear function of L*: slope = cov(L, AB) / (var(L) + eps) over a
5x5 binomial window of cells (the guided filter of He, Sun and Tang, PAMI 2013, on the grid's own scale).
Then base = up(AB) + up(slope) * (L - up(L_cell)) with up = bicubic (Keys 1981). One step of iterated back
projection (Irani and Peleg 1991) corrects AB so that the base, sampled again, comes closer to the samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.cielab import as_lightness
from crayoncodec.color.geometry import Sampling
from crayoncodec.color.grid import ColorGrid, sample_rendered
from crayoncodec.machine import threads

EPSILON: Final = 160.0
"""Regulariser of the slope, in squared L* units (docs/format.md, section 7); networks.inputs has it, too."""
_KEYS: Final = -0.75
WINDOW: Final = np.array([1, 4, 6, 4, 1], np.float32) / 16
_BLOCK: Final = 64
"""Rows or columns of pixels that are made at once: few, so that they touch few cells."""
_SMALL: Final = 4
"""Spacing up to which OpenCV's scaling is quicker than matrix products."""

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


class Planes(NamedTuple):
    """What a window of the picture is recolorized from, in CIELAB units."""

    lightness: F32
    """L*, f32[H,W]."""
    cell_lightness: F32
    """The cells' L*, upsampled, f32[H,W]."""
    bicubic: F32
    """The samples, upsampled, f32[2,H,W]."""
    base: F32
    """The guided upsampling of the samples, f32[2,H,W]."""


@dataclass(frozen=True, eq=False)
class GuidedModel:
    """The linear model of every cell; renders any window of the picture."""

    cells: F32
    """f32[5,h,w]: a*, b*, their slopes against L*, L*."""
    spacing: int
    sampling: Sampling

    @classmethod
    def fit(cls, samples: F32, lightness: F32 | U8, spacing: int, sampling: Sampling) -> GuidedModel:
        """Fit to a grid's AB, f32[2,h,w], and the picture's whole L* plane, f32[H,W] 0..100 or as stored."""

        def sampled(render: Callable[[slice], F32]) -> F32:
            return sample_rendered(lightness.shape, spacing, sampling, render)

        cell_lightness = sampled(lambda rows: as_lightness(lightness[rows]))
        cells = np.concatenate([samples, slopes(samples, cell_lightness), cell_lightness[None]])
        model = cls(cells, spacing, sampling)
        model.cells[:2] += samples - sampled(lambda rows: model.planes(lightness[rows], rows.start).base)
        return model

    def planes(self, lightness: F32 | U8, top: int = 0, left: int = 0) -> Planes:
        """Upsample for the window whose L* is given, f32[H,W] or as stored, its corner at (top, left).

        A window gets the same values as that part of the whole picture, to float rounding.
        """
        lightness = as_lightness(lightness)
        base = np.empty((2, *lightness.shape), np.float32)
        up = np.empty((5, *lightness.shape), np.float32)

        def band(rows: slice) -> None:
            part = up[:, rows]
            _upsample_into(part, self.cells, self.spacing, self.sampling, top + rows.start, left)
            np.subtract(lightness[rows], part[4], out=base[0, rows])
            np.multiply(part[3], base[0, rows], out=base[1, rows])
            base[0, rows] *= part[2]
            base[:, rows] += part[:2]

        threads.each(band, threads.bands(*lightness.shape), products=True)
        return Planes(lightness, up[4], up[:2], base)


def guided_upsample(grid: ColorGrid, lightness: F32) -> F32:
    """Grid and L* f32[H,W] 0..100 -> AB f32[2,H,W] of the whole picture."""
    return GuidedModel.fit(grid.ab(), lightness, grid.spacing, grid.sampling).planes(lightness).base


def upsample(cells: F32, spacing: int, sampling: Sampling, window: tuple[int, int, int, int]) -> F32:
    """Bicubic upsampling of f32[C,h,w] by ``spacing``, cut to a window (top, left, height, width).

    A cell's value stands at the middle of its n x n pixels (``mean``) or at its sampled pixel
    (``point``); beyond the outermost cells the nearest one is repeated. Returns f32[C,height,width].
    """
    top, left, height, width = window
    out = np.empty((len(cells), height, width), np.float32)
    threads.each(
        lambda rows: _upsample_into(out[:, rows], cells, spacing, sampling, top + rows.start, left),
        threads.bands(height, width),
        products=True,
    )
    return out


def _upsample_into(out: F32, cells: F32, spacing: int, sampling: Sampling, top: int, left: int) -> None:
    """Fill f32[C,height,width] with the window at (top, left)."""
    if sampling == "mean" and spacing <= _SMALL:
        _scale(out, cells, spacing, top, left)
    else:
        _multiply(out, cells, spacing, sampling, top, left)


def _scale(out: F32, cells: F32, spacing: int, top: int, left: int) -> None:
    """By OpenCV, whose cubic interpolation has this kernel and border, and cells' values in their middle."""
    spans = []
    for start, size, length in zip((top, left), out.shape[1:], cells.shape[1:], strict=True):
        first = max(0, start // spacing - 2)
        last = min(length, (start + size - 1) // spacing + 3)
        spans.append((slice(first, last), slice(start - first * spacing, start - first * spacing + size)))
    (rows, inner_rows), (columns, inner_columns) = spans
    for plane, given in zip(cells[:, rows, columns], out, strict=True):
        size = plane.shape[1] * spacing, plane.shape[0] * spacing
        given[:] = cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC)[inner_rows, inner_columns]


_Columns = tuple[tuple[slice, slice, F32], ...]
"""Of blocks of pixel columns: the columns, the cells that they are made from, and weights f32[k,columns]."""


@lru_cache(4)
def _columns(left: int, width: int, cells: int, spacing: int, sampling: Sampling) -> _Columns:
    blocks = []
    for start in range(0, width, _BLOCK):
        size = min(_BLOCK, width - start)
        first, weights = interpolation(left + start, size, cells, spacing, sampling)
        blocks.append((slice(start, start + size), slice(first, first + weights.shape[1]), weights.T))
    return tuple(blocks)


def _multiply(out: F32, cells: F32, spacing: int, sampling: Sampling, top: int, left: int) -> None:
    """By matrix products."""
    columns = _columns(left, out.shape[2], cells.shape[2], spacing, sampling)
    for start in range(0, out.shape[1], _BLOCK):
        part = out[:, start : start + _BLOCK]
        first, by_row = interpolation(top + start, part.shape[1], cells.shape[1], spacing, sampling)
        # BLAS may compute with what lies beside the matrices, too, and NumPy would warn of that.
        with np.errstate(invalid="ignore"):
            rows = by_row @ cells[:, first : first + by_row.shape[1]]
            for pixels, near, weights in columns:
                np.matmul(rows[..., near], weights, out=part[..., pixels])


def upsample_adjoint(
    planes: F32, cells: tuple[int, int], spacing: int, sampling: Sampling, top: int = 0
) -> F32:
    """The transpose of ``upsample`` for whole rows: f32[C,rows,W], the first is ``top`` -> f32[C,h,w]."""
    channels, height, width = planes.shape
    by_row = np.zeros((channels, cells[0], width), np.float32)
    first_row, weights = interpolation(top, height, cells[0], spacing, sampling)
    by_row[:, first_row : first_row + weights.shape[1]] = weights.T @ planes
    out = np.zeros((channels, *cells), np.float32)
    for start in range(0, width, _BLOCK):
        size = min(_BLOCK, width - start)
        first, weights = interpolation(start, size, cells[1], spacing, sampling)
        out[..., first : first + weights.shape[1]] += by_row[..., start : start + size] @ weights
    return out


def slopes(samples: F32, cell_lightness: F32) -> F32:
    """Slope of AB against L* around every cell: samples f32[2,h,w], L* f32[h,w] -> f32[2,h,w]."""
    mean, spread = _moments(cell_lightness)
    found = [(_blur(cells * cell_lightness) - _blur(cells) * mean) / spread for cells in samples]
    return np.stack(found)


def shrunk(missing: F32, step: float) -> F32:
    """Differences from samples, f32[2,h,w], less what the samples' rounding to ``step`` explains of them.

    The empirical Wiener filter: rounding has the variance step²/12, and around each cell the differences have
    the variance that they have.
    """
    rounding = np.float32(step**2 / 12)
    power = np.stack([_blur(plane**2) for plane in missing])
    return cast(F32, missing * (1 - rounding / np.maximum(power, rounding)))


def slopes_adjoint(gradient: F32, cell_lightness: F32) -> F32:
    """The transpose of ``slopes``, which is linear in the samples: f32[2,h,w] -> f32[2,h,w]."""
    mean, spread = _moments(cell_lightness)
    scaled = gradient / spread
    found = [_blur_adjoint(plane) * cell_lightness - _blur_adjoint(plane * mean) for plane in scaled]
    return np.stack(found)


def _moments(cell_lightness: F32) -> tuple[F32, F32]:
    """Mean of L* around every cell, and its variance with the regulariser."""
    mean = _blur(cell_lightness)
    variance = np.maximum(_blur(cell_lightness**2) - mean**2, 0)
    return mean, variance + np.float32(EPSILON)


def interpolation(start: int, size: int, cells: int, spacing: int, sampling: Sampling) -> tuple[int, F32]:
    """Weights f32[size, k] that turn k cells, from the returned one on, into pixels start..start+size."""
    middle = (spacing - 1) / 2 if sampling == "mean" else spacing // 2
    position = (np.arange(start, start + size) - middle) / spacing
    nearest = np.floor(position).astype(np.intp)
    taps = np.clip(nearest[:, None] + np.arange(-1, 3), 0, cells - 1)
    distance = np.abs(position[:, None] - nearest[:, None] - np.arange(-1, 3))
    near = ((_KEYS + 2) * distance - (_KEYS + 3)) * distance**2 + 1
    far = _KEYS * (((distance - 5) * distance + 8) * distance - 4)
    first = int(taps.min())
    weights = np.zeros((size, int(taps.max()) - first + 1), np.float32)
    np.add.at(weights, (np.arange(size)[:, None], taps - first), np.where(distance <= 1, near, far))
    return first, weights


def _blur(plane: F32) -> F32:
    return cast(F32, cv2.sepFilter2D(plane, -1, WINDOW, WINDOW, borderType=cv2.BORDER_REPLICATE))


def _blur_adjoint(plane: F32) -> F32:
    """The transpose of ``_blur``: what went to cells beyond the border belongs to the outermost ones."""
    edge = len(WINDOW) // 2
    wide = cv2.sepFilter2D(np.pad(plane, 2 * edge), -1, WINDOW, WINDOW, borderType=cv2.BORDER_CONSTANT)
    wide = wide[edge:-edge, edge:-edge]
    for axis in range(2):
        wide = np.moveaxis(wide, axis, 0)
        wide[edge] += wide[:edge].sum(axis=0)
        wide[-edge - 1] += wide[-edge:].sum(axis=0)
        wide = np.moveaxis(wide[edge:-edge], 0, axis)
    return np.ascontiguousarray(wide)
