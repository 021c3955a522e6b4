"""The measurements behind the defaults (docs/design.md): lightness quality, coders, quantiser steps."""

from __future__ import annotations

import time
from itertools import product

import numpy as np

from benchmarks.codecs import CODECS
from benchmarks.codecs.ours import GUIDED, ONE_GRID, decoder_versions
from benchmarks.measuring import distortion
from benchmarks.measuring.results import Values
from benchmarks.suites.spacings import network_backend
from crayoncodec import codec as cray
from crayoncodec.color import cielab, srgb
from crayoncodec.color.grid import ColorGrid, sample_grid
from crayoncodec.color.guided import GuidedModel
from crayoncodec.format import container, decoding, planes, residuals, uniform
from crayoncodec.painting.recolorize import painter, whole

_SPACINGS = (6, 10, 20, 40)
_STEPS = (0.5, 1.0, 2.0, 3.0)
_EFFORTS = (5, 7, 9)
_LOSSY, _LOSSLESS, _STEP, _GRID, _PROJECTION, _BALANCE, _FITTED, _COARSE = (
    "lightness avif, exact colours", "lightness lossless", "grid, guided", "grid coder", "back projection",
    "spacing beside quality", "fitted samples", "network beside lossy lightness",
)  # fmt: skip

SETTINGS: dict[str, tuple[str, ...]] = {
    _LOSSY: tuple(f"quality={quality}" for quality in (70, 75, 80, 85, 90)),
    _LOSSLESS: planes.LOSSLESS_CODERS,
    _STEP: tuple(f"n={n} step={step:g}" for n in _SPACINGS for step in _STEPS),
    _GRID: tuple(f"n={n}" for n in _SPACINGS),
    _PROJECTION: tuple(f"n={n}" for n in _SPACINGS),
    _FITTED: tuple(f"n={n} effort={effort}" for n, effort in product(_SPACINGS, _EFFORTS)),
    _COARSE: tuple(f"n={n} quality={quality}" for n, quality in product(_SPACINGS, (30, 80))),
    _BALANCE: tuple(
        f"n={n} quality={quality}"
        for quality, n in product((20, 35, 50, 65, 80, 88, 94), (2, 4, 6, 8, 10, 14, 20))
    ),
}


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Bits per pixel of the picture, except where bytes are said."""
    lightness, ab = cielab.rgb_to_lab(rgb)
    plane = cielab.lightness_to_u8(lightness)
    if codec == _LOSSLESS:
        return {"bpp": 8 * len(planes.encode(plane, setting, None)) / plane.size}
    options = {name: float(value) for name, value in (part.split("=") for part in setting.split())}
    if codec == _BALANCE:
        return _whole_file(rgb, {name: int(value) for name, value in options.items()})
    if codec == _LOSSY:
        data = planes.encode(plane, "avif", int(options["quality"]))
        shown = planes.decode(data, "avif", plane.shape, "lightness")
        score = distortion.of_picture(rgb, srgb.lab_to_rgb(shown, ab))["ssimulacra2"]
        return {"bpp": 8 * len(data) / plane.size, "ssimulacra2": score}
    if codec == _COARSE:
        coarse = planes.decode(
            planes.encode(plane, "avif", int(options["quality"])), "avif", plane.shape, "lightness"
        )
        return _of_decoders(ab, coarse, sample_grid(ab, int(options["n"])))
    if codec == _FITTED:
        return _fitted(rgb, ab, **{name: int(value) for name, value in options.items()})
    grid = sample_grid(ab, int(options["n"]), step=options.get("step", 1.0))
    if codec == _GRID:
        smaller, _ = uniform.encode(grid.samples)
        return {"zstd_bytes": len(residuals.compress(grid.samples, 19)), "bytes": len(smaller)}
    fitted = GuidedModel.fit(grid.ab(), lightness, grid.spacing, grid.sampling)
    error = float(np.square(fitted.planes(lightness).base - ab).mean())
    if codec == _STEP:
        return {"bpp": 8 * len(uniform.encode(grid.samples)[0]) / plane.size, "ab_mse": error}
    plain = GuidedModel(np.concatenate([grid.ab(), fitted.cells[2:]]), grid.spacing, grid.sampling)
    without = float(np.square(plain.planes(lightness).base - ab).mean())
    return {"ab_mse": error, "ab_mse_without": without}


def _whole_file(rgb: np.ndarray, options: dict[str, int]) -> Values:
    data = CODECS[ONE_GRID].encode(rgb, options)
    score = distortion.of_picture(rgb, CODECS[ONE_GRID].decode(data))
    return {"bpp": 24 * len(data) / rgb.size} | {
        name: score[name] for name in ("ssimulacra2", "ciede2000_mean")
    }


def _fitted(rgb: np.ndarray, ab: np.ndarray, n: int, effort: int) -> Values:
    """Grid bytes and AB MSE of both decoders beside lossless lightness; seconds a megapixel to encode."""
    start = time.perf_counter()
    data = cray.encode(rgb, n=n, effort=effort, lossless=True)
    seconds = time.perf_counter() - start
    file = container.unpack(data)
    plane = decoding.decode_lightness(file)
    grid = decoding.decode_grid(file, plane)
    cost = {"bytes": len(file.grids[0].payload), "seconds_per_mp": seconds / plane.size * 1e6}
    return cost | _of_decoders(ab, plane, grid)


def _of_decoders(ab: np.ndarray, plane: np.ndarray, grid: ColorGrid) -> Values:
    values = {}
    for decoder, backend in ((GUIDED, None), ("compact", network_backend("compact"))):
        painted = painter(plane, grid, backend)(whole(plane))
        values[f"ab_mse_{decoder}"] = float(np.square(painted - ab).mean())
    return values


def versions(codec: str) -> dict[str, str]:
    """The libraries behind each of them. Raises Unavailable."""
    return CODECS[ONE_GRID].versions() if codec in (_BALANCE, _FITTED, _COARSE) else decoder_versions(GUIDED)
