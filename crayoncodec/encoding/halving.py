"""Cells as decoders continue them: guided details of one level, as a linear map and its transpose.

What color.features does in whole numbers, in floating point: cells half as large come out, and the mean of
every four is the cell that they come from. Additions, products and quotients in a fixed order, so that what
is stored does not hang on a machine's vector instructions.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.guided import EPSILON

_EDGE: Final = 2
"""Cells that filters reach."""
REACH: Final = 2 * _EDGE
"""Cells around a window that ``Halving``'s transpose of what it gives depends on."""
_HALF: Final = np.float32(1 / 2)

F32 = NDArray[np.float32]


class _Filter(NamedTuple):
    """Of five taps: outer, inner, middle, inner, outer, the first two times ``sign``."""

    outer: float
    inner: float
    middle: float
    sign: int

    def __call__(self, planes: F32, axis: int) -> F32:
        """Along an axis, -1 or -2, of f32[...,h,w]; the nearest cell is repeated beyond the border."""
        last = planes.shape[axis] - 1
        at = np.arange(-_EDGE, last + 1 + _EDGE).clip(0, last)
        return self._inside(planes.take(at, axis), axis)

    def adjoint(self, planes: F32, axis: int) -> F32:
        """The transpose: what went to cells beyond the border belongs to the outermost ones."""
        sides = [(0, 0)] * planes.ndim
        sides[axis] = (2 * _EDGE, 2 * _EDGE)
        turned = _Filter(self.sign * self.outer, self.sign * self.inner, self.middle, self.sign)
        found = turned._inside(np.pad(planes, sides), axis)
        wide = np.moveaxis(found, axis, 0)
        for beyond in range(_EDGE):
            wide[_EDGE] += wide[beyond]
            wide[-_EDGE - 1] += wide[-beyond - 1]
        return np.moveaxis(wide[_EDGE:-_EDGE], 0, axis)

    def _inside(self, wide: F32, axis: int) -> F32:
        length = wide.shape[axis] - 2 * _EDGE
        parts = [slice(k, length + k) for k in range(5)]
        first, second, third, fourth, fifth = (
            wide[..., part] if axis == -1 else wide[..., part, :] for part in parts
        )
        pair = np.subtract if self.sign < 0 else np.add
        found = np.float32(self.inner) * pair(fourth, second) + np.float32(self.outer) * pair(fifth, first)
        return cast(F32, found + np.float32(self.middle) * third if self.middle else found)


_BINOMIAL: Final = _Filter(1 / 16, 4 / 16, 6 / 16, 1)
_BICUBIC: Final = _Filter(9 / 256, -94 / 256, 0, -1)
"""The difference of two children by bicubic interpolation between parents (color.features)."""


class Halving:
    """From cells f32[2,h,w] to those half as large, f32[2,H,W]; h = ceil(H/2), w = ceil(W/2)."""

    def __init__(self, lightness: F32) -> None:
        """lightness: L* f32[H,W] of the smaller cells."""
        self._shape = lightness.shape
        even = np.pad(lightness, [(0, side % 2) for side in lightness.shape], mode="edge")
        self._lightness, *found = _split(even)
        self._texture = [one - other for one, other in zip(found, _bicubic(self._lightness), strict=True)]
        self._leave_out(self._texture)
        self._mean, square = _blurred(self._lightness), _blurred(self._lightness * self._lightness)
        self._spread = np.maximum(square - self._mean * self._mean, 0) + np.float32(EPSILON)

    def __call__(self, cells: F32) -> F32:
        """Cells -> smaller ones."""
        out = np.empty((2, 2 * cells.shape[1], 2 * cells.shape[2]), np.float32)
        for plane, to in zip(cells, out, strict=True):
            slope = (_blurred(plane * self._lightness) - _blurred(plane) * self._mean) / self._spread
            pairs = zip(_bicubic(plane), self._texture, strict=True)
            across, down, both = self._leave_out([smooth + slope * texture for smooth, texture in pairs])
            _join(plane, across, down, both, to)
        return out[:, : self._shape[0], : self._shape[1]]

    def adjoint(self, smaller: F32) -> F32:
        """The transpose: f32[2,H,W] -> f32[2,h,w]."""
        return np.stack([self._adjoint(plane) for plane in smaller])

    def _adjoint(self, smaller: F32) -> F32:
        mean, *details = _split(np.pad(smaller, [(0, side % 2) for side in self._shape]))
        across, down, both = self._leave_out(details)
        textures = self._texture
        products = across * textures[0] + down * textures[1] + both * textures[2]
        steep = cast(F32, products / self._spread)
        found = 4 * mean + _BICUBIC.adjoint(across + _BICUBIC.adjoint(_HALF * both, -2), -1)
        found += _BICUBIC.adjoint(down, -2)
        found += _blurred_adjoint(steep) * self._lightness - _blurred_adjoint(steep * self._mean)
        return cast(F32, found)

    def _leave_out(self, details: list[F32]) -> list[F32]:
        """Those of children that are not there, where a side is odd, become 0."""
        across, down, both = details
        height, width = self._shape
        if height % 2:
            down[-1], both[-1] = 0, 0
        if width % 2:
            across[:, -1], both[:, -1] = 0, 0
        return details


def details(cells: F32) -> list[F32]:
    """Details H, V, D of cells f32[H,W]; those that are cut by the border are repeated there."""
    return _split(np.pad(cells, [(0, side % 2) for side in cells.shape], mode="edge"))[1:]


def _split(cells: F32) -> list[F32]:
    """Cells f32[2h,2w] -> the means of four, f32[h,w], and their details H, V, D (color.features)."""
    a, b, c, d = cells[::2, ::2], cells[::2, 1::2], cells[1::2, ::2], cells[1::2, 1::2]
    top, bottom, left, right = a + b, c + d, a - b, c - d
    sums = top + bottom, left + right, top - bottom, left - right
    return [one * (_HALF if k else _HALF / 2) for k, one in enumerate(sums)]


def _join(mean: F32, across: F32, down: F32, both: F32, cells: F32) -> None:
    """Fill f32[2h,2w]: what ``_split`` was given."""
    top, bottom = mean + _HALF * down, mean - _HALF * down
    upper, lower = _HALF * (across + both), _HALF * (across - both)
    np.add(top, upper, out=cells[::2, ::2])
    np.subtract(top, upper, out=cells[::2, 1::2])
    np.add(bottom, lower, out=cells[1::2, ::2])
    np.subtract(bottom, lower, out=cells[1::2, 1::2])


def _bicubic(plane: F32) -> list[F32]:
    """Details of bicubic interpolation."""
    across = _BICUBIC(plane, -1)
    return [across, _BICUBIC(plane, -2), _HALF * _BICUBIC(across, -2)]


def _blurred(plane: F32) -> F32:
    return _BINOMIAL(_BINOMIAL(plane, -1), -2)


def _blurred_adjoint(plane: F32) -> F32:
    return _BINOMIAL.adjoint(_BINOMIAL.adjoint(plane, -2), -1)
