"""Results -> plots, each as SVG and as PNG.

A file says which figures it shows: the SHA-256 of its panels is in its description, so that a test can tell
whether it is in step with the results without drawing it again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.codecs.ours import GUIDED
from benchmarks.measuring.results import Results
from benchmarks.suites.samples import NO_COLOR, ONE_GRID
from benchmarks.tables import stored_samples, trained
from benchmarks.tables.cells import gain
from benchmarks.tables.one_grid import decoders, relative_sizes

SUFFIXES = (".svg", ".png")
_DIGEST = re.compile(rb"SHA-256 of its panels ([0-9a-f]{64})")
_OURS = "cray"
Line = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    x: str
    y: str
    lines: dict[str, Line]
    """Label -> points."""
    log: str = "x"
    """The axes that are logarithmic: "", "x", "y" or "xy"."""


@dataclass(frozen=True)
class Figure:
    """Panels side by side, made of one suite."""

    suite: str
    title: str
    panels: Callable[[Results], list[Panel]]


def _files(found: Results) -> list[Panel]:
    shown = ("JPEG 4:2:0", "WebP", "AVIF 4:2:0", "AVIF 4:2:0 tune=psnr", "JPEG XL", "HEIC", "JPEG 2000",
             "cray", "cray without a network", "cray one grid", "cray n=20")  # fmt: skip
    axes = {
        "ssimulacra2": "SSIMULACRA2",
        "psnr_lightness": "PSNR of L*, dB",
        "ciede2000_mean": "mean CIEDE2000",
    }
    return [
        Panel("bits per pixel", name, _lines(found, "files", shown, "bpp", measure), "x")
        for measure, name in axes.items()
    ]


def _colors(found: Results) -> list[Panel]:
    shown = found.codecs("colors")
    axes = {"ab_mse": "AB MSE", "ciede2000_mean": "mean CIEDE2000"}
    return [
        Panel("colour, bits per pixel", name, _lines(found, "colors", shown, "color_bpp", measure), "xy")
        for measure, name in axes.items()
    ]


def _figure2(found: Results) -> list[Panel]:
    settings = found.settings("grids", decoders(found)[0])
    panels = []
    for measure, name in {"psnr_rgb": "PSNR, dB", "ab_ssim": "ab-SSIM"}.items():
        lines = {
            decoder: [
                (_spacing(setting), found.mean("grids", decoder, setting, measure)) for setting in settings
            ]
            for decoder in decoders(found)
        }
        panels.append(Panel("spacing n", name, _without_holes(lines)))
    sizes: dict[str, list[tuple[float, float | None]]] = {}
    for setting in settings:
        for label, size in relative_sizes(found, setting).items():
            sizes.setdefault(label, []).append((_spacing(setting), size))
    return [*panels, Panel("spacing n", "bytes, of raw", _without_holes(sizes))]


def _samples(found: Results) -> list[Panel]:
    shown = [codec for codec in found.codecs("samples") if codec != NO_COLOR]
    axes = {"ab_mse": "AB MSE", "ciede2000_mean": "mean CIEDE2000"}
    return [
        Panel("colour, bits per pixel", name, _lines(found, "samples", shown, "color_bpp", measure), "xy")
        for measure, name in axes.items()
    ]


def _equation1(found: Results) -> list[Panel]:
    sizes: dict[str, list[tuple[float, float | None]]] = {}
    for setting in found.settings("samples", ONE_GRID):
        for label, size in stored_samples.relative_sizes(found, setting).items():
            sizes.setdefault(label, []).append((_spacing(setting), size))
    return [Panel("spacing n", "bytes, of raw", _without_holes(sizes), "xy")]


def _speed(found: Results) -> list[Panel]:
    panels = []
    axes = {"encode_startup_s": "encoding with start-up, s", "decode_startup_s": "decoding with start-up, s",
            "decode_peak_mb": "peak memory of decoding, MB"}  # fmt: skip
    for measure, name in axes.items():
        lines = {}
        for codec in found.codecs("speed"):
            (setting,) = found.settings("speed", codec)
            sizes = found.values("speed", codec, setting, "megapixels")
            values = found.values("speed", codec, setting, measure)
            lines[codec] = [(sizes[picture], value) for picture, value in values.items()]
        panels.append(Panel("megapixels", name, _without_holes(lines), "xy"))
    return panels


def _sizes(found: Results) -> list[Panel]:
    lines: dict[str, Line] = {}
    for setting in found.settings("sizes", GUIDED):
        points = [
            (float(found.versions[name]["MAC per pixel"]), gain(found, "sizes", (GUIDED, name), setting))
            for name in found.codecs("sizes")
            if name != GUIDED
        ]
        lines[f"cray {setting}"] = [(macs, 100 * change) for macs, change in points if change is not None]
    return [Panel("multiply-accumulates per pixel", "AB MSE against guided, %", lines)]


def _training(found: Results) -> list[Panel]:
    return [
        Panel("pictures learnt from", f"BD-rate over {name}, %", trained.lines(found, measure))
        for measure, name in trained.MEASURES.items()
    ]


FIGURES: dict[str, Figure] = {
    "files": Figure("files", "Whole files", _files),
    "colors": Figure("colors", "The colour alone", _colors),
    "figure2": Figure("grids", "The paper's Figure 2", _figure2),
    "samples": Figure("samples", "Colour stored in other ways", _samples),
    "equation1": Figure("samples", "Equation 1 of the paper, and bytes", _equation1),
    "speed": Figure("speed", "Time and memory by size", _speed),
    "sizes": Figure("sizes", "Networks of several sizes", _sizes),
    "training": Figure("training", "What more training brought", _training),
}


def plot(found: Results, stem: Path) -> list[str]:
    """Draw what ``found`` has suites for; the names of figures. Files are ``stem``-FIGURE.svg and .png."""
    names = [name for name, figure in FIGURES.items() if found.codecs(figure.suite)]
    for name in names:
        _draw(FIGURES[name].title, FIGURES[name].panels(found), stem.with_name(f"{stem.name}-{name}"))
    return names


def digest(panels: list[Panel]) -> str:
    """SHA-256 of what is drawn, to six digits."""
    rounded = [
        {**asdict(panel), "lines": {label: [[f"{value:.6g}" for value in point] for point in line]
         for label, line in panel.lines.items()}}
        for panel in panels
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()


def digest_in(data: bytes) -> str | None:
    """The digest of a plot's file; None if it has none."""
    match = _DIGEST.search(data)
    return match[1].decode() if match else None


def _lines(found: Results, suite: str, codecs: Collection[str], x: str, y: str) -> dict[str, Line]:
    """Means over the pictures."""
    return _without_holes({
        codec: [(found.mean(suite, codec, setting, x), found.mean(suite, codec, setting, y))
                for setting in found.settings(suite, codec)]
        for codec in codecs
    })  # fmt: skip


def _without_holes(lines: dict[str, list[tuple[float | None, float | None]]]) -> dict[str, Line]:
    whole = {label: [(x, y) for x, y in line if None not in (x, y)] for label, line in lines.items()}
    return {label: line for label, line in whole.items() if line}


def _spacing(setting: str) -> float:
    return float(setting.removeprefix("n="))


def _draw(title: str, panels: list[Panel], stem: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    labels = list(dict.fromkeys(label for panel in panels for label in panel.lines))
    colors = mpl.colormaps["tab20"].colors
    with mpl.rc_context({"svg.hashsalt": "crayoncodec", "svg.fonttype": "none", "font.size": 9}):
        drawing = Drawing(figsize=(5.2 * len(panels) + 2.2, 4.4), layout="constrained")
        drawing.suptitle(title)
        handles = {}
        for axes, panel in zip(drawing.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for label, line in panel.lines.items():
                index = labels.index(label)
                ours = label.startswith(_OURS)
                (handles[label],) = axes.plot(
                    *zip(*line, strict=True), label=label, marker="o" if ours else ".",
                    color=colors[(2 * index + index // 10) % 20], linewidth=2 if ours else 1, markersize=4,
                    linestyle="-" if ours else "--",
                )  # fmt: skip
            axes.set(xlabel=panel.x, ylabel=panel.y)
            for which in panel.log:
                axes.set(**{f"{which}scale": "log"})
                axis = getattr(axes, f"{which}axis")
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.set_minor_formatter(NullFormatter())
            axes.grid(visible=True, which="both", alpha=0.25)
        drawing.legend(handles=[handles[label] for label in labels], loc="outside right center")
        said = f"crayoncodec benchmarks; SHA-256 of its panels {digest(panels)}"
        drawing.savefig(stem.with_name(stem.name + ".svg"), metadata={"Description": said, "Date": None})
        drawing.savefig(stem.with_name(stem.name + ".png"), metadata={"Description": said}, dpi=100)
