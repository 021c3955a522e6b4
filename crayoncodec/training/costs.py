"""Nested grids of batches, for training: what coding costs, with gradients, and what is decoded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from crayoncodec.color import blocks, features, levels
from crayoncodec.color.predictor import SPREADS
from crayoncodec.format.nested import COARSEST, DEAD_ZONE, PRICE
from crayoncodec.networks.in_loop import IntegerPredictor, Predictor, log_scale

REACH: Final = 127
"""Largest symbol that has a frequency of its own."""


class Pictures(NamedTuple):
    """What is coded: one batch."""

    plane: Tensor
    """Lightness, int64[B,1,H,W], 0 to 255."""
    ab: Tensor
    """Colours in turned axes, CIELAB units, f32[B,2,H,W]."""
    step: Tensor
    """Quantiser step of a cell of one pixel, CIELAB units, f32[B]."""


@dataclass
class Cost:
    """What coding a batch came to, of each picture, f32[B]."""

    bits: Tensor
    squares: Tensor
    """Squared errors of the details, in squared steps."""
    pull: Tensor
    """Smoothed errors of predictions in bits, where symbols are not 0: only their gradient counts."""
    counts: NDArray[np.int64]
    """How often |symbol| was coded under a spread, [SPREADS,REACH+2]; the last are larger ones."""


Networks = Callable[[int], Predictor | IntegerPredictor]
"""Spacing -> what predicts its level."""
Choose = Callable[[Tensor, Tensor], Tensor]
"""Residuals in steps and the logarithms of their scales -> symbols."""


def rounded(residual: Tensor, log_b: Tensor) -> Tensor:
    """The nearest symbol, or 0 within the dead zone."""
    size = residual.abs()
    return torch.sign(residual) * torch.where(
        size < DEAD_ZONE, torch.zeros_like(size), torch.floor(size + 0.5)
    )


def cheapest(residual: Tensor, log_b: Tensor) -> Tensor:
    """The nearest symbol, the next one nearer to zero, or 0, whichever costs least, as encoders choose."""
    full = torch.sign(residual) * torch.floor(residual.abs() + 0.5)
    choices = torch.stack([torch.zeros_like(residual), full - torch.sign(full), full])
    costs = (residual - choices).square() + PRICE * bits(choices, log_b)
    return choices.gather(0, costs.argmin(0, keepdim=True))[0]


def bits(symbols: Tensor, log_b: Tensor) -> Tensor:
    """Bits of symbols that are Laplacian residuals of scale exp(log_b), quantised with the dead zone."""
    rate = torch.exp(-log_b)
    size = symbols.abs()
    low = torch.where(size <= 1, torch.full_like(size, DEAD_ZONE), size - 0.5)
    width = size + 0.5 - low
    zero = -torch.log(-torch.expm1(-DEAD_ZONE * rate) + 1e-12)
    other = low * rate + math.log(2) - torch.log(-torch.expm1(-width * rate) + 1e-12)
    return torch.where(size == 0, zero, other) / math.log(2)


def code(
    networks: Networks,
    pictures: Pictures,
    finest: int,
    choose: Choose = rounded,
    jitter: float = 0.0,
    counting: bool = False,
) -> tuple[Cost, Tensor]:
    """Code a batch down to spacing ``finest``: what it costs, and the cells, in 1/features.COLOR.

    Sides of the pictures are multiples of COARSEST. jitter: octaves by which the steps of levels differ.
    Where gradients are wanted, levels are free of cost that a network predicts that does not learn. counting:
    whether symbols are counted.
    """
    plane, ab, step = pictures
    means = {1: ab}
    for k in range(COARSEST.bit_length() - 1):
        means[2 << k] = F.avg_pool2d(means[1 << k], 2)
    octaves = 8 * torch.log2(step)

    def steps(spacing: int) -> tuple[Tensor, Tensor]:
        eighths = octaves + 8 * jitter * torch.randn_like(octaves) if jitter else octaves
        own = (2 ** (eighths / 8) * features.COLOR / spacing).floor().clamp_min(1).long().view(-1, 1, 1, 1)
        return own, torch.floor(8 * torch.log2(own.double())).long() - 64

    own = steps(COARSEST)[0]
    first = (means[COARSEST] * features.COLOR / own).round().long() * own
    walk = levels.stages(networks, first, features.pyramid(plane, COARSEST), COARSEST, finest, steps)
    none = torch.zeros(len(ab), device=ab.device)
    cost = Cost(none, none, none, np.zeros((SPREADS, REACH + 2), np.int64))

    def answer(stage: levels.Stage) -> Tensor:
        scale = stage.step.float() / features.COLOR
        truth = features.details(means[stage.spacing])[:, stage.plane :: 2] / 2
        predicted = stage.guided.float() / features.COLOR + stage.shifts * scale / blocks.SHIFTS
        log_b = log_scale(stage.spreads)
        residual = (truth - predicted) / scale
        symbols = choose(residual, log_b).detach()
        # Where there is a symbol it says what is missing: only elsewhere is the prediction what is shown.
        shown = torch.where(symbols == 0, predicted, predicted.detach() + symbols * scale)
        smooth = (
            torch.sqrt(residual.square() + 0.01) * torch.exp(-log_b.detach()) / math.log(2) * (symbols != 0)
        )
        free = torch.is_grad_enabled() and isinstance(networks(stage.spacing), IntegerPredictor)
        for name, values in () if free else (
            ("bits", bits(symbols, log_b)), ("squares", ((shown - truth) / scale).square()), ("pull", smooth)
        ):  # fmt: skip
            setattr(cost, name, getattr(cost, name) + (values * stage.mask).sum((1, 2, 3)))
        if counting:
            spreads = stage.spreads.round().long()[stage.mask.expand_as(symbols)]
            sizes = symbols.abs().long().clamp_max(REACH + 1)[stage.mask.expand_as(symbols)]
            cost.counts += np.bincount(
                (spreads * (REACH + 2) + sizes).numpy(force=True), minlength=cost.counts.size
            ).reshape(cost.counts.shape)
        sent: Tensor = (symbols * stage.mask).long()
        return sent

    cells: Tensor = levels.answered(walk, answer)
    return cost, cells


def to_u8(lightness: Tensor) -> Tensor:
    """L* -> the plane that is stored, int64."""
    return (lightness * 2.55).round().long()


def turned(ab: Tensor) -> tuple[Tensor, Tensor]:
    """Colours f32[B,2,H,W] in the principal axes of each picture, and those axes, f32[B,2,2]."""
    centred = ab.flatten(2) - ab.flatten(2).mean(-1, keepdim=True)
    covariance = centred @ centred.transpose(1, 2)
    angle = 0.5 * torch.atan2(2 * covariance[:, 0, 1], covariance[:, 0, 0] - covariance[:, 1, 1])
    cosine, sine = angle.cos(), angle.sin()
    axes = torch.stack([torch.stack([cosine, sine], -1), torch.stack([-sine, cosine], -1)], -2)
    return torch.einsum("bij,bjhw->bihw", axes, ab), axes
