"""Suites ``times`` and ``speed``: seconds and memory, each in a fresh process, one at a time.

``times`` has every setting of the whole-file curves, ``speed`` how a typical one grows with the picture.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.codecs import CODECS
from benchmarks.codecs.adapter import label, labelled
from benchmarks.measuring import stopwatch
from benchmarks.measuring.results import Values

SIZES = (0.1, 1, 12, 48)
"""In megapixels; the sides are 4:3."""
TYPICAL = {name: (label(codec.typical),) for name, codec in CODECS.items() if codec.typical is not None}
_BUDGET, _BUDGET_OF_EACH = 2.0, 0.5


def measure_setting(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Seconds to encode and to decode once the process runs, and its peak memory for both."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "picture.npy", Path(folder) / "out"
        np.save(source, rgb)
        options = labelled(CODECS[codec].files, setting)
        line = stopwatch.run(codec, options, "both", source, out, _BUDGET_OF_EACH)
    return {name: line[name] for name in ("encode_s", "decode_s", "peak_mb") if name in line}


def measure_size(codec: str, setting: str, rgb: np.ndarray) -> Values:
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
