"""What tables are made of: figures over the pictures, and how they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from statistics import mean

from benchmarks.measuring.results import Results

HOLE = "—"
SPACING = re.compile(r"\bn=(\d+)")
"""In the name of a codec or of a setting."""


def markdown(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def all_settings(found: Results, suite: str, measures: dict[str, int]) -> list[list[str]]:
    """Codec, setting and means of every setting of a suite; measures: name -> digits."""
    return [
        [codec, setting, *means(found, suite, (codec, setting), measures)]
        for codec in found.codecs(suite)
        for setting in found.settings(suite, codec)
    ]


def means(found: Results, suite: str, choice: tuple[str, str], measures: dict[str, int]) -> list[str]:
    """Over the pictures; measures: name -> digits."""
    return [written(found.mean(suite, *choice, name), digits) for name, digits in measures.items()]


def gain(
    found: Results, suite: str, codecs: tuple[str, str], setting: str, measure: str = "ab_mse"
) -> float | None:
    """Mean error of the second codec over that of the first, less 1."""
    before, after = (found.mean(suite, codec, setting, measure) for codec in codecs)
    return None if before is None or after is None else after / before - 1


def named(codec: str, setting: str) -> str:
    """A codec with its setting, neither saying what the other says."""
    without_spacing = " ".join(SPACING.sub("", codec).split()) if SPACING.search(setting) else codec
    return codec if setting == "lossless" else f"{without_spacing}, {setting}"


def written(value: float | None, digits: int) -> str:
    """A number with so many digits behind the point; a hole for None."""
    if value is None:
        return HOLE
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"


def percentage(figure: float | None) -> str:
    """A fraction in percent with its sign; a hole for None."""
    return HOLE if figure is None else f"{100 * figure:+.1f} %".replace("-", "−")


def percentages(figures: list[float], pictures: int) -> str:
    """Their mean, and for how many of the pictures there is one."""
    return f"{percentage(mean(figures))} ({len(figures)} of {pictures})" if figures else HOLE


def mean_and_worst(figures: list[float], pictures: int) -> str:
    """Of BD-rates in rising order."""
    return f"{percentages(figures, pictures)} / {percentage(figures[-1])}" if figures else HOLE
