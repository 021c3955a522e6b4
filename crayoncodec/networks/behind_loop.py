"""The network behind nested grids as it is trained: it refines colours continued by guided details."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crayoncodec.color import refiner
from crayoncodec.color.features import COLOR, guided_details, pyramid
from crayoncodec.color.layers import TOP
from crayoncodec.networks.integers import UNIT, Integers, Trained, convolution, rounded

_GAIN: Final = 8
"""Units of AB in what the last layer gives."""


class Refiner(Trained):
    """A U-Net on cells of 2 x 2 pixels (color.refiner.Refiner), widths from fine to coarse."""

    def __init__(self, widths: Sequence[int] = (16, 24, 32, 40)) -> None:
        super().__init__()
        if 2 ** (len(widths) - 1) != refiner.STRIDE or min(widths) < 1:
            raise ValueError(f"widths are {list(widths)}, expected 4, all above 0")
        self.config = {"widths": list(widths)}
        """The keywords that build this network again."""
        first, pairs = widths[0], list(pairwise(widths))
        self.stem = convolution(refiner.PLANES, first, 3)
        self.down = nn.ModuleList(convolution(4 * fine, coarse, 1) for fine, coarse in pairs)
        self.before = nn.ModuleList(convolution(width, width, 3) for width in widths[1:])
        self.bottom = convolution(widths[-1], widths[-1], 3)
        self.up = nn.ModuleList(convolution(coarse, 4 * fine, 1) for fine, coarse in pairs)
        self.after = nn.ModuleList(convolution(width, width, 3) for width in widths[:-1])
        self.head = convolution(first, refiner.OUTPUTS, 3)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def output(self, name: str, like: Tensor) -> tuple[Tensor, Tensor]:
        """Of the head, colours."""
        gain, offset = super().output(name, like)
        return (gain * 0 + _GAIN * refiner.UNIT, offset) if name == "head" else (gain, offset)

    def forward(self, stored: Tensor, cells: Tensor, coarseness: Tensor) -> Tensor:
        """Lightness as stored, cells, and their step for a pixel -> AB f32[B,2,H,W] in CIELAB units.

        stored: int64[B,1,H,W], 0 to 255, H and W multiples of 16. cells: int64[B,2,h,w] in 1/COLOR of a unit.
        coarseness: f32[B], in units.
        """
        with torch.no_grad():
            spacing = stored.shape[-1] // cells.shape[-1]
            levels = pyramid(stored, max(spacing, 2))
            parents = refiner.continued(cells, levels, spacing, 2)
            guided = guided_details(parents, levels[2], levels[1])[0]
            base = refiner.divided(parents, guided, (stored.shape[-2], stored.shape[-1])).float() / COLOR
            step = (coarseness * COLOR).round().long().double()
            loudness = (torch.floor(8 * torch.log2(step)).long() - 64).view(-1, 1, 1, 1)
            given = refiner.planes(parents, guided, levels, loudness, spacing)
            heard = refiner.gate(levels).float() / refiner.FULL
            heard = F.interpolate(heard, scale_factor=refiner.STRIDE, mode="nearest")
        found = self.refine(given.float() / UNIT)
        if self.rounds:
            found = rounded(found * _GAIN * refiner.UNIT) / (_GAIN * refiner.UNIT)
        # Of each colour four pixels.
        found = F.pixel_shuffle(_GAIN * heard * found, 2)
        painted: Tensor = base + found
        return painted

    def refine(self, x: Tensor) -> Tensor:
        """[B,PLANES,h,w] -> [B,OUTPUTS,h,w]: colours in _GAIN units, those of a* first."""
        x = self.hidden(self.stem, x)
        skips = []
        for down, before in zip(self.down, self.before, strict=True):
            skips.append(x)
            x = self.hidden(down, F.pixel_unshuffle(x, 2))
            x = self.hidden(before, x, x)
        x = self.hidden(self.bottom, x, x)
        for up, after, skip in zip(reversed(self.up), reversed(self.after), reversed(skips), strict=True):
            x = F.pixel_shuffle(self.hidden(up, x, F.pixel_unshuffle(skip, 2)), 2)
            x = self.hidden(after, x, x)
        return self.layer(self.head, x)


class IntegerRefiner(Integers):
    """color.refiner.Refiner on torch, for batches [B,C,h,w]: the same integers, on a GPU too."""

    def forward(self, given: Tensor) -> Tensor:
        """Planes int8[B,PLANES,h,w], sides multiples of STRIDE -> int32[B,OUTPUTS,h,w], not clipped."""
        depth = sum(name.startswith("down.") for name in self.names)
        x, skips = self._hidden("stem", given.float()), []
        for k in range(depth):
            skips.append(x)
            x = self._hidden(f"down.{k}", F.pixel_unshuffle(x, 2))
            x = self._hidden(f"before.{k}", x, x)
        x = self._hidden("bottom", x, x)
        for k in reversed(range(depth)):
            x = F.pixel_shuffle(self._hidden(f"up.{k}", x, F.pixel_unshuffle(skips.pop(), 2)), 2)
            x = self._hidden(f"after.{k}", x, x)
        return self.layer("head", x).int()

    def _hidden(self, name: str, x: Tensor, added: Tensor | float = 0) -> Tensor:
        return (self.layer(name, x) + added).clamp(0, TOP)
