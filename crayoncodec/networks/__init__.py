"""The networks: torch modules that know nothing of files, devices or tiles."""

from __future__ import annotations

from typing import Any, Final

from torch import nn

from crayoncodec.networks.compact import Compact
from crayoncodec.networks.crayon import Crayon

ARCHITECTURES: Final[dict[str, type[nn.Module]]] = {
    network.architecture: network for network in (Compact, Crayon)
}
"""The names that model cards use."""

__all__ = ["ARCHITECTURES", "Compact", "Crayon", "build"]


def build(architecture: str, config: dict[str, Any]) -> nn.Module:
    """The network of that name with its constructor's keywords. Raises KeyError, TypeError."""
    return ARCHITECTURES[architecture](**config)
