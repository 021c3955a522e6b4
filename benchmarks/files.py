"""Whole files: bytes and distortions of every codec at every setting of its curve."""

from __future__ import annotations

import numpy as np

from benchmarks import distortion
from benchmarks.codecs import CODECS, label, labelled
from benchmarks.results import Values

SETTINGS = {name: tuple(map(label, codec.files)) for name, codec in CODECS.items() if codec.files}


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Bytes, bits per pixel, ratio to raw, and the distortions of the decoded picture."""
    adapter = CODECS[codec]
    data = adapter.encode(rgb, labelled(adapter.files, setting))
    return {
        "bytes": len(data),
        "bpp": 24 * len(data) / rgb.size,
        "ratio": len(data) / rgb.size,
        **distortion.of_picture(rgb, adapter.decode(data)),
    }
