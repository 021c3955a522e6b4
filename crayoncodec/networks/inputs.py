"""What networks are given, made by torch for batches and so that gradients reach the samples.

The same as crayoncodec.color.guided, which makes it for one picture in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crayoncodec.color.geometry import Sampling
from crayoncodec.color.grid import point_positions
from crayoncodec.color.guided import EPSILON, WINDOW, interpolation


@dataclass(frozen=True)
class Inputs:
    """Color grids and what networks may be given of them."""

    planes: dict[str, Tensor]
    """By the names that networks have in ``inputs``: lightness, cell_lightness f32[B,1,H,W] and bicubic, base
    f32[B,2,H,W] in CIELAB units; sparse f32[B,3,H,W] as of grid.scatter_samples; coarseness f32[B]."""
    samples: Tensor
    """f32[B,2,h,w]."""
    spacing: int
    sampling: Sampling
    step: float
    """What the samples are multiples of."""


def planes(
    lightness: Tensor, samples: Tensor, spacing: int, sampling: Sampling, step: float,
    nested_step: Tensor | None = None,
) -> Inputs:  # fmt: skip
    """L* f32[B,1,H,W] and samples f32[B,2,h,w] of its grid -> what a network may be given.

    nested_step: grid.ColorGrid's, f32[B], if the samples are the finest cells of nested grids.
    """
    height, width = lightness.shape[-2:]
    sparse = samples.new_zeros((len(samples), 3, height, width))
    sparse[(..., *_points(height, width, spacing, samples.device))] = F.pad(
        samples, (0, 0, 0, 0, 0, 1), value=1.0
    )
    cell_lightness, bicubic, base = _guided(lightness, samples, spacing, sampling)
    found = {
        "lightness": lightness,
        "cell_lightness": cell_lightness,
        "bicubic": bicubic,
        "base": base,
        "sparse": sparse,
        "coarseness": torch.full((len(samples),), float(spacing), device=samples.device)
        if nested_step is None
        else nested_step,
    }
    return Inputs(found, samples, spacing, sampling, step)


def paint(network: nn.Module, inputs: Inputs) -> Tensor:
    """What a network makes of a batch: AB f32[B,2,H,W]."""
    module = cast(nn.Module, getattr(network, "module", network))  # DistributedDataParallel's
    names = cast(tuple[str, ...], module.inputs)
    return cast(Tensor, network(*(inputs.planes[name] for name in names))).float()


def back_project(painted: Tensor, inputs: Inputs) -> Tensor:
    """recolorize.back_projected: what the decoder makes of a network's AB f32[B,2,H,W]."""
    with torch.autocast(painted.device.type, enabled=False):
        cells = inputs.spacing, inputs.sampling
        missing = inputs.samples - to_cells(painted, *cells)
        rounding = torch.tensor(inputs.step**2 / 12, device=painted.device)
        explained = rounding / torch.maximum(_blur(missing.square()), rounding)
        return painted + _guided(inputs.planes["lightness"], missing * (1 - explained), *cells)[2]


def _guided(
    lightness: Tensor, samples: Tensor, spacing: int, sampling: Sampling
) -> tuple[Tensor, Tensor, Tensor]:
    """guided.GuidedModel: the cells' L* f32[B,1,H,W], bicubic and base f32[B,2,H,W]."""
    height, width = lightness.shape[-2:]
    size = height, width
    cell_lightness = to_cells(lightness, spacing, sampling)
    mean = _blur(cell_lightness)
    variance = (_blur(cell_lightness.square()) - mean.square()).clamp_min(0)
    slopes = (_blur(samples * cell_lightness) - _blur(samples) * mean) / (variance + EPSILON)
    shown = upsample(cell_lightness, size, spacing, sampling)
    detail = upsample(slopes, size, spacing, sampling) * (lightness - shown)
    sampled = to_cells(upsample(samples, size, spacing, sampling) + detail, spacing, sampling)
    bicubic = upsample(2 * samples - sampled, size, spacing, sampling)
    return shown, bicubic, bicubic + detail


def to_cells(values: Tensor, spacing: int, sampling: Sampling) -> Tensor:
    """grid.reduce_to_cells: f32[B,C,H,W] -> f32[B,C,h,w]."""
    if sampling == "mean":
        return F.avg_pool2d(values, spacing, ceil_mode=True)
    height, width = values.shape[-2:]
    return values[(..., *_points(height, width, spacing, values.device))]


def upsample(cells: Tensor, size: tuple[int, int], spacing: int, sampling: Sampling) -> Tensor:
    """guided.upsample: f32[B,C,h,w] -> f32[B,C,H,W]."""
    rows, columns = (
        _interpolation(length, count, spacing, sampling, cells.device)
        for length, count in zip(size, cells.shape[-2:], strict=True)
    )
    return rows @ cells @ columns.T


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
def _interpolation(length: int, cells: int, spacing: int, sampling: Sampling, device: torch.device) -> Tensor:
    """The matrix f32[length,cells] of bicubic upsampling."""
    first, weights = interpolation(0, length, cells, spacing, sampling)
    matrix = np.zeros((length, cells), np.float32)
    matrix[:, first : first + weights.shape[1]] = weights
    return torch.as_tensor(matrix, device=device)
