"""The measurements behind the defaults (docs/design.md): lightness quality, coders, quantiser steps."""

from __future__ import annotations

import numpy as np

from benchmarks import distortion
from benchmarks.codecs import decoder_versions
from benchmarks.results import Values
from crayoncodec import color
from crayoncodec.codestreams import grids, planes, residuals
from crayoncodec.grid import sample_grid
from crayoncodec.guided import GuidedModel

_SPACINGS = (6, 10, 20, 40)
_STEPS = (0.5, 1.0, 2.0, 3.0)
_LOSSY, _LOSSLESS, _STEP, _GRID, _PROJECTION = (
    "lightness avif, exact colours", "lightness lossless", "grid, guided", "grid coder", "back projection"
)  # fmt: skip

SETTINGS: dict[str, tuple[str, ...]] = {
    _LOSSY: tuple(f"quality={quality}" for quality in (70, 75, 80, 85, 90)),
    _LOSSLESS: planes.LOSSLESS_CODERS,
    _STEP: tuple(f"n={n} step={step:g}" for n in _SPACINGS for step in _STEPS),
    _GRID: tuple(f"n={n}" for n in _SPACINGS),
    _PROJECTION: tuple(f"n={n}" for n in _SPACINGS),
}


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Bits per pixel of the picture, except where bytes are said."""
    lightness, ab = color.rgb_to_lab(rgb)
    plane = color.lightness_to_u8(lightness)
    if codec == _LOSSLESS:
        return {"bpp": 8 * len(planes.encode(plane, setting, None)) / plane.size}
    options = {name: float(value) for name, value in (part.split("=") for part in setting.split())}
    if codec == _LOSSY:
        data = planes.encode(plane, "avif", int(options["quality"]))
        shown = color.lightness_from_u8(planes.decode(data, "avif", plane.shape, "lightness"))
        score = distortion.of_picture(rgb, color.lab_to_rgb(shown, ab))["ssimulacra2"]
        return {"bpp": 8 * len(data) / plane.size, "ssimulacra2": score}
    grid = sample_grid(ab, int(options["n"]), step=options.get("step", 1.0))
    if codec == _GRID:
        smaller, _ = grids.encode(grid.samples)
        return {"zstd_bytes": len(residuals.compress(grid.samples, 19)), "bytes": len(smaller)}
    fitted = GuidedModel.fit(grid, lightness)
    error = float(np.square(fitted.planes(lightness).base - ab).mean())
    if codec == _STEP:
        return {"bpp": 8 * len(grids.encode(grid.samples)[0]) / plane.size, "ab_mse": error}
    plain = GuidedModel(np.concatenate([grid.ab(), fitted.cells[2:]]), grid.spacing, grid.sampling)
    without = float(np.square(plain.planes(lightness).base - ab).mean())
    return {"ab_mse": error, "ab_mse_without": without}


def versions(codec: str) -> dict[str, str]:
    """The libraries behind every one of them."""
    return decoder_versions("guided")
