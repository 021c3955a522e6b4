"""Networks that become integers: trained in floating point with rounding, computed in whole numbers.

Inputs and activations are multiples of 1/32 up to 255/32, weights 8 bits and a power of two for each output
(crayoncodec.color.layers.Layer).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crayoncodec.color.layers import EXACT, TOP, Layer, folded

UNIT: Final = 32
"""Activations are multiples of its inverse."""
_LARGEST_WEIGHT: Final = 127
_LARGEST_POWER: Final = 16
"""So that biases stay exact where all weights are next to nothing."""


class Trained(nn.Module):
    """A network of convolutions as it is trained; ``layers`` gives the integers that it becomes."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = False
        """Whether weights and activations are rounded as the integer network has them."""

    def output(self, name: str, like: Tensor) -> tuple[Tensor, Tensor]:
        """What a layer's integers are of its outputs in floating point: gain and offset, f64[outputs]."""
        return torch.full_like(like, UNIT), torch.zeros_like(like)

    def layers(self) -> dict[str, Layer]:
        """The integer network. Raises ValueError if a sum could leave what float32 holds exactly."""
        found = {}
        for name, module in self.named_modules():
            if not isinstance(module, nn.Conv2d):
                continue
            weight, bias = (
                cast(Tensor, values).detach().double().cpu() for values in (module.weight, module.bias)
            )
            power = _power(weight).flatten()
            gain, offset = self.output(name, bias)
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
            gain, offset = self.output(name, cast(Tensor, module.bias).double())
            weights, biases, shift = (torch.from_numpy(values).to(gain) for values in layer)
            power = (shift - torch.log2(UNIT / gain)).view(-1, 1, 1, 1)
            cast(Tensor, module.weight).copy_(weights * torch.exp2(-power))
            cast(Tensor, module.bias).copy_((biases * torch.exp2(-shift) - 0.5 - offset) / gain)

    def hidden(self, layer: nn.Module, x: Tensor, added: Tensor | float = 0) -> Tensor:
        """A layer, ``added`` to it, clamped."""
        x = self.layer(layer, x)
        if self.rounds:
            x = rounded(x * UNIT) / UNIT
        return (x + added).clamp(0, TOP / UNIT)

    def layer(self, layer: nn.Module, x: Tensor) -> Tensor:
        """A convolution, zeros beyond the border."""
        weight = cast(Tensor, layer.weight)
        if self.rounds:
            scale = torch.exp2(_power(weight.detach()))
            weight = rounded(weight * scale) / scale
        return F.conv2d(x, weight, cast(Tensor, layer.bias), padding=weight.shape[-1] // 2)


class Integers(nn.Module):
    """Layers on torch, for batches [B,C,h,w]: the same integers as of the NumPy ones, on a GPU too."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        super().__init__()
        self.names = list(layers)
        for name, layer in layers.items():
            matrix, bias = folded(layer, np.float32)
            outputs, inputs, side, _ = layer.weights.shape
            weight = matrix.reshape(side, side, outputs, inputs).transpose(2, 3, 0, 1)
            for part, values in (("weight", weight), ("bias", bias)):
                buffer = torch.from_numpy(np.ascontiguousarray(values))
                self.register_buffer(f"{name}.{part}".replace(".", "_"), buffer)

    def layer(self, name: str, planes: Tensor) -> Tensor:
        """Floor of the sums, as float32."""
        weight, bias = (
            cast(Tensor, getattr(self, f"{name}.{part}".replace(".", "_"))) for part in ("weight", "bias")
        )
        # TensorFloat-32 has 10 bits where float32 has 23.
        with torch.backends.cudnn.flags(allow_tf32=False), torch.autocast(planes.device.type, enabled=False):
            return F.conv2d(planes, weight, bias, padding=weight.shape[-1] // 2).floor()


def convolution(inputs: int, outputs: int, side: int) -> nn.Conv2d:
    """A layer of ``Trained``."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


def rounded(x: Tensor) -> Tensor:
    """The nearest whole numbers, gradients straight through."""
    return x + (torch.floor(x + 0.5) - x).detach()


def _power(weight: Tensor) -> Tensor:
    """The powers of two by which weights become whole numbers of 8 bits, [outputs,1,1,1]."""
    largest = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-9)
    return torch.floor(torch.log2(_LARGEST_WEIGHT / largest)).clamp_max(_LARGEST_POWER)
