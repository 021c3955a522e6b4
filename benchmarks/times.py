"""Seconds and memory of every setting of the whole-file curves, each in a fresh process, one at a time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import files, stopwatch
from benchmarks.codecs import CODECS, labelled
from benchmarks.results import Values

SETTINGS = files.SETTINGS
_BUDGET = 0.5


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Seconds to encode and to decode once the process runs, and its peak memory for both."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "picture.npy", Path(folder) / "out"
        np.save(source, rgb)
        line = stopwatch.run(codec, labelled(CODECS[codec].files, setting), "both", source, out, _BUDGET)
    return {name: line[name] for name in ("encode_s", "decode_s", "peak_mb") if name in line}
