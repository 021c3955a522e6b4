"""AB of a picture's cells, straight from RGB: what an encoder samples, in whole numbers.

X/Xn, Y/Yn, Z/Zn are in 1/2^28 and their f in 1/2^23, between 4096 steps a straight line: a* and b* are within
0.005 of the formulas.
"""

from __future__ import annotations

from functools import cache
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import cielab, grid, srgb
from crayoncodec.machine import kernels, lab, threads

_UNIT: Final = 2**28
_SHIFT: Final = 16
_ROOT_UNIT: Final = 2**23

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]


def mean_ab(rgb: U8, spacing: int) -> F32:
    """An sRGB picture u8[H,W,3] -> the means of AB over its cells, f32[2,h,w] in CIELAB units."""
    height, width = rgb.shape[:2]

    def strip(rows: slice) -> F32:
        if not kernels.are_there():
            return grid.reduce_to_cells(_differences(rgb[rows]), spacing, "mean")
        sums = lab.to_sums(_ratios(), _roots(), rgb[rows], spacing)
        return grid.means_of(sums, (rows.stop - rows.start, width), spacing)

    cells = np.concatenate(threads.each(strip, grid.strips((height, width), spacing)), axis=-2)
    cells *= np.array([500, 200], np.float32)[:, None, None] / np.float32(_ROOT_UNIT)
    return cells


def _differences(rgb: U8) -> F32:
    """f(X/Xn) - f(Y/Yn) and f(Y/Yn) - f(Z/Zn) of every pixel, f32[2,H,W]: whole numbers below 2^24."""
    red, green, blue = _ratios()
    x, y, z = (_root(red[rgb[..., 0], k] + green[rgb[..., 1], k] + blue[rgb[..., 2], k]) for k in range(3))
    return np.stack([x - y, y - z]).astype(np.float32)


def _root(ratio: I32) -> I32:
    ratio = np.minimum(ratio, _UNIT - 1)
    roots, below = _roots(), ratio >> _SHIFT
    rise = (roots[below + 1] - roots[below]) * (ratio & (2**_SHIFT - 1)) >> _SHIFT
    return cast(I32, roots[below] + rise)


@cache
def _ratios() -> I32:
    """What values 0 to 255 of R, G, B add to X/Xn, Y/Yn, Z/Zn, i32[3,256,4]; the last column is empty."""
    weights = np.rint(cielab.RGB_TO_XYZ * 10_000).astype(int).tolist()
    found = np.zeros((3, 256, 4), np.int32)
    for value in range(256):
        light = srgb.light(2 * value, _UNIT << 16)
        for to, row in enumerate(weights):
            divisor = sum(row) << 16
            found[:, value, to] = [(weight * light + divisor // 2) // divisor for weight in row]
    return found


@cache
def _roots() -> I32:
    """CIELAB's f of 0, 1/4096, ... 1, i32[4097]."""
    ratio = np.arange(4097) / 4096
    f = np.where(ratio > cielab.DELTA**3, np.cbrt(ratio), ratio / (3 * cielab.DELTA**2) + 4 / 29)
    return cast(I32, np.rint(f * _ROOT_UNIT).astype(np.int32))
