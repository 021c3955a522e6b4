"""sRGB -> CIELAB (docs/format.md, "Colour"), and lightness as it is stored; color.srgb is the way back.

sRGB curve: IEC 61966-2-1. CIELAB: CIE 15:2004, section 8.2.1, white D65. The white point is the
row sum of the four-digit IEC matrix, so that every grey has a* = b* = 0 exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import srgb
from crayoncodec.machine import kernels, lab, threads

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

RGB_TO_XYZ: Final = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE: Final = RGB_TO_XYZ.sum(axis=1)
DELTA: Final = 6 / 29

_RGB_TO_RATIOS: Final = RGB_TO_XYZ / WHITE[:, None]
# f(X/Xn), f(Y/Yn), f(Z/Zn) -> L*, a*, b*; the last column is the offset.
_F_TO_LAB: Final = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float64)
_CURVE_STEPS: Final = 65535
_LUMINANCE_UNIT: Final = 2**28
_LIGHTNESS_SHIFT: Final = 16


def lightness_to_u8(lightness: F32) -> U8:
    """L* f32[H,W] 0..100 -> the stored plane u8[H,W]: L* x 255 / 100 to the nearest integer."""
    return cast(U8, cv2.convertScaleAbs(lightness, alpha=255 / 100))


def lightness_from_u8(plane: U8) -> F32:
    """The stored plane u8[H,W] -> L* f32[H,W] 0..100."""
    return plane.astype(np.float32) * np.float32(100 / 255)


def as_lightness(plane: F32 | U8) -> F32:
    """L* f32[H,W] as it is, or of the stored plane u8[H,W]."""
    return lightness_from_u8(cast(U8, plane)) if plane.dtype == np.uint8 else cast(F32, plane)


def stored_lightness(rgb: U8) -> U8:
    """An sRGB picture u8[H,W,3] -> the plane to store u8[H,W], in whole numbers: the same everywhere."""
    luminance, curve = _luminance(), _lightness_curve()
    plane = np.empty(rgb.shape[:2], np.uint8)

    def band(rows: slice) -> None:
        if kernels.are_there():
            lab.to_lightness(luminance, curve, rgb[rows], plane[rows])
            return
        parts = [
            table[channel] for table, channel in zip(luminance, np.moveaxis(rgb[rows], -1, 0), strict=True)
        ]
        y = np.minimum(parts[0] + parts[1] + parts[2], _LUMINANCE_UNIT - 1)
        plane[rows] = (curve[y >> _LIGHTNESS_SHIFT] + y) >> _LIGHTNESS_SHIFT

    height, width = rgb.shape[:2]
    threads.each(band, threads.bands(height, width))
    return plane


def rgb_to_lightness(rgb: U8) -> F32:
    """An sRGB picture u8[H,W,3] -> L* f32[H,W] 0..100, as that of ``rgb_to_lab``."""
    lightness = np.empty(rgb.shape[:2], np.float32)

    def band(rows: slice) -> None:
        linear = cv2.LUT(np.ascontiguousarray(rgb[rows]), linear_of_u8())
        luminance = cast(F32, cv2.transform(linear, _RGB_TO_RATIOS[1:2]))
        np.clip(_f(luminance) * np.float32(116) - np.float32(16), 0, 100, out=lightness[rows])

    height, width = rgb.shape[:2]
    threads.each(band, threads.bands(height, width))
    return lightness


def rgb_to_lab(rgb: U8) -> tuple[F32, F32]:
    """An sRGB picture u8[H,W,3] -> L* f32[H,W] 0..100 and AB f32[2,H,W], within -108..99."""
    height, width = rgb.shape[:2]
    lightness, ab = np.empty((height, width), np.float32), np.empty((2, height, width), np.float32)

    def band(rows: slice) -> None:
        linear = cv2.LUT(np.ascontiguousarray(rgb[rows]), linear_of_u8())
        ratios = cast(F32, cv2.transform(linear, _RGB_TO_RATIOS))
        lab = cv2.transform(_f(ratios), _F_TO_LAB)
        cv2.split(lab, [lightness[rows], *ab[:, rows]])
        np.clip(lightness[rows], 0, 100, out=lightness[rows])

    threads.each(band, threads.bands(height, width))
    return lightness, ab


def linear_to_rgb(linear: F32) -> U8:
    """Linear sRGB f32[H,W,3] -> u8[H,W,3], what lies outside 0 to 1 clipped."""
    # In rows of single numbers, to 0..65535 and rounded.
    steps = cast(Any, float(_CURVE_STEPS))  # of which OpenCV's stubs do not know
    index = cv2.multiply(linear.reshape(len(linear), -1), steps, dtype=cv2.CV_16U)
    return cast(U8, cv2.LUT(index, _u8_of_linear()).reshape(linear.shape))


def _f(ratios: F32) -> F32:
    """CIELAB's f; one formula for both branches: the second term is zero above the knee."""
    knee = np.float32(DELTA**3)
    f = cast(F32, cv2.pow(np.maximum(ratios, knee), 1 / 3)).reshape(ratios.shape)
    f += (np.minimum(ratios, knee) - knee) * np.float32(1 / (3 * DELTA**2))
    return f


@cache
def _luminance() -> NDArray[np.int32]:
    """What values 0 to 255 of R, G, B add to the luminance, i32[3,256]."""
    divisor = 10_000 << 16  # the light finer by 2^16 than what is rounded to
    linear = [srgb.light(2 * value, _LUMINANCE_UNIT << 16) for value in range(256)]
    parts = [[(weight * each + divisor // 2) // divisor for each in linear] for weight in srgb.LUMINANCE]
    return np.array(parts, np.int32)


@cache
def _lightness_curve() -> NDArray[np.int32]:
    """As ``srgb.reached``: luminance -> stored lightness."""
    f = [5 * (2 * value - 1) + 408 for value in range(1, 256)]  # (L* + 16) / 116, times 2958; 6/29 is 612
    ratios = [(n**3, 2958**3) if n > 612 else (108 * (n - 408), 841 * 2958) for n in f]
    return srgb.reached([-(-_LUMINANCE_UNIT * n // divisor) for n, divisor in ratios], _LUMINANCE_UNIT)


@cache
def linear_of_u8() -> F32:
    """Values 0 to 255 of sRGB -> linear, f32[256]."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


@cache
def _u8_of_linear() -> U8:
    linear = np.arange(_CURVE_STEPS + 1) / _CURVE_STEPS
    value = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.floor(value * 255 + 0.5).astype(np.uint8)[None]
