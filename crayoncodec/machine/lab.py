"""The kernels between RGB and CIELAB (lab.h); color.srgb and cielab compute the same with NumPy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Tables(NamedTuple):
    """Constants of the kernel."""

    matrix: NDArray[np.int32]
    """[3,3]: t of X, Y, Z -> linear light."""
    curve: NDArray[np.int32]
    """[4096]: linear light -> 8 bits."""
    luminance: NDArray[np.int32]
    """[256,2]: what clipping may make of the luminance of a stored lightness, the least and the most."""


def to_rgb(
    tables: Tables, lightness: NDArray[np.uint8], ab: NDArray[np.int32] | NDArray[np.float32],
    rgb: NDArray[np.uint8], which: int,
) -> None:  # fmt: skip
    """The stored lightness [h,w] and AB [2,h,w], in 1/256 or float in CIELAB units, into ``rgb`` [h,w,3].

    which: a version of the kernels, 0 to ``_native.best_version()``. Rows may be parts of longer ones.
    """
    from crayoncodec.machine import _native

    _native.lab_to_rgb(
        _packed(lightness), _packed(ab), ab.dtype.kind == "f", tables.matrix, tables.curve, tables.luminance,
        rgb, len(lightness), lightness.shape[1], which,
    )  # fmt: skip


def to_lightness(
    luminance: NDArray[np.int32],
    curve: NDArray[np.int32],
    rgb: NDArray[np.uint8],
    lightness: NDArray[np.uint8],
) -> None:
    """A picture [h,w,3] into lightness [h,w] as stored, by the tables that lab.h names."""
    from crayoncodec.machine import _native

    _native.rgb_to_lightness(_whole_pixels(rgb), luminance, curve, lightness, *lightness.shape)


def to_sums(
    ratios: NDArray[np.int32], roots: NDArray[np.int32], rgb: NDArray[np.uint8], spacing: int
) -> NDArray[np.int64]:
    """Of a picture [h,w,3], over its cells: what lab.h says of ``rgb_to_sums``, [2,rows of cells,cells]."""
    from crayoncodec.machine import _native

    height, width = rgb.shape[:2]
    sums = np.empty((2, -(-height // spacing), -(-width // spacing)), np.int64)
    _native.rgb_to_sums(_whole_pixels(rgb), ratios, roots, spacing, sums, height, width)
    return sums


def _whole_pixels(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return rgb if rgb.strides[1:] == (3, 1) else np.ascontiguousarray(rgb)


def _packed(array: NDArray[Any]) -> NDArray[Any]:
    """With the items of a row one after the other."""
    return array if array.strides[-1] == array.itemsize else np.ascontiguousarray(array)
