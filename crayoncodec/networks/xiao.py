"""XiaoNet, which Crayon comes from, with local inputs only.

Xiao et al., "Interactive deep colorization and its application for image compression" (TVCG 28(3), 2022). The
topology is that of the authors' published program (praywj/Interactive-Deep-Colorization-and-Compression on
GitHub, ``inference3_1`` and ``gen_PRLNet``): L*, its Sobel map, and the samples with their mask are convolved
apart and added; blocks end in batch normalisation, are halved by leaving pixels out, and skips are added; a
hyperbolic tangent; then a residual network of eight blocks without biases, and another tangent.

Left out: the global inputs (a theme of seven colours), as a grid has none. Changed: AB is divided by 128
where they have (AB + 0.5) / 127.5, and beyond the border the Sobel map sees the border's pixels again. Of
their training a recipe has the Huber loss; not its gradient term, nor the three stages of the two networks.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_AB_SCALE: Final = 128.0
_RESIDUALS: Final = 8


class XiaoNet(nn.Module):
    """34,825,474 parameters, 1924 k multiply-accumulates per pixel.

    width: channels of the first layers, 64 in theirs; all others are in proportion.
    """

    architecture: Final = "xiaonet"
    multiple: Final = 8
    """Heights and widths are padded to multiples of this (three halvings)."""
    reach: Final = 208
    """How many pixels away an input may be and still change an output pixel; a multiple of ``multiple``."""
    inputs: Final = ("lightness", "sparse")
    """What forward takes, in this order: a name of guided.Planes, and the sparse samples."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width is {width}, expected at least 1")
        self.config = {"width": width}
        """The keywords that build this network again."""
        w = width
        self.given = nn.ModuleList(nn.Conv2d(channels, w, 3, padding=1) for channels in (1, 1, 3))
        self.down = nn.ModuleList((_block(w, w, w), _block(w, 2 * w, 2 * w), _block(2 * w, *[4 * w] * 3)))
        dilated = (_block(*[8 * w] * 4, dilation=2) for _ in range(2))
        self.bottom = nn.Sequential(_block(4 * w, *[8 * w] * 3), *dilated, _block(*[8 * w] * 4))
        skips, widths = (4 * w, 2 * w, w), (8 * w, 4 * w, 2 * w, 2 * w)
        self.short = nn.ModuleList(
            nn.Conv2d(skip, fine, 3, padding=1) for skip, fine in zip(skips, widths[1:], strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 4, 2, 1) for coarse, fine in pairwise(widths)
        )
        self.after = nn.ModuleList((_block(*[4 * w] * 3), _block(*[2 * w] * 2), _block(*[2 * w] * 2)))
        self.colors = nn.Conv2d(2 * w, 2, 1)
        self.stem = _plain(3, w)
        self.residuals = nn.ModuleList(
            nn.Sequential(_plain(w, w), nn.ReLU(), _plain(w, w)) for _ in range(_RESIDUALS)
        )
        self.detail = nn.Sequential(_plain(w, 4 * w), nn.Conv2d(4 * w, 2, 1, bias=False))

    def forward(self, lightness: Tensor, sparse: Tensor) -> Tensor:
        """L* f32[B,1,H,W] 0..100 and samples f32[B,3,H,W] (grid.scatter_samples) -> AB f32[B,2,H,W]."""
        height, width = lightness.shape[-2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        scaled = F.pad(lightness / 50 - 1, padding, mode="replicate")
        known = F.pad(torch.cat([sparse[:, :2] / _AB_SCALE, sparse[:, 2:]], dim=1), padding)
        content = self.colored(scaled, known)
        x = self.stem(torch.cat([content, scaled], dim=1))
        for residual in self.residuals:
            x = x + residual(x)
        ab = torch.tanh(content + self.detail(x))
        return ab[..., :height, :width] * _AB_SCALE

    def colored(self, lightness: Tensor, known: Tensor) -> Tensor:
        """The first network: L* -1..1, AB -1..1 with its mask, sides multiples of 8 -> AB -1..1."""
        planes = (lightness, sobel(lightness), known)
        x = torch.stack([F.relu(layer(plane)) for layer, plane in zip(self.given, planes, strict=True)]).sum(
            0
        )
        skips = []
        for block in self.down:
            skips.append(block(x))
            x = skips[-1][..., ::2, ::2]
        x = self.bottom(x)
        for up, short, after in zip(self.up, self.short, self.after, strict=True):
            x = after(F.relu(up(x) + short(skips.pop())))
        return torch.tanh(self.colors(x))


def sobel(plane: Tensor) -> Tensor:
    """Length of the gradient, f32[B,1,H,W]."""
    across = plane.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    filters = torch.stack([across, across.T])[:, None]
    return F.conv2d(F.pad(plane, (1, 1, 1, 1), mode="replicate"), filters).square().sum(1, True).sqrt()


class _BatchNorm(nn.Module):
    """Batch normalisation; all that it keeps are floating-point numbers, as a checkpoint's have to be."""

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.mean, self.variance, self.gain, self.bias, self.training, 0.1, 1e-5)


def _block(*widths: int, dilation: int = 1) -> nn.Sequential:
    """Convolutions with ReLUs; the last one is normalised and has its bias there."""
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(widths), start=2):
        last = index == len(widths)
        layers.append(nn.Conv2d(before, after, 3, 1, dilation, dilation, bias=not last))
        layers += [_BatchNorm(after), nn.ReLU()] if last else [nn.ReLU()]
    return nn.Sequential(*layers)


def _plain(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=False)
