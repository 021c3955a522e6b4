"""The colour alone: bytes that a file has for it, and its error with the original lightness put back.

A rival's are those of its colour file less those of its grey file at the same setting; ours are the GRID
chunks with their framing, decoded beside a lightness plane that AVIF 4:0:0 coded.
"""

from __future__ import annotations

import numpy as np

from benchmarks import distortion
from benchmarks.codecs import CODECS, Codec, Options, label, labelled
from benchmarks.results import Values

SETTINGS = {name: tuple(map(label, codec.colors)) for name, codec in CODECS.items() if codec.colors}


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """``measure_with`` a codec of the table, at the setting of that label."""
    adapter = CODECS[codec]
    return measure_with(adapter, labelled(adapter.colors, setting), rgb)


def measure_with(adapter: Codec, options: Options, rgb: np.ndarray) -> Values:
    """Colour bytes, their bits per pixel, and the colour's error after 8-bit RGB."""
    data = adapter.encode(rgb, options)
    size = adapter.color_bytes(rgb, data, options)
    return {
        "color_bytes": size,
        "color_bpp": 24 * size / rgb.size,
        **distortion.of_color(rgb, adapter.decode(data)),
    }
