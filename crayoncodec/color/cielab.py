"""sRGB <-> CIELAB (docs/format.md, "Colour"). The only home of colour constants.

sRGB curve: IEC 61966-2-1. CIELAB: CIE 15:2004, section 8.2.1, white D65. The white point is the
row sum of the four-digit IEC matrix, so that every grey has a* = b* = 0 exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from crayoncodec.machine import threads

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

RGB_TO_XYZ: Final = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE: Final = RGB_TO_XYZ.sum(axis=1)
DELTA: Final = 6 / 29

_RGB_TO_RATIOS: Final = RGB_TO_XYZ / WHITE[:, None]
_RATIOS_TO_RGB: Final = np.linalg.inv(_RGB_TO_RATIOS)
# f(X/Xn), f(Y/Yn), f(Z/Zn) -> L*, a*, b*, and back; the last column is the offset.
_F_TO_LAB: Final = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float64)
_LAB_TO_F: Final = np.array(
    [[1 / 116, 1 / 500, 0, 16 / 116], [1 / 116, 0, 0, 16 / 116], [1 / 116, 0, -1 / 200, 16 / 116]]
)

# What clipping may do. Rounding L* and AB, and lossy lightness more so, moves saturated colours out of the
# gamut by as much; reducing their chroma instead would halve that of pure yellow. L* may change by 1: that
# is hardly seen (docs/design.md, "Clipping a little").
_CLIPPED_LOW: Final = -0.02
_CLIPPED_HIGH: Final = 1.1
_CLIPPED_LIGHTNESS: Final = 1.0
_INSIDE: Final = 1e-5
# The factor of chroma is searched in these steps of 1/1024. The first is a scan from above, because towards
# yellow a line of constant L* and hue can leave the gamut and enter it again.
_FACTOR_UNIT: Final = 1024
_FACTOR_SCAN: Final = 64
_FACTOR_REFINEMENT: Final = (32, 16, 8, 4, 2, 1)
_CURVE_STEPS: Final = 65535


def lightness_to_u8(lightness: F32) -> U8:
    """L* f32[H,W] 0..100 -> the stored plane u8[H,W]: L* x 255 / 100 to the nearest integer."""
    return cast(U8, cv2.convertScaleAbs(lightness, alpha=255 / 100))


def lightness_from_u8(plane: U8) -> F32:
    """The stored plane u8[H,W] -> L* f32[H,W] 0..100."""
    return plane.astype(np.float32) * np.float32(100 / 255)


def as_lightness(plane: F32 | U8) -> F32:
    """L* f32[H,W] as it is, or of the stored plane u8[H,W]."""
    return lightness_from_u8(cast(U8, plane)) if plane.dtype == np.uint8 else cast(F32, plane)


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


def lab_to_rgb(lightness: F32 | U8, ab: F32) -> U8:
    """L* f32[H,W] 0..100, or the stored plane u8[H,W], and AB f32[2,H,W] -> sRGB u8[H,W,3].

    Colours outside the sRGB gamut keep L* and hue and lose chroma: AB is scaled towards grey until it
    fits. What clipping can bring inside without changing L* by more than 1 is only clipped.
    """
    rgb = np.empty((*lightness.shape, 3), np.uint8)

    def band(rows: slice) -> None:
        lab = cast(F32, cv2.merge([as_lightness(lightness[rows]), ab[0, rows], ab[1, rows]]))
        linear = _lab_to_linear(lab)
        outside = cv2.inRange(linear, (-_INSIDE,) * 3, (1 + _INSIDE,) * 3) == 0
        if outside.any():
            linear[outside] = _into_gamut(lab[outside])
        rgb[rows] = linear_to_rgb(linear)

    threads.each(band, threads.bands(*lightness.shape))
    return rgb


def linear_to_rgb(linear: F32) -> U8:
    """Linear sRGB f32[H,W,3] -> u8[H,W,3], what lies outside 0 to 1 clipped."""
    # In rows of single numbers, to 0..65535 and rounded.
    steps = cast(Any, float(_CURVE_STEPS))  # of which OpenCV's stubs do not know
    index = cv2.multiply(linear.reshape(len(linear), -1), steps, dtype=cv2.CV_16U)
    return cast(U8, cv2.LUT(index, _u8_of_linear()).reshape(linear.shape))


def shades(plane: U8) -> U8:
    """The stored lightness plane u8[H,W] -> what ``lab_to_rgb`` makes of it in grey, sRGB u8[H,W,3]."""
    values = cast(U8, cv2.LUT(plane, _grays()))
    return cast(U8, cv2.merge([values] * 3))


@cache
def _grays() -> U8:
    every = np.arange(256, dtype=np.uint8)[None]
    return lab_to_rgb(every, np.zeros((2, 1, 256), np.float32))[0, :, 0].copy()


def _into_gamut(lab: F32) -> F32:
    """f32[N,3] -> linear RGB f32[N,3], not clipped yet, of the most chromatic colours that fit."""
    factor = np.zeros(len(lab), np.float32)
    left = np.arange(len(lab))
    for trial in range(_FACTOR_UNIT, 0, -_FACTOR_SCAN):
        fits = _fits(lab[left], np.full(len(left), trial, np.float32))
        factor[left[fits]] = trial
        left = left[~fits]
        if not left.size:
            break
    reduced = np.flatnonzero(factor < _FACTOR_UNIT)
    for step in _FACTOR_REFINEMENT if reduced.size else ():
        fits = _fits(lab[reduced], factor[reduced] + step)
        factor[reduced[fits]] += step
    return _lab_to_linear(_scaled(lab, factor))[:, 0]


def _fits(lab: F32, factor: F32) -> NDArray[np.bool_]:
    """Whether clipping is enough for colours f32[N,3] with AB multiplied by factor/1024, f32[N]."""
    linear = _lab_to_linear(_scaled(lab, factor))
    near = cv2.inRange(linear, (_CLIPPED_LOW,) * 3, (_CLIPPED_HIGH,) * 3)[:, 0] != 0
    luminance = np.clip(linear[:, 0], 0, 1) @ RGB_TO_XYZ[1].astype(np.float32)
    change = 116 * _f(luminance) - 16 - lab[:, 0]
    return np.asarray(near & (np.abs(change) <= _CLIPPED_LIGHTNESS))


def _scaled(lab: F32, factor: F32) -> F32:
    scaled = lab[:, None].copy()
    scaled[:, 0, 1:] *= (factor / _FACTOR_UNIT)[:, None]
    return scaled


def _f(ratios: F32) -> F32:
    """CIELAB's f; one formula for both branches: the second term is zero above the knee."""
    knee = np.float32(DELTA**3)
    f = cast(F32, cv2.pow(np.maximum(ratios, knee), 1 / 3)).reshape(ratios.shape)
    f += (np.minimum(ratios, knee) - knee) * np.float32(1 / (3 * DELTA**2))
    return f


def _lab_to_linear(lab: F32) -> F32:
    f = cv2.transform(lab, _LAB_TO_F)
    delta = np.float32(DELTA)
    above = np.maximum(f, delta)
    ratios = above * above * above
    ratios += np.minimum(f - delta, 0) * np.float32(3 * DELTA**2)
    return cast(F32, cv2.transform(ratios, _RATIOS_TO_RGB))


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
