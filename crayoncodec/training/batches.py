"""Squares -> batches, on the device that trains: crops, augmentation, colour grids, guided planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from crayoncodec.color.features import COLOR
from crayoncodec.color.geometry import SAMPLINGS, Sampling
from crayoncodec.color.predictor import COARSE, VERSION, load
from crayoncodec.networks.in_loop import IntegerPredictor
from crayoncodec.networks.inputs import Inputs, planes, to_cells
from crayoncodec.training import costs, drawings
from crayoncodec.training.data import UNIT, Squares
from crayoncodec.training.recipes import Recipe

_CROP_MULTIPLE: Final = 32


def draw(
    squares: Squares | Tensor, indices: Sequence[int] | np.ndarray, recipe: Recipe, pixels: int,
    rng: np.random.Generator, device: torch.device,
) -> tuple[Inputs, Tensor]:  # fmt: skip
    """A random batch of about ``pixels`` pixels and its true AB f32[B,2,H,W]; all of it has one spacing."""
    spacing = _spacing(recipe, rng)
    limit = squares.shape[-1]
    cells = -(-recipe.cells * spacing // _CROP_MULTIPLE) * _CROP_MULTIPLE
    side = min(limit, max(recipe.crop, cells))
    cut = max(1, round(side / _log_uniform(rng, 1, recipe.zoom)))
    count = max(1, pixels // side**2)
    if rng.random() < recipe.graphics:
        drawn = (drawings.ramps if rng.random() < 0.5 else drawings.shapes)(count, side, rng)
        stacked = torch.cat([drawn, drawn[:, :1]], dim=1).to(device)
    else:
        stacked = crops(squares, rng.choice(indices, count), cut, rng, device)
    if stacked.shape[-1] < side:
        stacked = F.interpolate(stacked, (side, side), mode="bicubic", align_corners=False)
    if recipe.flips:
        stacked = flipped(stacked, rng)
    lightness = stacked[:, 3:] if rng.random() < recipe.lossy else stacked[:, :1]
    ab = stacked[:, 1:3]
    if recipe.hue:
        ab = _turned(ab, rng.uniform(-recipe.hue, recipe.hue, len(ab)))
    if recipe.nests:
        steps = [_log_uniform(rng, *recipe.nested_range) for _ in range(len(ab))]
        return nested_planes_of(lightness, ab, spacing, torch.tensor(steps, device=device)), ab
    sampling = recipe.sampling
    if rng.random() < recipe.other_sampling:
        (sampling,) = (other for other in SAMPLINGS if other != recipe.sampling)
    step = _log_uniform(rng, *recipe.step_range)
    return planes_of(lightness, ab, spacing, sampling, step), ab


def crops(
    squares: Squares | Tensor, indices: Sequence[int] | np.ndarray, side: int, rng: np.random.Generator,
    device: torch.device,
) -> Tensor:  # fmt: skip
    """One crop of side x side pixels of each square: the planes of data.PLANES, f32[B,4,side,side]."""
    if isinstance(squares, Tensor):
        corners = torch.as_tensor(
            rng.integers(0, squares.shape[-1] - side + 1, (2, len(indices), 1, 1, 1)), device=device
        )
        span = torch.arange(side, device=device)
        which = torch.as_tensor(np.asarray(indices), device=device).view(-1, 1, 1, 1)
        planes = torch.arange(squares.shape[1], device=device).view(1, -1, 1, 1)
        return squares[which, planes, corners[0] + span[:, None], corners[1] + span].float() / UNIT
    cut = []
    for index in indices:
        top, left = rng.integers(0, squares.shape[-1] - side + 1, 2)
        crop = squares[index, :, top : top + side, left : left + side]
        cut.append(torch.from_numpy(crop.copy()))
    return torch.stack(cut).to(device, non_blocking=True).float() / UNIT


def flipped(stacked: Tensor, rng: np.random.Generator) -> Tensor:
    """A batch as it is or mirrored, as it is or transposed."""
    stacked = stacked.flip(-1) if rng.random() < 0.5 else stacked
    return stacked.transpose(-1, -2) if rng.random() < 0.5 else stacked


def planes_of(lightness: Tensor, ab: Tensor, spacing: int, sampling: Sampling, step: float) -> Inputs:
    """L* f32[B,1,H,W] and AB f32[B,2,H,W] -> what a decoder has of them."""
    samples = (to_cells(ab, spacing, sampling) / step).round() * step
    return planes(lightness, samples, spacing, sampling, step)


@torch.no_grad()
def nested_planes_of(lightness: Tensor, ab: Tensor, spacing: int, steps: Tensor) -> Inputs:
    """The same of nested grids down to ``spacing``; steps: f32[B], for a cell of one pixel.

    Sides of the pictures are multiples of format.nested.COARSEST.
    """
    axes_ab, axes = costs.turned(ab)
    pictures = costs.Pictures(costs.to_u8(lightness), axes_ab, steps)
    cells = costs.code(_shipped(ab.device), pictures, spacing, costs.cheapest)[1]
    samples = torch.einsum("bji,bjhw->bihw", axes, cells.float() / COLOR)
    return planes(lightness, samples, spacing, "mean", 1 / COLOR, steps)


@cache
def _shipped(device: torch.device) -> costs.Networks:
    shipped = load(VERSION)
    coarse, fine = (IntegerPredictor(part.layers).to(device) for part in (shipped.coarse, shipped.fine))
    return lambda spacing: coarse if spacing >= COARSE else fine


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
