"""Bjøntegaard's delta rate (VCEG-M33, 2001), piecewise cubic, over a fixed interval if wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

LEAST_POINTS = 3


def bd_rate(
    anchor: Sequence[tuple[float, float]],
    test: Sequence[tuple[float, float]],
    interval: tuple[float, float] | None = None,
    least_overlap: float = 0.0,
) -> float | None:
    """How much more rate ``test`` needs than ``anchor`` at equal quality, as a fraction: -0.5 is half.

    Both are (rate, quality) points, quality growing with rate; a point that is no better than a cheaper one
    is left out. The mean is that of log rate over the qualities that both have within ``interval``. None if
    these span no more than ``least_overlap``, or if a curve has fewer than three points.
    """
    curves = [_rising(points) for points in (anchor, test)]
    if min(map(len, curves)) < LEAST_POINTS:
        return None
    low = max([curve[0][1] for curve in curves] + ([interval[0]] if interval else []))
    high = min([curve[-1][1] for curve in curves] + ([interval[1]] if interval else []))
    if high - low <= least_overlap:
        return None
    integrals = []
    for curve in curves:
        rates, qualities = np.array(curve).T
        integrals.append(PchipInterpolator(qualities, np.log(rates)).integrate(low, high))
    return float(np.expm1((integrals[1] - integrals[0]) / (high - low)))


def _rising(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(points):
        if rate > 0 and (not kept or (quality > kept[-1][1] and rate > kept[-1][0])):
            kept.append((rate, quality))
    return kept
