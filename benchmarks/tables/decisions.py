"""What was decided by measuring: the defaults, and where a network paints."""

from __future__ import annotations

from statistics import mean

from benchmarks.measuring.results import Results
from benchmarks.tables.bdrate import decibels
from benchmarks.tables.cells import HOLE, markdown
from crayoncodec.painting.recolorize import pays


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
            gains = sorted(decibels(neural[picture]) - decibels(guided[picture]) for picture in guided)
            if len(gains) < len(found.pictures("painting")):
                rows.append([name, setting, *[HOLE] * 6])
                continue
            (spacing,), (step,) = map(set, (spacings.values(), steps.values()))
            figures = (mean(gains), gains[0], gains[-1])
            chosen = "neural" if pays(int(spacing), step) else "guided"
            cells = [f"{figure:+.2f}".replace("-", "−") for figure in figures]
            rows.append([name, setting, f"{spacing:g}", f"{step:.3g}", *cells, chosen])
    return markdown(["", "setting", "finest spacing", "step", "mean", "worst", "best", "auto"], rows)
