"""CIELAB -> sRGB in whole numbers, the same everywhere (docs/format.md, "To RGB in whole numbers").

f(X/Xn), f(Y/Yn), f(Z/Zn) are in 1/5,916,000, which 6/29, 4/29 and L* + 16 of a stored lightness are whole
multiples of; t = f^3 in 2^41 / 5,916,000^3, linear light in 1/2^24. All numbers on the way are below 2^53.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from crayoncodec.machine import kernels, lab, threads

AB_UNIT: Final = 256
"""a* and b* are in 1/256 of a CIELAB unit here, ..."""
MOST_AB: Final = 65535
"""... and what lies beyond this is taken as this."""
MATRIX: Final = ((9208016, -4595341, -1623268), (-2753151, 5607399, 135159), (158297, -609902, 3441012))
"""t of X/Xn, Y/Yn, Z/Zn -> linear R, G, B, times 2^24. Every row has the same sum: grey stays grey."""
LUMINANCE: Final = (2126, 7152, 722)
"""Of linear R, G, B, times 10,000."""

_F_UNIT: Final = 5_916_000
_KNEE: Final = _F_UNIT * 6 // 29
_SLOPE: Final = 2143158
"""3 (6/29)^2, the slope of t below the knee, times 2^20."""
_ONE: Final = 2**24
# What clipping may do. Rounding L* and AB, and lossy lightness more so, moves saturated colours out of the
# gamut by as much; reducing their chroma instead would halve that of pure yellow. L* may change by 1: that
# is hardly seen (docs/design.md, "Clipping a little").
_CLIPPED_LOW: Final = -335544
_CLIPPED_HIGH: Final = 18454937
_LIGHTNESS_UNIT: Final = _F_UNIT // 116
# The factor of chroma is searched in these steps of 1/1024. The first is a scan from above, because towards
# yellow a line of constant L* and hue can leave the gamut and enter it again.
_FACTOR_UNIT: Final = 1024
_FACTOR_SCAN: Final = 64
_FACTOR_REFINEMENT: Final = (32, 16, 8, 4, 2, 1)
_CURVE_SHIFT: Final = 12
_STRIP: Final = 2**13
"""Pixels that NumPy computes at once."""
_CHECKED: Final = 0xF7D06B91
"""CRC-32 of what the kernel makes of the check's colours."""

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


def lab_to_rgb(lightness: U8, ab: F32 | I32, out: U8 | None = None) -> U8:
    """The stored lightness u8[H,W] and AB [2,H,W], int32 in 1/256 or f32 in CIELAB units -> sRGB u8[H,W,3].

    Floats are rounded to 1/256. Colours outside the sRGB gamut keep L* and hue and lose chroma: AB is scaled
    towards grey until it fits. What clipping can bring inside without changing L* by more than 1 is only
    clipped. out: an array, or a part of one, to write into.
    """
    rgb = np.empty((*lightness.shape, 3), np.uint8) if out is None else out
    which = _version()

    def band(rows: slice) -> None:
        if which is None:
            _compute(lightness[rows], ab[:, rows], rgb[rows])
        else:
            lab.to_rgb(_tables(), lightness[rows], ab[:, rows], rgb[rows], which)

    threads.each(band, threads.bands(*lightness.shape))
    return rgb


def shades(plane: U8) -> U8:
    """The stored lightness u8[H,W] -> what ``lab_to_rgb`` makes of it in grey, sRGB u8[H,W,3]."""
    rgb = np.empty((*plane.shape, 3), np.uint8)

    def band(rows: slice) -> None:
        np.take(_grays(), plane[rows], axis=0, out=rgb[rows], mode="clip")

    threads.each(band, threads.bands(*plane.shape))
    return rgb


@cache
def _grays() -> U8:
    every = np.arange(256, dtype=np.uint8)[None]
    rgb = lab_to_rgb(every, np.zeros((2, 1, 256), np.int32))
    return cast(U8, rgb[0])


def _compute(lightness: U8, ab: F32 | I32, rgb: U8) -> None:
    """With NumPy."""
    height, width = lightness.shape
    step = max(1, _STRIP // max(1, width))
    for top in range(0, height, step):
        rows = slice(top, top + step)
        a, b = _whole(ab[:, rows]).reshape(2, -1)
        values = _painted(lightness[rows].ravel().astype(np.int64), a, b)
        rgb[rows] = values.reshape(*lightness[rows].shape, 3)


def _whole(ab: F32 | I32) -> I64:
    if ab.dtype.kind == "f":
        most = np.float32(MOST_AB / AB_UNIT)
        ab = np.rint(np.fmin(np.fmax(ab, -most), most) * np.float32(AB_UNIT))
    return np.clip(ab.astype(np.int64), -MOST_AB, MOST_AB)


def _painted(lightness: I64, a: I64, b: I64) -> U8:
    """Colours [N] -> u8[N,3]."""
    linear = _linear(lightness, a, b, _FACTOR_UNIT)
    outside = np.flatnonzero((linear.min(axis=0) < 0) | (linear.max(axis=0) > _ONE))
    outside = outside[~_fits(linear[:, outside], lightness[outside])]
    if outside.size:
        colors = lightness[outside], a[outside], b[outside]
        linear[:, outside] = _linear(*colors, _factor(*colors))
    clipped = np.clip(linear, 0, _ONE - 1)
    values = (_tables().curve[clipped >> _CURVE_SHIFT] + clipped) >> _CURVE_SHIFT
    return cast(U8, values.T.astype(np.uint8))


def _factor(*colors: I64) -> I64:
    """The factors of chroma of colours [N] that do not fit as they are."""
    lightness, a, b = colors

    def fit(some: NDArray[np.intp], factor: I64 | int) -> NDArray[np.bool_]:
        return _fits(_linear(lightness[some], a[some], b[some], factor), lightness[some])

    every = left = np.arange(len(lightness))
    factor = np.zeros(len(lightness), np.int64)
    for trial in range(_FACTOR_UNIT - _FACTOR_SCAN, 0, -_FACTOR_SCAN):
        fits = fit(left, trial)
        factor[left[fits]] = trial
        left = left[~fits]
        if not left.size:
            break
    for step in _FACTOR_REFINEMENT:
        factor[fit(every, factor + step)] += step
    return factor


def _fits(linear: I64, lightness: I64) -> NDArray[np.bool_]:
    """Whether clipping is enough for linear [3,N] of a stored lightness [N]."""
    near = (linear.min(axis=0) >= _CLIPPED_LOW) & (linear.max(axis=0) <= _CLIPPED_HIGH)
    luminance = np.array(LUMINANCE) @ np.clip(linear, 0, _ONE)
    least, most = _tables().luminance.T.astype(np.int64)[:, lightness] * sum(LUMINANCE)
    return np.asarray(near & (luminance >= least) & (luminance <= most))


def _linear(lightness: I64, a: I64, b: I64, factor: I64 | int) -> I64:
    """Colours [N], AB multiplied by factor/1024 -> linear [3,N]."""
    y = 4000 * (5 * lightness + 204)
    x = y + _scaled(1479 * a * factor, 15)
    z = y - _scaled(7395 * b * factor, 16)
    return _channels(_ratio(np.stack([x, y, z])))


def _channels(ratios: I64) -> I64:
    """Linear light [3,N] of t of X/Xn, Y/Yn, Z/Zn, [3,N]."""
    return _scaled(np.array(MATRIX, np.int64) @ ratios, 24)


def _ratio(f: I64) -> I64:
    """CIELAB's t of f."""
    above = np.maximum(f, _KNEE)
    cube = _scaled(_scaled(above * above, 20) * above, 21)
    return cube - _scaled(_SLOPE * np.maximum(_KNEE - f, 0), 20)


def _scaled(value: I64, shift: int) -> I64:
    """Divided by 2^shift and rounded to the nearest integer, the greater of two."""
    return (value + (1 << shift - 1)) >> shift


@cache
def _tables() -> lab.Tables:
    f = 4000 * (5 * np.arange(256, dtype=np.int64) + 204)
    limits = [_ratio(f + change) for change in (-_LIGHTNESS_UNIT, _LIGHTNESS_UNIT)]
    luminance = [_channels(np.stack([ratio] * 3))[1] for ratio in limits]
    return lab.Tables(
        np.array(MATRIX, np.int32),
        reached(thresholds(), _ONE),
        np.stack(luminance, axis=1).astype(np.int32),
    )


def reached(limits: list[int], unit: int) -> I32:
    """A table i32[4096] by which a number c below ``unit``, a power of 2, becomes how many limits it reaches.

    That is (table[c >> s] + c) >> s, 2^s being unit / 4096. No two limits may be as near as that.
    """
    width = unit // 4096
    edges = np.array([*limits, 2 * unit], np.int64)
    starts = np.arange(0, unit, width, dtype=np.int64)
    counts = np.searchsorted(edges, starts, side="right")
    table = counts * width - starts + np.maximum(starts + width - edges[counts], 0)
    return cast(I32, table.astype(np.int32))


def thresholds() -> list[int]:
    """The least linear light, in 1/2^24, that sRGB's curve makes 1, 2, ... 255 of, 255 v being rounded."""
    return [light(2 * value - 1, _ONE) for value in range(1, 256)]


def light(twice: int, unit: int) -> int:
    """The linear light of v = twice / 510, in 1/unit, rounded up: IEC 61966-2-1, exactly.

    It is v / 12.92, or the number whose fifth power is ((v + 0.055) / 1.055)^12.
    """
    if twice <= 0.04045 * 510:
        return -(-unit * 100 * twice // (1292 * 510))
    power, divisor = (20 * twice + 561) ** 12 * unit**5, 10761**12
    linear = int(unit * ((20 * twice + 561) / 10761) ** 2.4)  # nearly
    while linear**5 * divisor < power:
        linear += 1
    while (linear - 1) ** 5 * divisor >= power:
        linear -= 1
    return linear


def _version() -> int | None:
    """Which version of the kernel computes; None for NumPy."""
    best = kernels.version()
    return None if best is None else _right(best)


@cache
def _right(best: int) -> int | None:
    """The greatest version that gives the integers of the day it was written."""
    return next((each for each in range(best, -1, -1) if _checksum(each) == _CHECKED), None)


def _checksum(which: int) -> int:
    """CRC-32 of what a version makes of colours in and far out of the gamut."""
    every = np.arange(1031, dtype=np.int64)
    ab = np.stack([every * 7919 % 65537 - 32768, every * 104729 % 65537 - 32768]).astype(np.int32)
    ab[:, ::3] //= 8
    rgb = np.empty((1, len(every), 3), np.uint8)
    lab.to_rgb(_tables(), (every * 37 % 256).astype(np.uint8)[None], ab[:, None], rgb, which)
    return zlib.crc32(rgb.tobytes())
