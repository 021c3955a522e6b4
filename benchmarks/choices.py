"""The measurements behind the defaults (docs/design.md): lightness quality, coders, quantiser steps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ssimulacra2 import compute_ssimulacra2
from tqdm import tqdm

from crayoncodec import color
from crayoncodec.codestreams import grids, planes, residuals
from crayoncodec.grid import sample_grid
from crayoncodec.guided import guided_upsample

QUALITIES = (70, 75, 80, 85, 90)
SPACINGS = (6, 10, 20, 40)
STEPS = (0.5, 1.0, 2.0, 3.0)


def measure(pictures: list[Path]) -> dict[str, Any]:
    """Means over pictures; bits per pixel of the picture, except where bytes are said."""
    rows: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder:
        decoded = Path(folder) / "decoded.png"
        for path in tqdm(pictures, unit=" pictures"):
            lightness, ab = color.rgb_to_lab(np.asarray(Image.open(path).convert("RGB")))
            plane = color.lightness_to_u8(lightness)
            for quality in QUALITIES:
                data = planes.encode(plane, "avif", quality)
                shown = color.lightness_from_u8(planes.decode(data, "avif", plane.shape, "lightness"))
                Image.fromarray(color.lab_to_rgb(shown, ab)).save(decoded, compress_level=1)
                add(f"lightness avif q{quality}, bpp", 8 * len(data) / plane.size)
                score = compute_ssimulacra2(str(path), str(decoded))
                add(f"lightness avif q{quality}, exact colours, SSIMULACRA2", score)
            for coder in planes.LOSSLESS_CODERS:
                size = len(planes.encode(plane, coder, None))
                add(f"lightness {coder} lossless, bpp", 8 * size / plane.size)
            for n in SPACINGS:
                for step in STEPS:
                    grid = sample_grid(ab, n, step=step)
                    error = np.square(guided_upsample(grid, lightness) - ab).mean()
                    size = len(grids.encode(grid.samples)[0])
                    add(f"grid n={n} step={step:g}, bpp", 8 * size / plane.size)
                    add(f"grid n={n} step={step:g}, guided AB MSE", float(error))
                samples = sample_grid(ab, n).samples
                add(f"grid n={n} zstd, bytes", len(residuals.compress(samples, 19)))
                add(f"grid n={n} smaller of zstd and webp, bytes", len(grids.encode(samples)[0]))
    return {
        "pictures": [path.name for path in pictures],
        "means": {name: float(np.mean(values)) for name, values in rows.items()},
    }


def table(results: dict[str, Any]) -> str:
    """Markdown: one row a figure."""
    rows = [f"| {name} | {value:.4g} |" for name, value in results["means"].items()]
    return "\n".join(["| mean over pictures | |", "|---|---|", *rows])
