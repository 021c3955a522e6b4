"""The colour alone: BD-rates of its bytes."""

from __future__ import annotations

from operator import neg

from benchmarks.codecs.ours import NESTED
from benchmarks.codecs.rivals import ANCHORS
from benchmarks.measuring.results import Results
from benchmarks.tables.bdrate import Curve, bd_rate, by_picture, curve_of, decibels, pooled
from benchmarks.tables.cells import HOLE, markdown, mean_and_worst, percentage, percentages

_INTERVAL = (decibels(10.0), decibels(3.0))
"""Of AB MSE, as decibels."""
_LEAST_OVERLAP = 1.0
"""Decibels of it that two curves need to have in common."""
_NESTED = (NESTED, f"{NESTED} guided")
_RIVALS = (*ANCHORS, "HEIC", "WebP", "JPEG XL", "JPEG 4:2:0")
_MEASURES = {"ab_mse": "AB MSE", "ciede2000_mean": "CIEDE2000", "ciede2000_p99": "its 99th percentile"}


def colors(found: Results) -> str:
    """The colour alone: BD-rate of colour bytes over AB MSE 3 to 10 and CIEDE2000, against both anchors."""
    pictures = len(found.pictures("colors"))
    rows = []
    for codec in found.codecs("colors"):
        cells = []
        for anchor in ANCHORS:
            for measure in ("ab_mse", "ciede2000_mean"):
                ours, theirs = (curve(found, "colors", name, measure) for name in (codec, anchor))
                cells.append(percentages(rates(theirs, ours, measure), pictures))
                if measure == "ab_mse":
                    rate = bd_rate(pooled(theirs), pooled(ours), _INTERVAL, _LEAST_OVERLAP)
                    cells.append(percentage(rate))
        rows.append([codec, *cells])
    measures = ("AB MSE", "AB MSE, pooled", "CIEDE2000")
    names = [f"{measure}, against {anchor}" for anchor in ANCHORS for measure in measures]
    return markdown(["BD-rate of colour bytes (pictures)", *names], rows)


def nested(found: Results) -> str:
    """Nested grids: BD-rate of their bytes, mean / worst picture; AB MSE over 3 to 10."""
    pictures = len(found.pictures("colors"))
    rows = []
    for codec in [name for name in found.codecs("colors") if name.startswith(NESTED)]:
        for anchor in _RIVALS if codec in _NESTED else ANCHORS:
            cells = []
            for measure in _MEASURES:
                ours, theirs = (curve(found, "colors", name, measure) for name in (codec, anchor))
                cells.append(mean_and_worst(rates(theirs, ours, measure), pictures))
            if any(cell != HOLE for cell in cells):
                rows.append([codec, anchor, *cells])
    return markdown(["", "BD-rate against", *_MEASURES.values()], rows)


def curve(found: Results, suite: str, codec: str, measure: str) -> Curve:
    """Colour bytes over an error: AB MSE in decibels, CIEDE2000 with its sign turned."""
    return curve_of(found, suite, codec, "color_bpp", measure, decibels if measure == "ab_mse" else neg)


def rates(anchor: Curve, test: Curve, measure: str) -> list[float]:
    """BD-rates of the pictures in rising order; over AB MSE those of the interval alone."""
    if measure == "ab_mse":
        return by_picture(anchor, test, _INTERVAL, _LEAST_OVERLAP)
    return by_picture(anchor, test)
