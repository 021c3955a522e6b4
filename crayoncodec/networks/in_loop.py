"""The network in the loop of nested grids as it is trained: from what is decoded to shifts and spreads.

3x3 convolutions at the parents' resolution; blocks in two halves of a checkerboard, of which the second
knows the first; of each block the details of the first colour plane, then those of the second, which know the
first's.
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor, nn

from crayoncodec.color.blocks import SHIFTS
from crayoncodec.color.features import FEATURES, KNOWN
from crayoncodec.color.layers import TOP
from crayoncodec.color.predictor import MAX_SHIFT, SPREADS
from crayoncodec.networks.integers import UNIT, Integers, Trained, convolution

_OWN: Final = 6
_SPREAD_GAIN: Final = 8
_SPREAD_OFFSET: Final = 20


class Predictor(Trained):
    """Predicts details, as color.predictor.Predictor; arrays are those of color.levels.stages, [B,C,h,w]."""

    def __init__(self, width: int = 48, depth: int = 3, later: int = 2, between: int = 32) -> None:
        super().__init__()
        self.config = {"width": width, "depth": depth, "later": later, "between": between}
        self.first = nn.ModuleList(
            [convolution(FEATURES, width, 3), *(convolution(width, width, 3) for _ in range(depth - 1))]
        )
        self.later = nn.ModuleList(
            [convolution(width + KNOWN, width, 3), *(convolution(width, width, 3) for _ in range(later - 1))]
        )
        self.one = nn.ModuleList([convolution(width, 6, 1) for _ in range(2)])
        self.both = nn.ModuleList([convolution(width + _OWN, between, 1) for _ in range(2)])
        self.other = nn.ModuleList([convolution(between, 6, 1) for _ in range(2)])
        for layer in (*self.one, *self.other):
            nn.init.zeros_(cast(Tensor, layer.weight))
            nn.init.zeros_(cast(Tensor, layer.bias))

    def trunk(self, features: Tensor) -> Tensor:
        """As crayoncodec.color.predictor.Predictor's, and so the other methods."""
        x = features.float() / UNIT
        for layer in self.first:
            x = self.hidden(layer, x)
        return x

    def second(self, hidden: Tensor, known: Tensor) -> Tensor:
        """What the second half is predicted from."""
        x = torch.cat([hidden, known.float() / UNIT], -3)
        for layer in self.later:
            x = self.hidden(layer, x)
        return x

    def head(self, half: int, plane: int, hidden: Tensor, *first: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts in 1/SHIFTS of a step, and spreads, 0 to SPREADS - 1, neither rounded."""
        if plane == 0:
            out = self.layer(self.one[half], hidden)
        else:
            own = torch.cat([hidden, *(part.float() / UNIT for part in first)], -3)
            out = self.layer(self.other[half], self.hidden(self.both[half], own))
        shifts, spreads = out.chunk(2, -3)
        return shifts * SHIFTS, (spreads * _SPREAD_GAIN + _SPREAD_OFFSET).clamp(0, SPREADS - 1)

    @staticmethod
    def integers(shifts: Tensor) -> Tensor:
        """Shifts as the decoder has them."""
        return shifts.detach().round().long()

    def output(self, name: str, like: Tensor) -> tuple[Tensor, Tensor]:
        """Of heads, shifts and spreads."""
        gain, offset = super().output(name, like)
        if name.startswith(("one", "other")):
            gain[:3], gain[3:], offset[3:] = SHIFTS, _SPREAD_GAIN, _SPREAD_OFFSET
        return gain, offset


class IntegerPredictor(Integers):
    """color.predictor.Predictor on torch, for batches [B,C,h,w]: the same integers, on a GPU too."""

    def trunk(self, features: Tensor) -> Tensor:
        """As crayoncodec.color.predictor.Predictor's, and so the other methods."""
        return self._hidden("first", features.float())

    def second(self, hidden: Tensor, known: Tensor) -> Tensor:
        """What the second half is predicted from."""
        return self._hidden("later", torch.cat([hidden, known.float()], -3))

    def head(self, half: int, plane: int, hidden: Tensor, *first: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts in 1/SHIFTS of a step, and spreads, as int64."""
        if plane == 0:
            out = self.layer(f"one.{half}", hidden)
        else:
            own = torch.cat([hidden, *(part.float() for part in first)], -3)
            out = self.layer(f"other.{half}", self.layer(f"both.{half}", own).clamp(0, TOP))
        shifts, spreads = out.long().chunk(2, -3)
        return shifts.clamp(-MAX_SHIFT, MAX_SHIFT), spreads.clamp(0, SPREADS - 1)

    @staticmethod
    def integers(shifts: Tensor) -> Tensor:
        """The shifts as they are."""
        return shifts

    def _hidden(self, name: str, planes: Tensor) -> Tensor:
        for k in range(sum(key.startswith(f"{name}.") for key in self.names)):
            planes = self.layer(f"{name}.{k}", planes).clamp(0, TOP)
        return planes


def log_scale(spreads: Tensor) -> Tensor:
    """Logarithm of the Laplace distribution's scale, in steps, of spreads 0 to SPREADS - 1."""
    return (spreads - 26) * 0.11
