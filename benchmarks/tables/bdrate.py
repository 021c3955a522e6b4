"""Bjøntegaard's delta rate (VCEG-M33, 2001), piecewise cubic, over a fixed interval if wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean

import numpy as np
from scipy.interpolate import PchipInterpolator

from benchmarks.measuring.results import Results

LEAST_POINTS = 3
Curve = dict[str, list[tuple[float, float]]]
"""Picture -> (rate, quality) points."""


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


def curve_of(
    found: Results, suite: str, codec: str, rate: str, measure: str, quality: Callable[[float], float]
) -> Curve:
    """A codec's; quality: makes of a measure what grows as pictures get better.

    Settings at which a picture is exact are no part of its curve.
    """
    curve: Curve = {}
    for row in found.rows.values():
        if (row.suite, row.codec) == (suite, codec) and row.values is not None and measure in row.values:
            curve.setdefault(row.picture, []).append((row.values[rate], quality(row.values[measure])))
    return curve


def by_picture(
    anchor: Curve, test: Curve, interval: tuple[float, float] | None = None, least_overlap: float = 0.0
) -> list[float]:
    """The BD-rate of each picture that has one, in rising order."""
    figures = (
        bd_rate(anchor[name], test[name], interval, least_overlap) for name in anchor.keys() & test.keys()
    )
    return sorted(figure for figure in figures if figure is not None)


def pooled(curve: Curve) -> list[tuple[float, float]]:
    """Mean rate, and the decibels of the mean error, by setting; needs every picture at each."""
    points: list[tuple[float, float]] = []
    if len({len(points) for points in curve.values()}) > 1:
        return points
    for setting in zip(*curve.values(), strict=True):
        error = mean(10 ** (-quality / 10) for _, quality in setting)
        points.append((mean(rate for rate, _ in setting), decibels(error)))
    return points


def decibels(error: float) -> float:
    """A mean squared error as a quality: 10 times less is 10 more."""
    return -10 * math.log10(error)
