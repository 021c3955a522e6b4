"""The network in the loop of nested grids as it is trained: from what is decoded to shifts and spreads.

3x3 convolutions at the parents' resolution; blocks in two halves of a checkerboard, of which the second
knows the first; of each block the details of the first colour plane, then those of the second, which know the
first's. It is trained in floating point as the integers that it becomes (crayoncodec.color.predictor): inputs
and activations are multiples of 1/32 up to 255/32, weights 8 bits and a power of two for each output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crayoncodec.color.blocks import SHIFTS
from crayoncodec.color.features import FEATURES, KNOWN
from crayoncodec.color.predictor import EXACT, MAX_SHIFT, SPREADS, TOP, Layer, folded

UNIT: Final = 32
"""Activations are multiples of its inverse."""
_OWN: Final = 6
_SPREAD_GAIN: Final = 8
_SPREAD_OFFSET: Final = 20
_LARGEST_WEIGHT: Final = 127
_LARGEST_POWER: Final = 16
"""So that biases stay exact where all weights are next to nothing."""


class Predictor(nn.Module):
    """Predicts details; arrays in and out are those of crayoncodec.color.levels.stages, [B,C,h,w]."""

    def __init__(self, width: int = 48, depth: int = 3, later: int = 2, between: int = 32) -> None:
        super().__init__()
        self.config = {"width": width, "depth": depth, "later": later, "between": between}
        self.rounds = False
        """Whether weights and activations are rounded as the integer network has them."""
        self.first = nn.ModuleList(
            [_conv(FEATURES, width, 3), *(_conv(width, width, 3) for _ in range(depth - 1))]
        )
        self.later = nn.ModuleList(
            [_conv(width + KNOWN, width, 3), *(_conv(width, width, 3) for _ in range(later - 1))]
        )
        self.one = nn.ModuleList([_conv(width, 6, 1) for _ in range(2)])
        self.both = nn.ModuleList([_conv(width + _OWN, between, 1) for _ in range(2)])
        self.other = nn.ModuleList([_conv(between, 6, 1) for _ in range(2)])
        for layer in (*self.one, *self.other):
            nn.init.zeros_(cast(Tensor, layer.weight))
            nn.init.zeros_(cast(Tensor, layer.bias))

    def trunk(self, features: Tensor) -> Tensor:
        """As crayoncodec.color.predictor.Predictor's, and so the other methods."""
        x = features.float() / UNIT
        for layer in self.first:
            x = self._hidden(layer, x)
        return x

    def second(self, hidden: Tensor, known: Tensor) -> Tensor:
        """What the second half is predicted from."""
        x = torch.cat([hidden, known.float() / UNIT], -3)
        for layer in self.later:
            x = self._hidden(layer, x)
        return x

    def head(self, half: int, plane: int, hidden: Tensor, *first: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts in 1/SHIFTS of a step, and spreads, 0 to SPREADS - 1, neither rounded."""
        if plane == 0:
            out = self._layer(self.one[half], hidden)
        else:
            own = torch.cat([hidden, *(part.float() / UNIT for part in first)], -3)
            out = self._layer(self.other[half], self._hidden(self.both[half], own))
        shifts, spreads = out.chunk(2, -3)
        return shifts * SHIFTS, (spreads * _SPREAD_GAIN + _SPREAD_OFFSET).clamp(0, SPREADS - 1)

    @staticmethod
    def integers(shifts: Tensor) -> Tensor:
        """Shifts as the decoder has them."""
        return shifts.detach().round().long()

    def layers(self) -> dict[str, Layer]:
        """The integer network. Raises ValueError if a sum could leave what float32 holds exactly."""
        found = {}
        for name, module in self.named_modules():
            if not isinstance(module, nn.Conv2d):
                continue
            weight, bias = (cast(Tensor, values).detach().double() for values in (module.weight, module.bias))
            power = _power(weight).flatten()
            gain, offset = _output(name, bias)
            # An input is UNIT times what the weights are for, an output gain times what they give.
            shift = power + torch.log2(UNIT / gain)
            layer = Layer(
                torch.round(weight * torch.exp2(power).view(-1, 1, 1, 1)).to(torch.int8).numpy(),
                torch.round((bias * gain + offset + 0.5) * torch.exp2(shift)).to(torch.int32).numpy(),
                shift.to(torch.uint8).numpy(),
            )
            largest = torch.full((weight.shape[1],), TOP, dtype=torch.int64).numpy()
            if layer.largest_sum(largest) >= EXACT:
                raise ValueError(
                    f"{name}: sums of up to {layer.largest_sum(largest)}, expected less than {EXACT}"
                )
            found[name] = layer
        return found

    @torch.no_grad()
    def take(self, layers: Mapping[str, Layer]) -> None:
        """Have the weights of an integer network of the same shape: the reverse of ``layers``."""
        for name, layer in layers.items():
            module = self.get_submodule(name)
            gain, offset = _output(name, cast(Tensor, module.bias).double())
            weights, biases, shift = (torch.from_numpy(values).to(gain) for values in layer)
            power = (shift - torch.log2(UNIT / gain)).view(-1, 1, 1, 1)
            cast(Tensor, module.weight).copy_(weights * torch.exp2(-power))
            cast(Tensor, module.bias).copy_((biases * torch.exp2(-shift) - 0.5 - offset) / gain)

    def _hidden(self, layer: nn.Module, x: Tensor) -> Tensor:
        x = self._layer(layer, x).clamp(0, TOP / UNIT)
        return _rounded(x * UNIT) / UNIT if self.rounds else x

    def _layer(self, layer: nn.Module, x: Tensor) -> Tensor:
        weight = cast(Tensor, layer.weight)
        if self.rounds:
            scale = torch.exp2(_power(weight.detach()))
            weight = _rounded(weight * scale) / scale
        return F.conv2d(x, weight, cast(Tensor, layer.bias), padding=weight.shape[-1] // 2)


class IntegerPredictor(nn.Module):
    """color.predictor.Predictor on torch, for batches [B,C,h,w]: the same integers, on a GPU too."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        super().__init__()
        self._names = list(layers)
        for name, layer in layers.items():
            matrix, bias = folded(layer, np.float32)
            outputs, inputs, side, _ = layer.weights.shape
            weight = matrix.reshape(side, side, outputs, inputs).transpose(2, 3, 0, 1)
            for part, values in (("weight", weight), ("bias", bias)):
                buffer = torch.from_numpy(np.ascontiguousarray(values))
                self.register_buffer(f"{name}.{part}".replace(".", "_"), buffer)

    def trunk(self, features: Tensor) -> Tensor:
        """As crayoncodec.color.predictor.Predictor's, and so the other methods."""
        return self._hidden("first", features.float())

    def second(self, hidden: Tensor, known: Tensor) -> Tensor:
        """What the second half is predicted from."""
        return self._hidden("later", torch.cat([hidden, known.float()], -3))

    def head(self, half: int, plane: int, hidden: Tensor, *first: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts in 1/SHIFTS of a step, and spreads, as int64."""
        if plane == 0:
            out = self._convolve(f"one.{half}", hidden)
        else:
            own = torch.cat([hidden, *(part.float() for part in first)], -3)
            out = self._convolve(f"other.{half}", self._convolve(f"both.{half}", own).clamp(0, TOP))
        shifts, spreads = out.long().chunk(2, -3)
        return shifts.clamp(-MAX_SHIFT, MAX_SHIFT), spreads.clamp(0, SPREADS - 1)

    @staticmethod
    def integers(shifts: Tensor) -> Tensor:
        """The shifts as they are."""
        return shifts

    def _hidden(self, name: str, planes: Tensor) -> Tensor:
        for k in range(sum(key.startswith(f"{name}.") for key in self._names)):
            planes = self._convolve(f"{name}.{k}", planes).clamp(0, TOP)
        return planes

    def _convolve(self, name: str, planes: Tensor) -> Tensor:
        weight, bias = (
            cast(Tensor, getattr(self, f"{name}.{part}".replace(".", "_"))) for part in ("weight", "bias")
        )
        # TensorFloat-32 has 10 bits where float32 has 23.
        with torch.backends.cudnn.flags(allow_tf32=False), torch.autocast(planes.device.type, enabled=False):
            return F.conv2d(planes, weight, bias, padding=weight.shape[-1] // 2).floor()


def _output(name: str, like: Tensor) -> tuple[Tensor, Tensor]:
    """What a layer's integers are of its outputs in floating point: gain and offset, f64[outputs]."""
    gain, offset = torch.full_like(like, UNIT), torch.zeros_like(like)
    if name.startswith(("one", "other")):
        gain[:3], gain[3:], offset[3:] = SHIFTS, _SPREAD_GAIN, _SPREAD_OFFSET
    return gain, offset


def log_scale(spreads: Tensor) -> Tensor:
    """Logarithm of the Laplace distribution's scale, in steps, of spreads 0 to SPREADS - 1."""
    return (spreads - 26) * 0.11


def _power(weight: Tensor) -> Tensor:
    """The powers of two by which weights become whole numbers of 8 bits, [outputs,1,1,1]."""
    largest = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-9)
    return torch.floor(torch.log2(_LARGEST_WEIGHT / largest)).clamp_max(_LARGEST_POWER)


def _rounded(x: Tensor) -> Tensor:
    return x + (x.round() - x).detach()


def _conv(inputs: int, outputs: int, side: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)
