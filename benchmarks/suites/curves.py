"""Suites ``files`` and ``colors``: bytes and errors of every codec at every setting of its curve.

``colors`` has the colour alone: bytes that a file has for it, and its error with the original lightness put
back. A rival's bytes are those of its colour file less those of its grey file at the same setting; ours are
the GRID chunks with their framing, decoded beside a lightness plane that AVIF 4:0:0 coded.
"""

from __future__ import annotations

import numpy as np

from benchmarks.codecs import CODECS
from benchmarks.codecs.adapter import Codec, Options, label, labelled
from benchmarks.measuring import distortion
from benchmarks.measuring.results import Values

FILES = {name: tuple(map(label, codec.files)) for name, codec in CODECS.items() if codec.files}
COLORS = {name: tuple(map(label, codec.colors)) for name, codec in CODECS.items() if codec.colors}


def measure_file(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Bytes, bits per pixel, ratio to raw, and the distortions of the decoded picture."""
    adapter = CODECS[codec]
    data = adapter.encode(rgb, labelled(adapter.files, setting))
    return {
        "bytes": len(data),
        "bpp": 24 * len(data) / rgb.size,
        "ratio": len(data) / rgb.size,
        **distortion.of_picture(rgb, adapter.decode(data)),
    }


def measure_color(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """``color_of`` a codec of the table, at the setting of that label."""
    adapter = CODECS[codec]
    return color_of(adapter, labelled(adapter.colors, setting), rgb)


def color_of(adapter: Codec, options: Options, rgb: np.ndarray) -> Values:
    """Colour bytes, their bits per pixel, and the colour's error after 8-bit RGB."""
    data = adapter.encode(rgb, options)
    size = adapter.color_bytes(rgb, data, options)
    return {
        "color_bytes": size,
        "color_bpp": 24 * size / rgb.size,
        **distortion.of_color(rgb, adapter.decode(data)),
    }
