"""Results -> Markdown tables."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import neg
from statistics import mean

from benchmarks.bdrate import bd_rate
from benchmarks.grids import LIGHTNESS
from benchmarks.results import Results
from benchmarks.stages import DECODING, ENCODING
from crayoncodec.recolorize import pays

DEFAULT_ANCHOR = "AVIF 4:2:0"
ANCHORS = (f"{DEFAULT_ANCHOR} tune=psnr", DEFAULT_ANCHOR)
"""The first is the stronger rival in squared error: what is claimed is claimed against it."""
AB_MSE_INTERVAL = (3.0, 10.0)
LEAST_OVERLAP_DB = 1.0
GUIDED = "guided"
MEANS = ("guided, means", "compact, means")
PICTURES_AT = ("n=6", "n=10", "n=20", "n=40")
HOLE = "—"
BESIDE = (
    ("JPEG 4:2:0", "quality=92"), ("WebP", "quality=92"), ("AVIF 4:2:0", "quality=80"),
    ("JPEG XL", "quality=85"), ("HEIC", "quality=60"),
    *((f"cray n={n}", f"n={n} quality={quality}") for n, quality in ((20, 80), (10, 80), (6, 80), (6, 90))),
    ("cray one grid", "n=4 quality=80"),
    *(("cray", f"quality={quality}") for quality in (65, 80, 90)),
)  # fmt: skip
"""What a user may choose between; the first is what the others are compared with."""

Curve = dict[str, list[tuple[float, float]]]
"""Picture -> (rate, quality) points."""

_SPACING = re.compile(r"\bn=(\d+)")


@dataclass(frozen=True)
class Table:
    """A table made of one suite."""

    suite: str
    title: str
    render: Callable[[Results], str]


def beside(found: Results) -> str:
    """What a user may choose between; bytes in percent of the first one's."""
    measures = {"ssimulacra2": 1, "psnr_lightness": 1, "ciede2000_mean": 2, "ciede2000_p99": 1}
    first = found.values("files", *BESIDE[0], "bytes")
    rows = []
    for choice in BESIDE:
        sizes = found.values("files", *choice, "bytes")
        share, smaller = HOLE, HOLE
        if first and sizes.keys() == first.keys():
            share = f"{100 * sum(sizes.values()) / sum(first.values()):.0f} %"
            smaller = f"{sum(sizes[name] < first[name] for name in sizes)} of {len(sizes)}"
        bpp, *figures = _means(found, "files", choice, {"bpp": 2} | measures)
        rows.append([_named(*choice), bpp, share, smaller, *figures])
    return markdown(["", "bpp", "of the JPEG's bytes", "smaller than it", *measures], rows)


def files(found: Results) -> str:
    """Means over the pictures at every setting; ratio is bytes over raw, beside the paper's bounds of it."""
    measures = {
        "bpp": 2, "ratio": 4, "ssimulacra2": 1, "psnr_rgb": 2, "psnr_lightness": 2, "ab_mse": 2,
        "ciede2000_mean": 2, "ciede2000_p95": 2, "ciede2000_p99": 2, "ab_ssim": 3,
    }  # fmt: skip
    rows = [
        [*row, *(_cell(bound, 4) for bound in _bounds(row[1]).values())]
        for row in _all_settings(found, "files", measures)
    ]
    return markdown(["codec", "setting", *measures, *_bounds("")], rows)


def _bounds(setting: str) -> dict[str, float | None]:
    """Equation 1 of the paper, and corrected; None for a setting without a spacing."""
    spacing = _SPACING.search(setting)
    if spacing is None:
        return {"1/3 + 1/n²": None, "1/3 + 2/(3n²)": None}
    n = int(spacing[1])
    return {"1/3 + 1/n²": 1 / 3 + 1 / n**2, "1/3 + 2/(3n²)": 1 / 3 + 2 / (3 * n**2)}


def rates(found: Results) -> str:
    """BD-rate of the whole file on three qualities, the mean over the pictures that have one."""
    signs = {"ssimulacra2": 1, "psnr_lightness": 1, "ciede2000_mean": -1}
    rows = []
    for codec in found.codecs("files"):
        cells = []
        for measure, sign in signs.items():
            curves = [
                _curve(found, "files", name, "bpp", measure, lambda value, s=sign: s * value)
                for name in (DEFAULT_ANCHOR, codec)
            ]
            cells.append(_percentages(_each(*curves), len(found.pictures("files"))))
        if any(cell != HOLE for cell in cells):
            rows.append([codec, *cells])
    return markdown([f"BD-rate against {DEFAULT_ANCHOR} (pictures)", *signs], rows)


def colors(found: Results) -> str:
    """The colour alone: BD-rate of colour bytes over AB MSE 3 to 10 and CIEDE2000, against both anchors."""
    low, high = sorted(map(_decibels, AB_MSE_INTERVAL))
    rows = []
    for codec in found.codecs("colors"):
        cells = []
        for anchor in ANCHORS:
            ours, theirs = (
                _curve(found, "colors", name, "color_bpp", "ab_mse", _decibels) for name in (codec, anchor)
            )
            cells.append(
                _percentages(
                    _each(theirs, ours, (low, high), LEAST_OVERLAP_DB), len(found.pictures("colors"))
                )
            )
            cells.append(percentage(bd_rate(_pooled(theirs), _pooled(ours), (low, high), LEAST_OVERLAP_DB)))
            ours, theirs = (
                _curve(found, "colors", name, "color_bpp", "ciede2000_mean", neg) for name in (codec, anchor)
            )
            cells.append(_percentages(_each(theirs, ours), len(found.pictures("colors"))))
        rows.append([codec, *cells])
    measures = ("AB MSE", "AB MSE, pooled", "CIEDE2000")
    names = [f"{measure}, against {anchor}" for anchor in ANCHORS for measure in measures]
    return markdown(["BD-rate of colour bytes (pictures)", *names], rows)


NESTED = ("cray nested", "cray nested guided")
_RIVALS = (*ANCHORS, "HEIC", "WebP", "JPEG XL", "JPEG 4:2:0")
_MEASURES = {"ab_mse": "AB MSE", "ciede2000_mean": "CIEDE2000", "ciede2000_p99": "its 99th percentile"}


def nested(found: Results) -> str:
    """Nested grids: BD-rate of their bytes, mean / worst picture; AB MSE over 3 to 10."""
    rows = []
    for codec in [name for name in found.codecs("colors") if name.startswith(NESTED[0])]:
        for anchor in _RIVALS if codec in NESTED else ANCHORS:
            cells = []
            for measure in _MEASURES:
                error = measure == "ab_mse"
                quality = _decibels if error else neg
                ours, theirs = (
                    _curve(found, "colors", name, "color_bpp", measure, quality) for name in (codec, anchor)
                )
                limits = (*sorted(map(_decibels, AB_MSE_INTERVAL)),) if error else None
                figures = _each(theirs, ours, limits, LEAST_OVERLAP_DB if error else 0.0)
                cells.append(_mean_and_worst(figures, len(found.pictures("colors"))))
            if any(cell != HOLE for cell in cells):
                rows.append([codec, anchor, *cells])
    return markdown(["", "BD-rate against", *_MEASURES.values()], rows)


def equal(found: Results) -> str:
    """Our whole file beside a rival's of the same PSNR of L* and the same mean CIEDE2000 (or better)."""
    kinds = {"bytes": "as good or better", "bytes_interpolated": "as good, interpolated"}
    rows = []
    for codec in found.codecs("equal"):
        for setting in found.settings("equal", codec):
            theirs = found.values("equal", codec, setting, "rival_bytes")
            cells = []
            for kind in kinds:
                ours = found.values("equal", codec, setting, kind)
                if not theirs or theirs.keys() != ours.keys():
                    cells += [HOLE] * 3
                    continue
                shares = [ours[name] / theirs[name] - 1 for name in ours]
                smaller = sum(share < 0 for share in shares)
                span = f"{percentage(min(shares))} to {percentage(max(shares))}"
                cells += [percentage(mean(shares)), span, f"{smaller} of {len(found.pictures('equal'))}"]
            if any(cell != HOLE for cell in cells):
                rows.append([codec, setting, *cells])
    columns = [f"{name}{what}" for name in kinds.values() for what in ("", ": best to worst", ": smaller")]
    return markdown(["decoder", "rival", *columns], rows)


def relative_sizes(found: Results, setting: str) -> dict[str, float | None]:
    """Bytes over those of the raw picture: the paper's equation 1, corrected, and of lossless planes."""
    lightness, grid = found.mean("grids", LIGHTNESS, "webp", "bpp"), _grid_bpp(found, setting)
    planes = None if lightness is None or grid is None else (lightness + grid) / 24
    return _bounds(setting) | {"lossless planes": planes}


def figure2(found: Results) -> str:
    """PSNR in dB / ab-SSIM over the spacing, with sizes relative to raw."""
    shown = decoders(found)
    rows = []
    for setting in found.settings("grids", shown[0]):
        sizes = relative_sizes(found, setting)
        cells = [
            " / ".join(_means(found, "grids", (codec, setting), {"psnr_rgb": 2, "ab_ssim": 3}))
            for codec in shown
        ]
        rows.append([setting.removeprefix("n="), *(_cell(size, 4) for size in sizes.values()), *cells])
    return markdown(["n", *sizes, *shown], rows)


def grids(found: Results) -> str:
    """AB MSE / mean CIEDE2000 over the spacing."""
    shown = decoders(found)
    rows = []
    for setting in found.settings("grids", shown[0]):
        cells = [
            " / ".join(_means(found, "grids", (codec, setting), {"ab_mse": 2, "ciede2000_mean": 2}))
            for codec in shown
        ]
        bpp = _cell(_grid_bpp(found, setting), 4)
        rows.append(
            [setting.removeprefix("n="), bpp, *cells, percentage(gain(found, "grids", MEANS, setting))]
        )
    return markdown(["n", "means, bpp", *shown, "compact against guided"], rows)


def pictures(found: Results) -> str:
    """AB MSE of guided, and of compact against it in percent, picture by picture."""
    settings = [setting for setting in found.settings("grids", MEANS[0]) if setting in PICTURES_AT]
    rows = []
    for picture in found.pictures("grids"):
        cells = []
        for setting in settings:
            guided, compact = (
                found.values("grids", codec, setting, "ab_mse").get(picture) for codec in MEANS
            )
            known = guided is not None and compact is not None
            cells.append(f"{guided:.2f} {percentage(compact / guided - 1)}" if known else HOLE)
        rows.append([picture, *cells])
    return markdown(["", *settings], rows)


def decoders(found: Results) -> list[str]:
    """Those of the suite ``grids``."""
    return [codec for codec in found.codecs("grids") if codec != LIGHTNESS]


def _grid_bpp(found: Results, setting: str) -> float | None:
    """Of the grid of cell means; it is the same for every decoder."""
    sizes = (found.mean("grids", codec, setting, "grid_bpp") for codec in decoders(found) if "means" in codec)
    return next((size for size in sizes if size is not None), None)


def choices(found: Results) -> str:
    """What the defaults were chosen by: means over the pictures."""
    rows = []
    for codec in found.codecs("choices"):
        for setting in found.settings("choices", codec):
            names = {name for key, row in found.rows.items() if key[:3] == ("choices", codec, setting)
                     for name in row.values or {}}  # fmt: skip
            for name in sorted(names):
                value = found.mean("choices", codec, setting, name)
                rows.append([codec, setting, name, HOLE if value is None else f"{value:.4g}"])
    return markdown(["", "setting", "measure", "mean"], rows)


def painting(found: Results) -> str:
    """AB PSNR of decoding with a network less that of guided decoding, in dB, and what ``auto`` does."""
    rows = []
    for name in found.codecs("painting"):
        for setting in found.settings("painting", name):
            guided, neural, spacings, steps = (
                found.values("painting", name, setting, measure)
                for measure in ("ab_mse_guided", "ab_mse_neural", "spacing", "step")
            )
            gains = sorted(_decibels(neural[picture]) - _decibels(guided[picture]) for picture in guided)
            if len(gains) < len(found.pictures("painting")):
                rows.append([name, setting, *[HOLE] * 6])
                continue
            (spacing,), (step,) = map(set, (spacings.values(), steps.values()))
            figures = (mean(gains), gains[0], gains[-1])
            chosen = "neural" if pays(int(spacing)) else "guided"
            cells = [f"{figure:+.2f}".replace("-", "−") for figure in figures]
            rows.append([name, setting, f"{spacing:g}", f"{step:.3g}", *cells, chosen])
    return markdown(["", "setting", "finest spacing", "step", "mean", "worst", "best", "auto"], rows)


def study(found: Results) -> str:
    """AB MSE against the guided decoder, whole pictures / without their borders; trained for equal times."""
    return _trainings(found, "study", ("changed", "steps", "MAC per pixel"))


def sizes(found: Results) -> str:
    """AB MSE against the guided decoder, whole pictures / without their borders; trained for equal steps."""
    return _trainings(found, "sizes", ("parameters", "MAC per pixel", "steps"))


def nested_sizes(found: Results) -> str:
    """BD-rate of colour bytes over AB MSE 3 to 10, mean / worst picture, by cost of loop and network."""
    low, high = sorted(map(_decibels, AB_MSE_INTERVAL))
    suite, rows = "nested-sizes", []
    curves = {
        name: _curve(found, suite, name, "color_bpp", "ab_mse", _decibels) for name in found.codecs(suite)
    }
    for name, curve in curves.items():
        if name in ANCHORS:
            continue
        cells = []
        for anchor in ANCHORS:
            figures = _each(curves[anchor], curve, (low, high), LEAST_OVERLAP_DB)
            cells.append(_mean_and_worst(figures, len(found.pictures(suite))))
        network = int(found.versions[name]["MAC per pixel"]) if name != GUIDED else 0
        rows.append([name, f"{loop_macs() + network:,}", *cells])
    return markdown(["", "MAC per pixel", *(f"against {anchor}" for anchor in ANCHORS)], rows)


def loop_macs() -> int:
    """Multiply-accumulates per pixel of the networks in the loop, of levels down to spacing 4."""
    from crayoncodec import predictor

    # A level of spacing n has blocks of 2n x 2n pixels.
    weights = sum(layer.weights.size for layer in predictor.load(predictor.VERSION).coarse.layers.values())
    return round(sum(weights / (2 * n) ** 2 for n in (4, 8, 16, 32, 64)))


def _trainings(found: Results, suite: str, facts: tuple[str, ...]) -> str:
    settings, measures = found.settings(suite, GUIDED), ("ab_mse", "ab_mse_inner")
    rows = []
    for name in found.codecs(suite):
        if name != GUIDED:
            gains = (
                " / ".join(
                    percentage(gain(found, suite, (GUIDED, name), setting, measure)) for measure in measures
                )
                for setting in settings
            )
            rows.append([name, *(found.versions[name][fact] for fact in facts), *gains])
    return markdown(["", *facts, *settings], rows)


def gain(
    found: Results, suite: str, codecs: tuple[str, str], setting: str, measure: str = "ab_mse"
) -> float | None:
    """Mean error of the second codec over that of the first, less 1."""
    before, after = (found.mean(suite, codec, setting, measure) for codec in codecs)
    return None if before is None or after is None else after / before - 1


def times(found: Results) -> str:
    """Seconds and peak megabytes of fresh processes, start-up left out, the mean over the timed pictures."""
    measures = {"encode_s": 3, "decode_s": 3, "peak_mb": 0}
    return markdown(["codec", "setting", *measures], _all_settings(found, "times", measures))


def throughput(found: Results) -> str:
    """Megapixels in a second, encoding / decoding, start-up left out."""

    def cell(values: dict[str, float]) -> str:
        return " / ".join(f"{values['megapixels'] / values[f'{what}_s']:.3g}" for what in _WAYS)

    return _by_size(found, cell)


def startup(found: Results) -> str:
    """Seconds of a whole process, encoding / decoding, start-up included."""
    return _by_size(found, lambda values: " / ".join(f"{values[f'{what}_startup_s']:.2f}" for what in _WAYS))


def memory(found: Results) -> str:
    """Peak megabytes of a process, encoding / decoding."""
    return _by_size(found, lambda values: " / ".join(f"{values[f'{what}_peak_mb']:.0f}" for what in _WAYS))


_WAYS = ("encode", "decode")


def _by_size(found: Results, cell: Callable[[dict[str, float]], str]) -> str:
    rows = []
    for codec in found.codecs("speed"):
        (setting,) = found.settings("speed", codec)
        measured = [found.rows.get(("speed", codec, setting, size)) for size in found.pictures("speed")]
        cells = (cell(row.values) if row is not None and row.values else HOLE for row in measured)
        rows.append([_named(codec, setting), *cells])
    return markdown(["", *found.pictures("speed")], rows)


def stages(found: Results) -> str:
    """Seconds a megapixel of each stage, its libraries' threads included; the network by each backend."""
    names = found.codecs("stages")
    rows = []
    for what, shown in (("encode", ENCODING), ("decode", DECODING)):
        for name in shown:
            for decoder in names if name == "network" else names[-1:]:
                cells = _growth(found, decoder, f"{what}: {name}", lambda value, mp: f"{value / mp:.4f}")
                label = decoder if name == "network" else name
                if any(cell != HOLE for cell in cells):
                    rows.append([what, label, *cells])
    return markdown(["", "stage", *found.pictures("stages")], rows)


def commands(found: Results) -> str:
    """Whole commands from file to file, start-up included: seconds, seconds a megapixel, peak megabytes."""
    rows = []
    for decoder in found.codecs("stages"):
        for what, label in (
            ("encode", "encode"),
            ("decode", "decode to PNG"),
            ("decode_ppm", "decode to PPM"),
        ):
            if what == "encode" and rows:
                continue
            seconds = _growth(
                found, decoder, f"{what}_s", lambda value, mp: f"{value:.2f} / {value / mp:.3f}"
            )
            peaks = _growth(found, decoder, f"{what}_peak_mb", lambda value, _: f"{value:.0f}")
            cells = [f"{one} / {other}" for one, other in zip(seconds, peaks, strict=True)]
            rows.append([label if what == "encode" else f"{label}, {decoder}", *cells])
    return markdown(["", *found.pictures("stages")], rows)


def _growth(found: Results, decoder: str, measure: str, cell: Callable[[float, float], str]) -> list[str]:
    (setting,) = found.settings("stages", decoder)
    values, sizes = (found.values("stages", decoder, setting, name) for name in (measure, "megapixels"))
    return [cell(values[size], sizes[size]) if size in values else HOLE for size in found.pictures("stages")]


TABLES: dict[str, Table] = {
    "beside": Table("files", "Whole files, some of them", beside),
    "rates": Table("files", "Whole files: BD-rates", rates),
    "files": Table("files", "Whole files, all of them", files),
    "colors": Table("colors", "The colour alone: BD-rates of its bytes", colors),
    "nested": Table("colors", "Nested grids against each rival", nested),
    "equal": Table("equal", "Whole files of equal quality", equal),
    "figure2": Table("grids", "The paper's Figure 2", figure2),
    "grids": Table("grids", "One grid beside exact lightness", grids),
    "pictures": Table("grids", "The compact network, picture by picture", pictures),
    "choices": Table("choices", "What the defaults were chosen by", choices),
    "painting": Table("painting", "Where the network pays", painting),
    "times": Table("times", "Time and memory of every setting", times),
    "throughput": Table("speed", "Speed by size", throughput),
    "startup": Table("speed", "Start-up included", startup),
    "memory": Table("speed", "Memory by size", memory),
    "stages": Table("stages", "Where the seconds go", stages),
    "commands": Table("stages", "Whole commands from 1 to 100 megapixels", commands),
    "study": Table("study", "What helps", study),
    "sizes": Table("sizes", "How large", sizes),
    "nested-sizes": Table("nested-sizes", "How large behind nested grids", nested_sizes),
}


def _curve(
    found: Results, suite: str, codec: str, rate: str, measure: str, quality: Callable[[float], float]
) -> Curve:
    """Settings at which a picture is exact are no part of its curve."""
    curve: Curve = {}
    for row in found.rows.values():
        if (row.suite, row.codec) == (suite, codec) and row.values is not None and measure in row.values:
            curve.setdefault(row.picture, []).append((row.values[rate], quality(row.values[measure])))
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


def _all_settings(found: Results, suite: str, measures: dict[str, int]) -> list[list[str]]:
    return [
        [codec, setting, *_means(found, suite, (codec, setting), measures)]
        for codec in found.codecs(suite)
        for setting in found.settings(suite, codec)
    ]


def _means(found: Results, suite: str, choice: tuple[str, str], measures: dict[str, int]) -> list[str]:
    """Over the pictures; measures: name -> digits."""
    return [_cell(found.mean(suite, *choice, name), digits) for name, digits in measures.items()]


def _named(codec: str, setting: str) -> str:
    """A codec with its setting, neither saying what the other says."""
    without_spacing = " ".join(_SPACING.sub("", codec).split()) if _SPACING.search(setting) else codec
    return codec if setting == "lossless" else f"{without_spacing}, {setting}"


def _cell(value: float | None, digits: int) -> str:
    if value is None:
        return HOLE
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"


def percentage(figure: float | None) -> str:
    """A fraction in percent with its sign; a hole for None."""
    return HOLE if figure is None else f"{100 * figure:+.1f} %".replace("-", "−")


def _mean_and_worst(figures: list[float], pictures: int) -> str:
    """Of BD-rates in rising order."""
    return f"{_percentages(figures, pictures)} / {percentage(figures[-1])}" if figures else HOLE


def _percentages(figures: list[float], pictures: int) -> str:
    """Their mean, and for how many of the pictures there is one."""
    return f"{percentage(mean(figures))} ({len(figures)} of {pictures})" if figures else HOLE


def markdown(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
