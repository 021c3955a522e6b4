"""Time and memory: of every setting, by size, stage by stage."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measuring.clock import DECODING, ENCODING
from benchmarks.measuring.results import Results
from benchmarks.tables.cells import HOLE, all_settings, markdown, named

_WAYS = ("encode", "decode")


def times(found: Results) -> str:
    """Seconds and peak megabytes of fresh processes, start-up left out, the mean over the timed pictures."""
    measures = {"encode_s": 3, "decode_s": 3, "peak_mb": 0}
    return markdown(["codec", "setting", *measures], all_settings(found, "times", measures))


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


def _by_size(found: Results, cell: Callable[[dict[str, float]], str]) -> str:
    rows = []
    for codec in found.codecs("speed"):
        (setting,) = found.settings("speed", codec)
        measured = [found.rows.get(("speed", codec, setting, size)) for size in found.pictures("speed")]
        cells = (cell(row.values) if row is not None and row.values else HOLE for row in measured)
        rows.append([named(codec, setting), *cells])
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
