"""One grid beside an exact lightness plane: decoders over the spacings of the paper's Figure 2 and others."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from benchmarks.codecs.ours import GUIDED, decoder_versions
from benchmarks.measuring import distortion
from benchmarks.measuring.dataset import Dataset, read
from benchmarks.measuring.results import Results, Row, Values
from crayoncodec.color import cielab, srgb
from crayoncodec.color.geometry import Sampling
from crayoncodec.color.grid import ColorGrid, sample_grid
from crayoncodec.color.guided import upsample
from crayoncodec.encoding import metrics
from crayoncodec.format import planes, uniform
from crayoncodec.painting import checkpoints
from crayoncodec.painting.recolorize import back_projected, painter, predict, whole

FIGURE_2 = (6, 15, 20, 40, 50, 60, 80, 100)
"""The spacings of the paper's Figure 2."""
STEP = 1.0
"""Quantiser step of the samples, in CIELAB units: the default."""
SPACINGS = (2, 4, 6, 10, 15, 20, 40, 50, 60, 80, 100)
LIGHTNESS = "lossless lightness"
FLOORS = ("bilinear, points", "bicubic, points", "bicubic, means", "guided, means", "guided, points")
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
    lightness, ab = cielab.rgb_to_lab(rgb)
    plane = cielab.lightness_to_u8(lightness)
    if codec == LIGHTNESS:
        return {"bpp": 8 * len(planes.encode(plane, "webp", None)) / plane.size}
    decoder, kind = codec.split(", ")
    grid = sample_grid(ab, _spacing(setting), "point" if kind == "points" else "mean")
    return _scored(rgb, plane, grid, _paint(decoder, plane, grid))


def measure_checkpoint(
    found: Results, pictures: Dataset, model: str, name: str, spacings: Iterable[int], sampling: Sampling
) -> None:
    """Add to the suite ``grids`` what a network paints alone, and what the decoder makes of that.

    model: a checkpoint's name or path. Raises CheckpointError.
    """
    card, _ = checkpoints.verify(model)
    backend = network_backend(model)
    kind = "points" if sampling == "point" else "means"
    alone, decoded = f"{name} alone, {kind}", f"{name}, {kind}"
    for codec in (alone, decoded):
        found.versions[codec] = decoder_versions(GUIDED) | {name: f"{card.version}, SHA-256 {card.sha256}"}
    for picture in tqdm(pictures.pictures, unit=" pictures"):
        rgb = read(pictures.folder, picture, pictures.crop)
        lightness, ab = cielab.rgb_to_lab(rgb)
        plane = cielab.lightness_to_u8(lightness)
        for n in spacings:
            grid = sample_grid(ab, n, sampling)
            painted = predict(plane, grid, backend)
            finished = back_projected(plane, grid, painted)(whole(plane))
            found.add(
                Row("grids", codec, f"n={n}", picture, _scored(rgb, plane, grid, estimate))
                for codec, estimate in ((alone, painted.astype(np.float32)), (decoded, finished))
            )


def _scored(rgb: np.ndarray, plane: np.ndarray, grid: ColorGrid, estimate: np.ndarray) -> Values:
    lightness, ab = cielab.rgb_to_lab(rgb)
    compared = metrics.compare(rgb, srgb.lab_to_rgb(plane, estimate))
    return {
        "grid_bpp": 8 * len(uniform.encode(grid.samples)[0]) / plane.size,
        "psnr_rgb": compared.psnr_rgb,
        "ab_ssim": compared.ab_ssim,
        **distortion.of_ab(lightness, ab, estimate),
    }


def versions(codec: str) -> dict[str, str]:
    """The libraries behind a decoder. Raises Unavailable."""
    return decoder_versions(GUIDED if codec == LIGHTNESS else codec.split(", ", maxsplit=1)[0])


def _paint(decoder: str, plane: np.ndarray, grid: ColorGrid) -> np.ndarray:
    if decoder == "bilinear":
        return bilinear(grid, plane.shape)
    if decoder == "bicubic":
        return upsample(grid.ab(), grid.spacing, grid.sampling, (0, 0, *plane.shape))
    backend = None if decoder == GUIDED else network_backend(decoder)
    return painter(plane, grid, backend)(whole(plane))


def _spacing(setting: str) -> int:
    return int(setting.removeprefix("n="))


def bilinear(grid: ColorGrid, shape: tuple[int, int]) -> np.ndarray:
    """Straight lines between the samples, the outermost repeated: AB f32[2,H,W]."""
    middle = (grid.spacing - 1) / 2 if grid.sampling == "mean" else grid.spacing // 2
    positions = [(np.arange(length) - middle) / grid.spacing for length in shape]
    where = np.meshgrid(*positions, indexing="ij")
    return np.stack([ndimage.map_coordinates(plane, where, order=1, mode="nearest") for plane in grid.ab()])


@lru_cache
def network_backend(name: str):
    """A network on the CPU, loaded once; name: of a checkpoint, or its path."""
    from crayoncodec.painting.pytorch import TorchBackend

    network, _ = checkpoints.load(name)
    return TorchBackend(network, "cpu")
