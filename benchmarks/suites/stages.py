"""Where the seconds go: stages of encoding and decoding, and whole commands, from 1 to 100 megapixels."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.codecs.ours import GUIDED, decoder_versions
from benchmarks.measuring import clock
from benchmarks.measuring.results import Values

SIZES = (1, 12, 48, 100)
"""In megapixels; the sides are 4:3."""
DECODERS = {GUIDED: GUIDED, "network": "neural"}
"""And what they are called in ``--color``."""
SETTINGS = dict.fromkeys(DECODERS, ("quality=80",))
_REPEATED = 12.5
"""Megapixels up to which a measurement is the median of three."""


def versions(decoder: str) -> dict[str, str]:
    """Libraries of a decoder. Raises Unavailable."""
    return decoder_versions(GUIDED if decoder == GUIDED else "nested")


def measure(decoder: str, _: str, rgb: np.ndarray) -> Values:
    """Seconds and peak megabytes of the commands, from files to files, and seconds of each stage within."""
    megapixels = rgb.size / 3e6
    color, repeats = DECODERS[decoder], 3 if megapixels < _REPEATED else 1
    values = {"megapixels": megapixels}
    with tempfile.TemporaryDirectory() as folder:
        picture, file, png, ppm = (Path(folder) / name for name in ("a.ppm", "a.cray", "a.png", "b.ppm"))
        Image.fromarray(rgb).save(picture)
        how = ["--color", color, "--device", "cpu"]
        commands = {
            "encode": ["encode", picture, "-o", file],
            "decode": ["decode", file, "-o", png, *how],
            "decode_ppm": ["decode", file, "-o", ppm, *how],
        }
        for name, arguments in commands.items():
            runs = [clock.command([*arguments, "--overwrite"]) for _ in range(repeats)]
            values |= {
                f"{name}_s": median(run[0] for run in runs),
                f"{name}_peak_mb": max(run[1] for run in runs),
            }
        for what, source, target in (("encode", picture, file), ("decode", file, png)):
            runs = [clock.stages(what, source, target, color) for _ in range(repeats)]
            values |= {f"{what}: {name}": median(run[name] for run in runs) for name in runs[0]}
    return values
