"""How seconds and memory grow with the picture: a typical setting of each codec, in fresh processes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import stopwatch
from benchmarks.codecs import CODECS, label
from benchmarks.results import Values

SIZES = (0.1, 1, 12, 48)
"""In megapixels; the sides are 4:3."""
SETTINGS = {name: (label(codec.typical),) for name, codec in CODECS.items() if codec.typical is not None}
_BUDGET = 2.0


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Seconds with and without start-up, and peak memory, of encoding and of decoding."""
    adapter = CODECS[codec]
    values = {"megapixels": rgb.size / 3e6}
    with tempfile.TemporaryDirectory() as folder:
        source, data = Path(folder) / "picture.npy", Path(folder) / "data"
        np.save(source, rgb)
        for what in ("encode", "decode"):
            line = stopwatch.run(codec, adapter.typical, what, source, data, _BUDGET)
            values |= {f"{what}_s": line[f"{what}_s"], f"{what}_startup_s": line["startup_s"]}
            values |= {f"{what}_peak_mb": line["peak_mb"]} if "peak_mb" in line else {}
            source = data
    return values


def shape(megapixels: float) -> tuple[int, int]:
    """Height and width of a 4:3 picture."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    return round(megapixels * 1e6 / width), width


def tiled(pictures: list[np.ndarray], megapixels: float) -> np.ndarray:
    """Pictures u8[h,w,3], side by side and repeated in another order on each row, cut to a size."""
    height, width = shape(megapixels)
    side = min(min(picture.shape[:2]) for picture in pictures)
    tiles = [picture[:side, :side] for picture in pictures]
    rows = [
        np.hstack([tiles[(3 * row + column) % len(tiles)] for column in range(-(-width // side))])
        for row in range(-(-height // side))
    ]
    return np.ascontiguousarray(np.vstack(rows)[:height, :width])
