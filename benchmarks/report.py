"""Results -> Markdown tables, and the places in the documents where they stand.

A document has ``<!-- results: FILE TABLE -->`` before and ``<!-- end of results -->`` after a table; FILE is
one of ``benchmarks/results``, TABLE a name of TABLES.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean

from benchmarks import results
from benchmarks.bdrate import bd_rate
from benchmarks.grids import LIGHTNESS
from benchmarks.results import Results

RESULTS = Path(__file__).parent / "results"
DEFAULT_ANCHOR = "AVIF 4:2:0"
ANCHORS = (DEFAULT_ANCHOR, "AVIF 4:2:0 tune=psnr")
AB_MSE_INTERVAL = (3.0, 10.0)
LEAST_OVERLAP_DB = 1.0
HOLE = "—"
_BLOCK = re.compile(r"(<!-- results: (\S+) (\S+) -->\n).*?(<!-- end of results -->)", re.DOTALL)

Curve = dict[str, list[tuple[float, float]]]
"""Picture -> (rate, quality) points."""


def files(found: Results) -> str:
    """Whole files: means over the pictures at every setting."""
    measures = {
        "bpp": 2, "ssimulacra2": 1, "psnr_rgb": 2, "psnr_lightness": 2, "ab_mse": 2, "ciede2000_mean": 2,
        "ciede2000_p95": 2, "ciede2000_p99": 2, "ab_ssim": 3,
    }  # fmt: skip
    rows = []
    for codec in found.codecs("files"):
        for setting in found.settings("files", codec):
            columns = [found.values("files", codec, setting, name) for name in measures]
            shown = [
                f"{mean(c.values()):.{d}f}" if c else HOLE
                for c, d in zip(columns, measures.values(), strict=True)
            ]
            rows.append([codec, setting, *shown])
    return table(["codec", "setting", *measures], rows)


def rates(found: Results) -> str:
    """Whole files: BD-rate against AVIF 4:2:0, on three qualities."""
    signs = {"ssimulacra2": 1, "psnr_lightness": 1, "ciede2000_mean": -1}
    rows = []
    for codec in found.codecs("files"):
        cells = []
        for measure, sign in signs.items():
            curves = [
                _curve(found, "files", name, "bpp", lambda row, m=measure, s=sign: s * row[m])
                for name in (DEFAULT_ANCHOR, codec)
            ]
            cells.append(_percentages(_each(*curves), len(found.pictures("files"))))
        rows.append([codec, *cells])
    return table(["BD-rate against AVIF 4:2:0 (pictures)", *signs], rows)


def colors(found: Results) -> str:
    """The colour alone: BD-rate of colour bytes over AB MSE 3 to 10 and CIEDE2000, against both anchors."""
    low, high = sorted(map(_decibels, AB_MSE_INTERVAL))
    rows = []
    for codec in found.codecs("colors"):
        cells = []
        for anchor in ANCHORS:
            ours, theirs = (
                _curve(found, "colors", name, "color_bpp", lambda row: _decibels(row["ab_mse"]))
                for name in (codec, anchor)
            )
            cells.append(
                _percentages(
                    _each(theirs, ours, (low, high), LEAST_OVERLAP_DB), len(found.pictures("colors"))
                )
            )
            cells.append(percentage(bd_rate(_pooled(theirs), _pooled(ours), (low, high), LEAST_OVERLAP_DB)))
            ours, theirs = (
                _curve(found, "colors", name, "color_bpp", lambda row: -row["ciede2000_mean"])
                for name in (codec, anchor)
            )
            cells.append(_percentages(_each(theirs, ours), len(found.pictures("colors"))))
        rows.append([codec, *cells])
    measures = ("AB MSE", "AB MSE, pooled", "CIEDE2000")
    names = [f"{measure}, against {anchor}" for anchor in ANCHORS for measure in measures]
    return table(["BD-rate of colour bytes (pictures)", *names], rows)


def figure2(found: Results) -> str:
    """The paper's Figure 2: PSNR in dB / ab-SSIM over the spacing, with relative sizes."""
    decoders = [codec for codec in found.codecs("grids") if codec != LIGHTNESS]
    lightness = mean(found.values("grids", LIGHTNESS, "webp", "bpp").values())
    rows = []
    for setting in found.settings("grids", decoders[0]):
        n = int(setting.removeprefix("n="))
        grid = found.values("grids", "bicubic, means", setting, "grid_bpp").values()
        sizes = [1 / 3 + 1 / n**2, 1 / 3 + 2 / (3 * n**2), (lightness + mean(grid)) / 24]
        rows.append([
            str(n), *(f"{size:.4f}" for size in sizes),
            *(_pair(found, codec, setting, ("psnr_rgb", 2), ("ab_ssim", 3)) for codec in decoders),
        ])  # fmt: skip
    head = ["n", "1/3 + 1/n²", "1/3 + 2/(3n²)", "lossless planes, of raw"]
    return table([*head, *(f"{codec}: PSNR / ab-SSIM" for codec in decoders)], rows)


def grids(found: Results) -> str:
    """The colour error of one grid: AB MSE / mean CIEDE2000."""
    decoders = [codec for codec in found.codecs("grids") if codec != LIGHTNESS]
    rows = []
    for setting in found.settings("grids", decoders[0]):
        bpp = mean(found.values("grids", "bicubic, means", setting, "grid_bpp").values())
        guided, network = (
            mean(found.values("grids", codec, setting, "ab_mse").values())
            for codec in ("guided, means", "compact, means")
        )
        cells = [_pair(found, codec, setting, ("ab_mse", 2), ("ciede2000_mean", 2)) for codec in decoders]
        rows.append([setting.removeprefix("n="), f"{bpp:.4f}", *cells, percentage(network / guided - 1)])
    return table(["n", "means, bpp", *decoders, "compact against guided"], rows)


def choices(found: Results) -> str:
    """What the defaults were chosen by: means over the pictures."""
    rows = []
    for codec in found.codecs("choices"):
        for setting in found.settings("choices", codec):
            names = {name for key, row in found.rows.items() if key[:3] == ("choices", codec, setting)
                     for name in row.values or {}}  # fmt: skip
            for name in sorted(names):
                value = mean(found.values("choices", codec, setting, name).values())
                rows.append([codec, setting, name, f"{value:.4g}"])
    return table(["", "setting", "measure", "mean"], rows)


TABLES: dict[str, tuple[str, Callable[[Results], str]]] = {
    "files": ("files", files),
    "rates": ("files", rates),
    "colors": ("colors", colors),
    "figure2": ("grids", figure2),
    "grids": ("grids", grids),
    "choices": ("choices", choices),
}
"""Name -> the suite that a table is made of, and the function that makes it."""


def filled(document: str, folder: Path = RESULTS) -> str:
    """A document with its tables made anew from the results in ``folder``."""

    def fill(block: re.Match[str]) -> str:
        before, file, name, after = block.groups()
        _, render = TABLES[name]
        return before + render(results.load(folder / file)) + "\n" + after

    return _BLOCK.sub(fill, document)


def _curve(
    found: Results, suite: str, codec: str, rate: str, quality: Callable[[dict[str, float]], float]
) -> Curve:  # fmt: skip
    curve: Curve = {}
    for row in found.rows.values():
        if (row.suite, row.codec) == (suite, codec) and row.values is not None:
            curve.setdefault(row.picture, []).append((row.values[rate], quality(row.values)))
    return curve


def _each(
    anchor: Curve, test: Curve, interval: tuple[float, float] | None = None, least: float = 0.0
) -> list[float]:  # fmt: skip
    figures = (bd_rate(anchor[name], test[name], interval, least) for name in anchor.keys() & test.keys())
    return sorted(figure for figure in figures if figure is not None)


def _pooled(curve: Curve) -> list[tuple[float, float]]:
    """Mean rate, and the decibels of the mean error, by setting; needs every picture at each."""
    points: list[tuple[float, float]] = []
    if len({len(points) for points in curve.values()}) > 1:
        return points
    for setting in zip(*curve.values(), strict=True):
        error = mean(10 ** (-quality / 10) for _, quality in setting)
        points.append((mean(rate for rate, _ in setting), _decibels(error)))
    return points


def _decibels(error: float) -> float:
    return -10 * math.log10(error)


def _pair(found: Results, codec: str, setting: str, *measures: tuple[str, int]) -> str:
    columns = [found.values("grids", codec, setting, name).values() for name, _ in measures]
    return " / ".join(
        f"{mean(column):.{digits}f}" if column else HOLE
        for column, (_, digits) in zip(columns, measures, strict=True)
    )


def percentage(figure: float | None) -> str:
    """A fraction in percent with its sign; a hole for None."""
    return HOLE if figure is None else f"{100 * figure:+.1f} %".replace("-", "−")


def _percentages(figures: list[float], pictures: int) -> str:
    """Their mean, and for how many of the pictures there is one."""
    return f"{percentage(mean(figures))} ({len(figures)} of {pictures})" if figures else HOLE


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
