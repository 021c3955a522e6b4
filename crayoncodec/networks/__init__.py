"""The networks: torch modules that know nothing of files, devices or tiles."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn

from crayoncodec.networks.compact import Compact
from crayoncodec.networks.crayon import Crayon
from crayoncodec.networks.xiao import XiaoNet

ARCHITECTURES: Final[dict[str, type[nn.Module]]] = {
    network.architecture: network for network in (Compact, Crayon, XiaoNet)
}
"""The names that model cards use."""

__all__ = ["ARCHITECTURES", "Compact", "Crayon", "XiaoNet", "build", "check_weights"]


def build(architecture: str, config: dict[str, Any]) -> nn.Module:
    """The network of that name with its constructor's keywords. Raises KeyError, TypeError."""
    return ARCHITECTURES[architecture](**config)


def check_weights(network: nn.Module) -> None:
    """Raise ValueError for a weight that is not a finite floating-point number."""
    for name, weights in network.state_dict().items():
        if not (weights.is_floating_point() and bool(torch.isfinite(weights).all())):
            raise ValueError(f"{name} has weights that are not finite floating-point numbers")
