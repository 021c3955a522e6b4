"""One grid beside an exact lightness plane: decoders over the spacings of the paper's Figure 2 and others."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from benchmarks import distortion
from benchmarks.codecs import decoder_versions
from benchmarks.results import Values
from crayoncodec import checkpoints, color, metrics
from crayoncodec.codestreams import grids, planes
from crayoncodec.container import Sampling
from crayoncodec.grid import ColorGrid, sample_grid
from crayoncodec.guided import upsample
from crayoncodec.recolorize import painter

FIGURE_2 = (6, 15, 20, 40, 50, 60, 80, 100)
"""The spacings of the paper's Figure 2."""
SPACINGS = (2, 4, 6, 10, 15, 20, 40, 50, 60, 80, 100)
LIGHTNESS = "lossless lightness"
FLOORS = ("bilinear, points", "bicubic, means", "guided, means", "guided, points")
NETWORKS = ("compact", "crayon")

SETTINGS: dict[str, tuple[str, ...]] = {
    LIGHTNESS: ("webp",),
    **{
        decoder: tuple(f"n={n}" for n in SPACINGS)
        for decoder in (*FLOORS, *(f"{name}, {kind}" for name in NETWORKS for kind in ("means", "points")))
    },
}


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """The grid's bits per pixel; error of AB before, and PSNR and ab-SSIM after, conversion to RGB."""
    lightness, ab = color.rgb_to_lab(rgb)
    plane = color.lightness_to_u8(lightness)
    if codec == LIGHTNESS:
        return {"bpp": 8 * len(planes.encode(plane, "webp", None)) / plane.size}
    decoder, kind = codec.split(", ")
    sampling: Sampling = "point" if kind == "points" else "mean"
    grid = sample_grid(ab, int(setting.removeprefix("n=")), sampling)
    estimate = _paint(decoder, plane, grid)
    compared = metrics.compare(rgb, color.lab_to_rgb(color.lightness_from_u8(plane), estimate))
    return {
        "grid_bpp": 8 * len(grids.encode(grid.samples)[0]) / plane.size,
        "psnr_rgb": compared.psnr_rgb,
        "ab_ssim": compared.ab_ssim,
        **distortion.of_ab(lightness, ab, estimate),
    }


def versions(codec: str) -> dict[str, str]:
    """The libraries behind a decoder. Raises Unavailable."""
    return decoder_versions("guided" if codec == LIGHTNESS else codec.split(", ", maxsplit=1)[0])


def _paint(decoder: str, plane: np.ndarray, grid: ColorGrid) -> np.ndarray:
    whole = slice(0, plane.shape[0]), slice(0, plane.shape[1])
    if decoder == "bilinear":
        return bilinear(grid, plane.shape)
    if decoder == "bicubic":
        return upsample(grid.ab(), grid.spacing, grid.sampling, (0, 0, *plane.shape))
    backend = None if decoder == "guided" else network_backend(decoder)
    return painter(plane, grid, backend)(whole)


def bilinear(grid: ColorGrid, shape: tuple[int, int]) -> np.ndarray:
    """Straight lines between the samples, the outermost repeated: AB f32[2,H,W]."""
    middle = (grid.spacing - 1) / 2 if grid.sampling == "mean" else grid.spacing // 2
    positions = [(np.arange(length) - middle) / grid.spacing for length in shape]
    where = np.meshgrid(*positions, indexing="ij")
    return np.stack([ndimage.map_coordinates(plane, where, order=1, mode="nearest") for plane in grid.ab()])


@lru_cache
def network_backend(name: str):
    """A network on the CPU, loaded once."""
    from crayoncodec.backends import TorchBackend

    network, _ = checkpoints.load(name)
    return TorchBackend(network, "cpu")
