"""README's one table: bytes for the same quality beside AVIF's, and seconds."""

from __future__ import annotations

from collections.abc import Callable
from operator import neg, pos
from statistics import mean

from benchmarks.codecs.ours import NESTED
from benchmarks.codecs.rivals import AVIF
from benchmarks.measuring.results import Results
from benchmarks.tables.bdrate import by_picture, curve_of
from benchmarks.tables.cells import HOLE, markdown, percentage, written
from benchmarks.tables.color_bytes import curve, rates

_ROWS = {
    **{name: name for name in ("JPEG 4:2:0", "WebP", AVIF, "AVIF 4:4:4", "JPEG XL", "HEIC")},
    "cray": NESTED,
    "cray, effort 7": f"{NESTED}, effort 7",
    "cray without a network": f"{NESTED} guided",
}
"""Names in the suites ``files`` and ``speed`` -> those in ``colors``."""
_SIZE = "12 MP"


def summary(whole: Results, present: Results, cropped: Results, others: Results) -> str:
    """BD-rates against AVIF, mean / worst picture: of files, and of the colour alone over CIEDE2000.

    Seconds are those of whole processes, start-up included. ``whole`` has the files and the seconds,
    ``present`` files of the same pictures by codecs that have changed since.
    """
    rows = []
    for codec, color in _ROWS.items():
        files = present if codec in present.codecs("files") else whole
        cells = [_files(files, codec, "ssimulacra2", pos), _files(files, codec, "ciede2000_mean", neg)]
        rows.append([codec, *cells, _colors(cropped, color), _colors(others, color), _seconds(whole, codec)])
    head = ["file, equal SSIMULACRA2", "file, equal CIEDE2000"]
    head += [f"colour, {found.dataset['folder']}" for found in (cropped, others)]
    return markdown([f"bytes against {AVIF}", *head, f"seconds for {_SIZE}, encode / decode"], rows)


def _files(found: Results, codec: str, measure: str, sign: Callable[[float], float]) -> str:
    ours, theirs = (curve_of(found, "files", name, "bpp", measure, sign) for name in (codec, AVIF))
    return _mean_and_worst(by_picture(theirs, ours), len(found.pictures("files")))


def _colors(found: Results, codec: str) -> str:
    ours, theirs = (curve(found, "colors", name, "ciede2000_mean") for name in (codec, AVIF))
    return _mean_and_worst(rates(theirs, ours, "ciede2000_mean"), len(found.pictures("colors")))


def _mean_and_worst(figures: list[float], pictures: int) -> str:
    """Of BD-rates in rising order; of how many pictures is said where it is not all."""
    if not figures:
        return HOLE
    missing = "" if len(figures) == pictures else f" ({len(figures)} of {pictures})"
    return f"{percentage(mean(figures))} / {percentage(figures[-1])}{missing}"


def _seconds(found: Results, codec: str) -> str:
    ways = []
    for setting in found.settings("speed", codec):
        for way in ("encode", "decode"):
            ways.append(written(found.values("speed", codec, setting, f"{way}_startup_s").get(_SIZE), 1))
    return " / ".join(ways) or HOLE
