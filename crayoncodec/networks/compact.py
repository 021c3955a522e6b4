"""The compact network: a small U-Net that adds to the guided base what a linear model cannot know."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PLANES: Final = 6
_MOST_MULTIPLE: Final = 1024
"""Pixels; sides are padded to multiples of it."""
SCALE: Final = 8
"""Units of AB in what the last layer gives."""
MEAN: Final = 5
"""Side of the squares that texture is a difference from, and is averaged over."""
QUIET: Final = 0.04
"""Mean square of the texture that rounding to 8 bits makes of a ramp, tripled, in squared L* units."""
HALF_HEARD: Final = 0.03
"""How much more makes the network count half; in photographs nearly every place has 0.1 and more."""


class Compact(nn.Module):
    """U-Net on a rearrangement of its input planes, by default at half resolution; 19 k MAC per pixel then.

    widths: channels of each level, the finest first. shuffle: the finest level is 1/shuffle as large.
    Works for every spacing: the planes are at full resolution whatever n is, and coarseness is an input (n,
    or a nested grid's quantiser step for a cell of one pixel). Where L* has
    no texture the base stays as it is.
    """

    architecture: Final = "compact"
    inputs: Final = ("lightness", "cell_lightness", "bicubic", "base", "coarseness")
    """What forward takes, in this order: names of guided.Planes, and the grid's coarseness."""

    def __init__(self, widths: tuple[int, ...] = (32, 48, 64, 80), shuffle: int = 2) -> None:
        super().__init__()
        if len(widths) < 2 or min(*widths, shuffle) < 1:
            raise ValueError(
                f"widths are {widths} and shuffle is {shuffle}, expected two widths or more, all above 0"
            )
        if shuffle << len(widths) - 1 > _MOST_MULTIPLE:
            raise ValueError(
                f"widths are {len(widths)} and shuffle is {shuffle}, expected sides in multiples of at most "
                f"{_MOST_MULTIPLE}"
            )
        self.widths, self.shuffle = tuple(widths), shuffle
        self.config = {"widths": list(widths), "shuffle": shuffle}
        """The keywords that build this network again."""
        self.multiple = shuffle * 2 ** (len(widths) - 1)
        """Heights and widths are padded to multiples of this."""
        first, pairs = widths[0], list(pairwise(widths))
        self.stem = _conv(_PLANES * shuffle**2 + 1, first)
        self.encoders = nn.ModuleList([_conv(first, first), *(_Residual(w) for w in widths[1:-1])])
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, 2) for fine, coarse in pairs)
        self.bottom = _Residual(widths[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for fine, coarse in pairs)
        self.decoders = nn.ModuleList(_Residual(fine) for fine, _ in pairs)
        self.head = _conv(first, 2 * shuffle**2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    @property
    def reach(self) -> int:
        """How many pixels away an input may change an output pixel, rounded up to ``multiple``."""
        deepest = len(self.widths) - 1
        # 3x3 convolutions at each level: stem, encoder, two of the decoder and head; four; two at the bottom.
        counts = [5, *[4] * (deepest - 1), 2]
        multiple: int = self.multiple
        pixels = multiple
        for level, count in enumerate(counts):
            pixels += count * (self.shuffle << level)
        return -(-pixels // multiple) * multiple

    def forward(
        self, lightness: Tensor, cell_lightness: Tensor, bicubic: Tensor, base: Tensor, coarseness: Tensor
    ) -> Tensor:
        """Planes of guided.Planes, in CIELAB units, and the coarseness of each grid -> AB.

        lightness, cell_lightness: f32[B,1,H,W]; bicubic, base: f32[B,2,H,W]; coarseness: f32[B].
        Returns f32[B,2,H,W].
        """
        height, width = lightness.shape[-2:]
        right, bottom = -width % self.multiple, -height % self.multiple
        planes = torch.cat(
            [lightness / 50 - 1, (lightness - cell_lightness) / 16, base / 32, (base - bicubic) / 8], dim=1
        )
        planes = F.pad(planes, (0, right, 0, bottom), mode="replicate")
        x = F.pixel_unshuffle(planes, self.shuffle)
        scale = (torch.log2(coarseness) / 3 - 1).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[-2:])
        x = F.relu(self.stem(torch.cat([x, scale.to(x.dtype)], dim=1)))
        skips = []
        for encode, down in zip(self.encoders, self.down, strict=True):
            skips.append(encode(x))
            x = F.relu(down(skips[-1]))
        x = self.bottom(x)
        for up, decode in zip(reversed(self.up), reversed(self.decoders), strict=True):
            x = decode(F.relu(up(x) + skips.pop()))
        fine = 50 * F.avg_pool2d(planes[:, :1], self.shuffle)
        heard = _gate(fine, self.multiple // self.shuffle)
        residual = F.pixel_shuffle(heard * self.head(x), self.shuffle)
        return base + SCALE * residual[..., :height, :width].to(base.dtype)


def _gate(lightness: Tensor, stride: int) -> Tensor:
    """Where the network is heard, 0 to 1: not where all around there is no texture but that of rounding.

    There (in a sky, on a ramp) the base is right to a fraction of a unit, and whatever is added is noise.
    lightness: f32[B,1,h,w] at the resolution of the finest level, sides multiples of ``stride``.
    """
    texture = torch.zeros_like(lightness)
    # At the border means are of one side.
    inside = slice(MEAN // 2, -(MEAN // 2))
    texture[..., inside, inside] = (lightness - _mean(lightness)).square()[..., inside, inside]
    around = _mean(F.avg_pool2d(texture, stride))
    heard = F.relu(around - QUIET)
    return F.interpolate(heard / (heard + HALF_HEARD), scale_factor=stride, mode="bilinear")


def _mean(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, MEAN, 1, MEAN // 2, count_include_pad=False)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = F.relu(x + self.second(F.relu(self.first(x))))
        return out


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
