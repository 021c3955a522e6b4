"""Squares -> batches, on the device that trains: crops, augmentation, colour grids, guided planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from crayoncodec.container import SAMPLINGS, Sampling
from crayoncodec.grid import point_positions
from crayoncodec.guided import EPSILON, WINDOW, interpolation
from crayoncodec.training.data import UNIT, Squares
from crayoncodec.training.recipes import Recipe

_CROP_MULTIPLE: Final = 32

Inputs = dict[str, Tensor]
"""By the names that networks have in ``inputs``: lightness, cell_lightness f32[B,1,H,W] and bicubic, base,
sparse f32[B,2,H,W] in CIELAB units; spacing f32[B]."""


def draw(
    squares: Squares | Tensor, indices: Sequence[int] | np.ndarray, recipe: Recipe, pixels: int,
    rng: np.random.Generator, device: torch.device,
) -> tuple[Inputs, Tensor]:  # fmt: skip
    """A random batch of about ``pixels`` pixels and its true AB f32[B,2,H,W]; all of it has one spacing."""
    spacing = _spacing(recipe, rng)
    limit = squares.shape[-1]
    cells = -(-recipe.cells * spacing // _CROP_MULTIPLE) * _CROP_MULTIPLE
    side = min(limit, max(recipe.crop, cells))
    crops = []
    for index in rng.choice(indices, max(1, pixels // side**2)):
        top, left = rng.integers(0, limit - side + 1, 2)
        crop = squares[index, :, top : top + side, left : left + side]
        crops.append(crop if isinstance(crop, Tensor) else torch.from_numpy(crop.copy()))
    planes = torch.stack(crops).to(device, non_blocking=True).float() / UNIT
    if recipe.flips:
        planes = planes.flip(-1) if rng.random() < 0.5 else planes
        planes = planes.transpose(-1, -2) if rng.random() < 0.5 else planes
    lightness = planes[:, 3:] if rng.random() < recipe.lossy else planes[:, :1]
    ab = planes[:, 1:3]
    if recipe.hue:
        ab = _turned(ab, rng.uniform(-recipe.hue, recipe.hue, len(ab)))
    sampling = recipe.sampling
    if rng.random() < recipe.other_sampling:
        (sampling,) = (other for other in SAMPLINGS if other != recipe.sampling)
    step = _log_uniform(rng, *recipe.step_range)
    return planes_of(lightness, ab, spacing, sampling, step), ab


def planes_of(lightness: Tensor, ab: Tensor, spacing: int, sampling: Sampling, step: float) -> Inputs:
    """L* f32[B,1,H,W] and AB f32[B,2,H,W] -> what a decoder has of them: crayoncodec.guided for a batch."""
    height, width = lightness.shape[-2:]
    samples = (_cells(ab, spacing, sampling) / step).round() * step
    cell_lightness = _cells(lightness, spacing, sampling)
    mean = _blur(cell_lightness)
    variance = (_blur(cell_lightness.square()) - mean.square()).clamp_min(0)
    slopes = (_blur(samples * cell_lightness) - _blur(samples) * mean) / (variance + EPSILON)

    def up(cells: Tensor) -> Tensor:
        rows, columns = (
            _interpolation(size, count, spacing, sampling, cells.device)
            for size, count in zip((height, width), cells.shape[-2:], strict=True)
        )
        return rows @ cells @ columns.T

    shown = up(cell_lightness)
    detail = up(slopes) * (lightness - shown)
    corrected = samples + samples - _cells(up(samples) + detail, spacing, sampling)
    bicubic = up(corrected)
    sparse = torch.zeros_like(ab)
    sparse[(..., *_points(height, width, spacing, ab.device))] = samples
    return {
        "lightness": lightness,
        "cell_lightness": shown,
        "bicubic": bicubic,
        "base": bicubic + detail,
        "sparse": sparse,
        "spacing": torch.full((len(ab),), float(spacing), device=ab.device),
    }


def painted(network: nn.Module, inputs: Inputs) -> Tensor:
    """What a network makes of a batch: AB f32[B,2,H,W]."""
    module = network.module if isinstance(network, DistributedDataParallel) else network
    names = cast(tuple[str, ...], module.inputs)
    return cast(Tensor, network(*(inputs[name] for name in names)))


def _spacing(recipe: Recipe, rng: np.random.Generator) -> int:
    if recipe.spacings:
        return int(rng.choice(recipe.spacings))
    return round(_log_uniform(rng, *recipe.spacing_range))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _turned(ab: Tensor, degrees: np.ndarray) -> Tensor:
    """Colours turned about grey, each picture by its own angle."""
    angle = torch.as_tensor(np.deg2rad(degrees), dtype=ab.dtype, device=ab.device).view(-1, 1, 1)
    cosine, sine = angle.cos(), angle.sin()
    a, b = ab[:, 0], ab[:, 1]
    return torch.stack([cosine * a - sine * b, sine * a + cosine * b], dim=1)


def _cells(planes: Tensor, spacing: int, sampling: Sampling) -> Tensor:
    """grid.reduce_to_cells for f32[B,C,H,W]."""
    if sampling == "mean":
        return F.avg_pool2d(planes, spacing, ceil_mode=True)
    height, width = planes.shape[-2:]
    return planes[(..., *_points(height, width, spacing, planes.device))]


def _points(height: int, width: int, spacing: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows [h,1] and columns [w] of the sampled pixels."""
    rows, columns = point_positions(height, width, spacing)
    return torch.as_tensor(rows, device=device)[:, None], torch.as_tensor(columns, device=device)


def _blur(cells: Tensor) -> Tensor:
    window = torch.as_tensor(WINDOW, device=cells.device)
    batch, channels, height, width = cells.shape
    flat = F.pad(cells.reshape(batch * channels, 1, height, width), (2, 2, 2, 2), mode="replicate")
    return F.conv2d(F.conv2d(flat, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1)).view_as(cells)


@lru_cache(256)
def _interpolation(size: int, cells: int, spacing: int, sampling: Sampling, device: torch.device) -> Tensor:
    """The matrix f32[size,cells] of bicubic upsampling."""
    first, weights = interpolation(0, size, cells, spacing, sampling)
    matrix = np.zeros((size, cells), np.float32)
    matrix[:, first : first + weights.shape[1]] = weights
    return torch.as_tensor(matrix, device=device)
