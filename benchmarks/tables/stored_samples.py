"""Colour stored in other ways: what each way needs for the same quality, and what samples are worth."""

from __future__ import annotations

from benchmarks.measuring.results import Results
from benchmarks.suites.samples import COMPACT, NO_COLOR, ONE_GRID
from benchmarks.tables.bdrate import by_picture
from benchmarks.tables.cells import HOLE, all_settings, markdown, mean_and_worst, means, written
from benchmarks.tables.color_bytes import curve
from benchmarks.tables.one_grid import bounds

_LEAST_OVERLAP = 1.0
"""Decibels of AB MSE that two curves need to have in common."""
_WORTH = ("n=100", "n=60", "n=40", "n=20", "n=10", "n=6")


def rates(found: Results) -> str:
    """BD-rate of colour bytes against one grid that is decoded without a network, mean / worst picture."""
    pictures = len(found.pictures("samples"))
    rows = []
    for codec in found.codecs("samples"):
        if codec in (ONE_GRID, NO_COLOR):
            continue
        cells = []
        for measure, overlap in (("ab_mse", _LEAST_OVERLAP), ("ciede2000_mean", 0.0)):
            ours, theirs = (curve(found, "samples", name, measure) for name in (codec, ONE_GRID))
            cells.append(mean_and_worst(by_picture(theirs, ours, None, overlap), pictures))
        rows.append([codec, *cells])
    return markdown(["BD-rate against one grid, guided (pictures)", "AB MSE", "CIEDE2000"], rows)


def settings(found: Results) -> str:
    """Bytes of colour, AB MSE, and the mean and the 99th percentile of CIEDE2000, at every setting."""
    measures = {"color_bytes": 0, "ab_mse": 2, "ciede2000_mean": 2, "ciede2000_p99": 1}
    head = ["", "", "bytes", "AB MSE", "CIEDE2000", "its 99th percentile"]
    return markdown(head, all_settings(found, "samples", measures))


def worth(found: Results) -> str:
    """From no samples at all to one for every 6 x 6 pixels, painted by the compact network; picture means."""
    measures = {"color_bytes": 0, "ab_mse": 1, "ciede2000_mean": 2, "ciede2000_p99": 1}
    rows = [["none, grey", *means(found, "samples", (NO_COLOR, "n=0"), measures)]]
    known = found.settings("samples", COMPACT)
    for setting in filter(known.__contains__, _WORTH):
        rows.append([setting, *means(found, "samples", (COMPACT, setting), measures)])
    return markdown(["samples", "bytes", "AB MSE", "CIEDE2000", "its 99th percentile"], rows)


def sizes(found: Results) -> str:
    """Bytes of whole files over those of the raw picture, one grid, lightness lossless and not."""
    rows = []
    for setting in found.settings("samples", ONE_GRID):
        ratios = relative_sizes(found, setting)
        rows.append([setting.removeprefix("n="), *(written(ratio, 4) for ratio in ratios.values())])
    names = relative_sizes(found, "n=10")
    return markdown(["n", *names], rows) if rows else HOLE


def relative_sizes(found: Results, setting: str) -> dict[str, float | None]:
    """The paper's equation 1, corrected, and what files take."""
    return bounds(setting) | {
        "file, lossless lightness": found.mean("samples", ONE_GRID, setting, "lossless_ratio"),
        "file, quality 80": found.mean("samples", ONE_GRID, setting, "ratio"),
    }
