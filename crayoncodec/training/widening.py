"""A wide network that computes what a narrow one does: Net2WiderNet (Chen, Goodfellow and Shlens, ICLR 2016).

A narrow network learns several times as many pictures in the same time; the wide one goes on from there.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

_SPREAD: Final = 0.5
"""How unequally copies of a channel share its weight: those that are alike would learn the same for ever."""


@torch.no_grad()
def widen(narrow: nn.Module, wide: nn.Module) -> None:
    """Give ``wide`` the weights of ``narrow``, each channel as many times as it is wider.

    Both have the same convolutions by the same names; nothing else may have parameters. Uses torch's global
    random generator. Raises ValueError.
    """
    layers, wider = (
        {name: module for name, module in network.named_modules() if list(module.parameters(recurse=False))}
        for network in (narrow, wide)
    )
    if layers.keys() != wider.keys():
        raise ValueError("it has other layers")
    for name, module in wider.items():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            raise ValueError(f"layer {name} is a {type(module).__name__}")
        inputs = 1 if isinstance(module, nn.Conv2d) else 0
        for kind, parameter in module.named_parameters():
            value = getattr(layers[name], kind)
            for axis in range(value.dim()):
                value = _copied(
                    name, value, axis, parameter.shape[axis], shared=value.dim() > 1 and axis == inputs
                )
            parameter.copy_(value)


def _copied(name: str, value: Tensor, axis: int, wanted: int, shared: bool) -> Tensor:
    """Each slice along an axis several times in a row; ``shared``: so that the copies add up to it."""
    copies, rest = divmod(wanted, value.shape[axis])
    if rest or not copies:
        raise ValueError(
            f"layer {name} has {value.shape[axis]} channels, expected {wanted} or a whole part of it"
        )
    if copies == 1:
        return value
    repeated: Tensor = value.repeat_interleave(copies, axis)
    if not shared:
        return repeated
    parts = torch.rand(*value.shape[: axis + 1], copies, *value.shape[axis + 1 :])
    parts = 1 + _SPREAD * (parts - parts.mean(axis + 1, keepdim=True))
    return repeated * parts.reshape(repeated.shape) / copies
