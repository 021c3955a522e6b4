"""Whole files of equal quality: what ours takes for the PSNR of L* and the mean CIEDE2000 of a rival's file.

Lightness quality is the least with which the PSNR is the rival's, colour quality then the least with which
CIEDE2000 is. Both are whole numbers, so ours is a little better than asked in both. How many bytes would
be exactly as good is interpolated, as BD-rates do it, between that file and those of one quality less.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from benchmarks.codecs import CODECS
from benchmarks.codecs.rivals import AVIF
from benchmarks.measuring.results import Values
from crayoncodec.encoding import metrics
from crayoncodec.encoding.targets import least

_QUALITIES = (35, 50, 65, 80)
_OURS = ("cray", "cray, effort 7", "cray without a network")

Point = tuple[int, float, float]

SETTINGS = {
    codec: tuple(f"{AVIF} quality={quality}" for quality in _QUALITIES) for codec in _OURS
}  # fmt: skip


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Bytes of both files, ours interpolated too, our qualities, PSNR of L* and mean CIEDE2000 of both."""
    rival, quality = setting.rsplit(" quality=", 1)
    data = CODECS[rival].encode(rgb, {"quality": int(quality)})
    theirs = metrics.compare(rgb, CODECS[rival].decode(data))
    ours = CODECS[codec]

    @cache
    def coded(lightness: int, color: int) -> tuple[bytes, metrics.Comparison]:
        data = ours.encode(rgb, {"quality": lightness, "color_quality": color})
        return data, metrics.compare(rgb, ours.decode(data))

    def sufficient(color: int) -> int:
        return _least(lambda q: coded(q, color)[1].psnr_lightness >= theirs.psnr_lightness)

    lightness = sufficient(20)
    color = _least(lambda q: coded(lightness, q)[1].ciede2000_mean <= theirs.ciede2000_mean)
    own, found = coded(lightness, color)
    if found.psnr_lightness < theirs.psnr_lightness:
        # Other colours are clipped at another expense of lightness.
        lightness = sufficient(color)
        own, found = coded(lightness, color)
    if found.psnr_lightness < theirs.psnr_lightness or found.ciede2000_mean > theirs.ciede2000_mean:
        raise ValueError("no quality is as good as the rival's")
    less = [coded(max(lightness - 1, 0), color), coded(lightness, max(color - 1, 0))]
    points = [
        (len(each), one.psnr_lightness - theirs.psnr_lightness, one.ciede2000_mean - theirs.ciede2000_mean)
        for each, one in ((own, found), *less)
    ]
    return {
        "rival_bytes": len(data),
        "bytes": len(own),
        "bytes_interpolated": interpolated(*points),
        "quality": lightness,
        "color_quality": color,
        "psnr_lightness": found.psnr_lightness,
        "rival_psnr_lightness": theirs.psnr_lightness,
        "ciede2000_mean": found.ciede2000_mean,
        "rival_ciede2000_mean": theirs.ciede2000_mean,
    }


def interpolated(file: Point, less_lightness: Point, less_color: Point) -> float:
    """Bytes of a file that differs from a rival's in neither measure.

    Of all three: bytes, and what the two measures differ by, in which their logarithm is taken to be linear.
    Raises ValueError where the three files do not tell the measures apart.
    """
    sizes, *measures = np.array([file, less_lightness, less_color], dtype=float).T
    logs = np.log(sizes)
    slopes = [[values[1] - values[0], values[2] - values[0]] for values in measures]
    try:
        shares = np.linalg.solve(slopes, [-values[0] for values in measures])
    except np.linalg.LinAlgError as error:
        raise ValueError("files of one quality less are no different") from error
    return float(np.exp(logs[0] + shares @ (logs[1:] - logs[0])))


def _least(good: Callable[[int], bool]) -> int:
    """As ``least``; 100 if none is, and what is measured then says so."""
    return min(least(0, good), 100)
