"""Encoder-fitted samples: values of the grid from which the decoder comes closest to the picture.

What is made smaller is the error plus a price on the samples' bits, which are taken as log2(1 + |difference|)
of each sample to the mean of its left and its upper neighbour, in steps.

The guided base is linear in the samples, and with a quadratic in place of the logarithm the best ones are a
least-squares solution. It is found by conjugate gradients on the normal equations (Hestenes and Stiefel 1952)
from the means of the cells; nearly all of the gain comes with the first two steps. For a network behind one
grid, Adam's steps go through all of the decoder.

Cells of nested grids go one step down the gradient of what those half as large, continued by guided details,
lack; for a network a second one, from what a decoder has of the cells after quantisation, and is lacking
in what the network paints. Bits are the coder's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import refiner
from crayoncodec.color.grid import MAX_AB, ColorGrid, reduce_to_cells, strips
from crayoncodec.color.guided import slopes, slopes_adjoint, upsample, upsample_adjoint
from crayoncodec.color.layers import Integers
from crayoncodec.encoding import depth
from crayoncodec.encoding.halving import REACH, Halving
from crayoncodec.machine import threads
from crayoncodec.painting.recolorize import tiles

if TYPE_CHECKING:
    from torch import Tensor, nn

_STEPS: Final = 2
_SHARE: Final = 0.6
"""How far samples go towards the least-squares solution: the rest of the way costs bytes, and a network does
not profit from it (docs/design.md)."""
_PRICE: Final = 0.25
"""Of a bit, in squared steps over a cell: twice the ln 2 / 6 that it is worth to a uniform quantiser."""
_DESCENT: Final = 24
_RATE: Final = 0.6
"""Of Adam at its first step, in CIELAB units; it falls linearly."""
_GUIDED_SHARE: Final = 0.8
"""Of a step of nested cells towards guided details that are right (docs/design.md)."""
_NETWORK_SHARE: Final = 0.5
"""How far they then go towards what would make the network right."""
_LOUDER: Final = 320
"""What refiner.LOUDEST is for the network that cells are fitted to (docs/design.md)."""
_TILE: Final = 512
_SURROUNDINGS: Final = 4
"""Cells around a tile that its colours depend on, besides what the network sees."""

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
Array = TypeVar("Array", F32, "Tensor")


class GuidedBase:
    """The guided base of cell means: a linear map from samples f32[2,h,w] to AB f32[2,H,W]."""

    def __init__(self, lightness: F32, spacing: int) -> None:
        """lightness: L* f32[H,W] 0..100, as the decoder will have it."""
        self._shape, self._spacing = lightness.shape, spacing
        self._cell_lightness = reduce_to_cells(lightness, spacing, "mean")
        shown = [self._up(self._cell_lightness[None], rows)[0] for rows in self._strips()]
        self._detail = lightness - np.concatenate(shown)

    def __call__(self, samples: F32) -> F32:
        """Samples -> base, back projection and all."""
        steep = slopes(samples, self._cell_lightness)
        out = np.empty((2, *self._shape), np.float32)
        sampled = []
        for rows in self._strips():
            out[:, rows] = self._up(steep, rows) * self._detail[rows]
            sampled.append(reduce_to_cells(out[:, rows] + self._up(samples, rows), self._spacing, "mean"))
        corrected = 2 * samples - np.concatenate(sampled, axis=1)
        for rows in self._strips():
            out[:, rows] += self._up(corrected, rows)
        return out

    def adjoint(self, ab: F32) -> F32:
        """The transpose: AB f32[2,H,W] -> f32[2,h,w]."""
        corrected, steep = self._down(lambda rows: ab[:, rows])
        share = corrected / self._areas()
        again, steeper = self._down(lambda rows: self._spread(share, rows))
        return 2 * corrected - again + slopes_adjoint(steep - steeper, self._cell_lightness)

    def _down(self, render: Callable[[slice], F32]) -> tuple[F32, F32]:
        """Transposes of bicubic upsampling, and of that times the detail of L*, of all rows' AB."""
        total = np.zeros((4, *self._cell_lightness.shape), np.float32)
        for rows in self._strips():
            ab = render(rows)
            planes = np.concatenate([ab, ab * self._detail[rows]])
            total += upsample_adjoint(planes, self._cell_lightness.shape, self._spacing, "mean", rows.start)
        return total[:2], total[2:]

    def _up(self, cells: F32, rows: slice) -> F32:
        window = rows.start, 0, rows.stop - rows.start, self._shape[1]
        return upsample(cells, self._spacing, "mean", window)

    def _spread(self, cells: F32, rows: slice) -> F32:
        """Each cell's value at all of its pixels."""
        first, last = rows.start // self._spacing, -(-rows.stop // self._spacing)
        tall = np.repeat(cells[:, first:last], self._spacing, axis=1)[:, : rows.stop - rows.start]
        return np.repeat(tall, self._spacing, axis=2)[..., : self._shape[1]]

    def _areas(self) -> F32:
        """Pixels of each cell; those at the right and at the bottom may be cut."""
        sides = [
            np.diff(np.append(np.arange(0, length, self._spacing), length)).astype(np.float32)
            for length in self._shape
        ]
        return np.outer(*sides)

    def _strips(self) -> Iterator[slice]:
        return strips(self._shape, self._spacing)


def fit_samples(
    ab: F32, lightness: F32, grid: ColorGrid, visible: NDArray[np.bool_] | None = None
) -> ColorGrid:
    """A grid of cell means, fitted: what decoders make of the new one is closer to AB f32[2,H,W].

    lightness: L* f32[H,W] 0..100, as the decoder will have it. visible: bool[H,W], pixels that count.
    """
    base = GuidedBase(lightness, grid.spacing)
    weight = np.float32(1) if visible is None else visible.astype(np.float32)
    means = reduce_to_cells(ab, grid.spacing, "mean") if visible is None else grid.ab()
    samples = means
    residual = weight * (ab - base(samples))
    curvature = _curvature(means, grid)
    gradient = base.adjoint(residual) - _differences_adjoint(curvature * _differences(samples))
    direction, length = gradient, float(np.vdot(gradient, gradient))
    for step in range(_STEPS):
        if length == 0:
            break
        moved, rough = weight * base(direction), _differences(direction)
        size = np.float32(length / float(np.vdot(moved, moved) + np.vdot(rough, curvature * rough)))
        samples = samples + size * direction
        if step + 1 < _STEPS:
            gradient = gradient - size * (base.adjoint(moved) + _differences_adjoint(curvature * rough))
            before, length = length, float(np.vdot(gradient, gradient))
            direction = gradient + np.float32(length / before) * direction
    return _rounded(means + np.float32(_SHARE) * (samples - means), grid)


def fit_samples_to_network(
    network: nn.Module, ab: F32, lightness: F32, grid: ColorGrid, visible: NDArray[np.bool_] | None = None
) -> ColorGrid:
    """A grid of cell means, fitted: what the decoder makes with a network is closer to AB f32[2,H,W].

    network: as checkpoints.load gives it, on its device. Arguments else as for fit_samples.
    """
    n, (height, width) = grid.spacing, grid.samples.shape[1:]
    reach = -(-cast(int, network.reach) // n) + _SURROUNDINGS
    side = max(1, _TILE // n)
    fitted = grid.ab()
    for tile in tiles(height, width, side, reach):
        rows, columns = (slice(span.start * n, span.stop * n) for span in tile.window)
        seen = None if visible is None else visible[rows, columns]
        found = _descend(
            network,
            ab[:, rows, columns],
            lightness[rows, columns],
            grid.ab()[:, *tile.window],
            n,
            grid.step,
            seen,
        )
        fitted[:, *tile.core] = tile.cut(found)
    return _rounded(fitted, grid)


class Louder:
    """A network as cells are fitted to it: heard more than where it paints.

    It has them smoother than they would be best, and smoother cells take fewer bits.
    """

    def __init__(self, network: refiner.Network) -> None:
        self._network = network

    def outputs(self, given: Integers) -> I32:
        """As of Network."""
        return _LOUDER * self._network.outputs(given) // refiner.LOUDEST


class Smaller(NamedTuple):
    """Cells half as large as those that are fitted, of some rows."""

    lightness: F32
    """L* f32[H,W] 0..100, as the decoder will have it."""
    ab: F32
    """f32[2,H,W]."""
    weight: F32 | None
    """What share of each counts, f32[H,W]; None for all of all."""


class Fitted(NamedTuple):
    """Cells, and what guided details lack of those half as large."""

    cells: F32
    """f32[2,h,w]."""
    lacking: depth.I64
    """A depth.tally."""


def fit_nested(cells: F32, smaller: Callable[[slice], Smaller]) -> Fitted:
    """Cell means f32[2,h,w], fitted: the smaller cells that guided details make of them are closer to theirs.

    smaller: rows of smaller cells -> these.
    """
    return _stepped(
        cells, smaller, lambda _, halving, window: halving(cells[:, window]), _GUIDED_SHARE, cells
    )


def fit_nested_to_network(
    cells: F32, smaller: Callable[[slice], Smaller], decoded: F32, painted: Callable[[slice], F32]
) -> F32:
    """Cells f32[2,h,w], fitted: what a network makes of them is closer to the smaller ones.

    decoded: the cells as a decoder has them, f32[2,h,w]. painted: rows of smaller cells -> the
    network's means of them, f32[2,rows,W].
    """
    right = _stepped(cells, smaller, lambda rows, *_: painted(rows), 1, decoded).cells
    return cells + np.float32(_NETWORK_SHARE) * (right - cells)


def _stepped(
    cells: F32, smaller: Callable[[slice], Smaller], shown: Callable[[slice, Halving, slice], F32],
    share: float, start: F32,
) -> Fitted:  # fmt: skip
    """From ``start`` a share of a Gauss-Newton step: the transpose of what is missing, for each of 4."""
    _, height, width = cells.shape
    out = np.empty_like(cells)

    def band(rows: slice) -> depth.I64:
        (window, _), (inner, _) = threads.around((rows, slice(0, width)), REACH, height, width)
        finer = slice(2 * window.start, 2 * window.stop)
        lightness, ab, weight = smaller(finer)
        halving = Halving(lightness)
        missing = ab - shown(finer, halving, window)
        if weight is not None:
            missing *= weight
        step = halving.adjoint(missing)[:, inner]
        out[:, rows] = start[:, rows] + np.float32(share / 4) * step
        return depth.tally(missing[:, 2 * inner.start : 2 * inner.stop])

    return Fitted(out, sum(threads.each(band, threads.bands(height, width)), np.zeros(1, np.int64)))


def _curvature(means: F32, grid: ColorGrid) -> F32:
    """Of the quadratic in the samples' differences that stands for the price of their bits, f32[2,h,w]."""
    steps = np.abs(_differences(means)) / np.float32(grid.step)
    half_price = np.float32(_PRICE * grid.spacing**2 / (2 * np.log(2)))
    return cast(F32, half_price / ((1 + steps) * np.maximum(steps, 1)))


def _differences(samples: Array) -> Array:
    """Of each sample to the mean of its left and its upper neighbour, [...,h,w]; 0 where there is none."""
    out = 0 * samples
    out[..., 1:, 1:] = samples[..., 1:, 1:] - (samples[..., :-1, 1:] + samples[..., 1:, :-1]) / 2
    return out


def _differences_adjoint(differences: F32) -> F32:
    """The transpose of ``_differences``."""
    out, inner = np.zeros_like(differences), differences[:, 1:, 1:]
    out[:, 1:, 1:] = inner
    out[:, :-1, 1:] -= inner / 2
    out[:, 1:, :-1] -= inner / 2
    return out


def _descend(
    network: nn.Module,
    ab: F32,
    lightness: F32,
    samples: F32,
    n: int,
    step: float,
    visible: NDArray[np.bool_] | None,
) -> F32:
    """Samples f32[2,h,w] of a window after Adam's steps."""
    import torch

    from crayoncodec.networks.inputs import back_project, paint, planes

    device = next(network.parameters()).device
    plane, truth, values = (
        torch.from_numpy(np.ascontiguousarray(array)).to(device)[None]
        for array in (lightness[None], ab, samples)
    )
    weight = 1.0 if visible is None else torch.from_numpy(visible.copy()).to(device)
    values.requires_grad_(True)
    optimizer = torch.optim.Adam([values])
    for descended in range(_DESCENT):
        optimizer.param_groups[0]["lr"] = _RATE * (1 - descended / _DESCENT)
        inputs = planes(plane, values, n, "mean", step)
        painted = back_project(paint(network, inputs), inputs)
        error = (weight * (painted - truth)).square().sum()
        bits = torch.log2(1 + _differences(values).abs() / step).sum()
        optimizer.zero_grad()
        (error + _PRICE * (n * step) ** 2 * bits).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return values.detach()[0].cpu().numpy()


def _rounded(samples: F32, like: ColorGrid) -> ColorGrid:
    limit = MAX_AB / like.step
    units = np.rint(np.clip(samples / np.float32(like.step), -limit, limit)).astype(np.int16)
    return ColorGrid(units, like.spacing, like.sampling, like.step)
