"""Checkpoints: <name>.safetensors beside its model card <name>.json <-> a network.

A card names the architecture, its configuration and the SHA-256 of the weights; weights that are not the
card's are never loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crayoncodec.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

DEFAULT: Final = "compact"
DEFAULT_NESTED: Final = "nested"
"""For pictures whose colours are nested grids."""
_SUFFIX: Final = ".safetensors"


@dataclass(frozen=True)
class Card:
    """A model card: what a checkpoint is, and what it was trained on and measures."""

    name: str
    version: str
    architecture: str
    config: dict[str, Any]
    sha256: str
    """Of the .safetensors file, in lower-case hexadecimal."""
    parameters: int
    macs_per_pixel: int
    description: str
    license: str
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


def folder() -> Path:
    """Where the checkpoints that ship with the package lie."""
    return Path(str(resources.files("crayoncodec.models")))


def names() -> list[str]:
    """Names of the checkpoints that ship with the package."""
    return sorted(path.stem for path in folder().glob("*.json"))


def find(name_or_path: str) -> Path:
    """A shipped checkpoint's name or the path of a .safetensors file -> path of the weights.

    Raises CheckpointError if there is none.
    """
    shipped = name_or_path in names()
    path = folder() / (name_or_path + _SUFFIX) if shipped else Path(name_or_path)
    if path.suffix != _SUFFIX or not path.is_file() or not path.with_suffix(".json").is_file():
        raise CheckpointError(
            f"no checkpoint {name_or_path!r}, expected one of {', '.join(names()) or 'none'} "
            f"or the path of a {_SUFFIX} file with its .json card beside it"
        )
    return path


def read_card(weights: Path) -> Card:
    """The card beside a .safetensors file. Raises CheckpointError if it is not one."""
    path = weights.with_suffix(".json")
    try:
        return Card(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is not a model card ({error})") from error


def verify(name_or_path: str) -> tuple[Card, bytes]:
    """Card and weights of a checkpoint whose SHA-256 is its card's. Raises CheckpointError."""
    path = find(name_or_path)
    card = read_card(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise CheckpointError(f"{path}: SHA-256 is {found}, its card says {card.sha256}")
    return card, data


def load(name_or_path: str = DEFAULT) -> tuple[nn.Module, Card]:
    """A checkpoint -> its network in float32, in evaluation mode, on the CPU. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors

    from crayoncodec.networks import build

    card, data = verify(name_or_path)
    try:
        network = build(card.architecture, card.config)
        network.load_state_dict({k: v.float() for k, v in load_tensors(data).items()})
    except (LookupError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"checkpoint {card.name} does not fit its card ({reason})") from error
    return network.eval().requires_grad_(False), card


def save(network: nn.Module, path: Path, *, half: bool, **described: Any) -> Card:
    """Write weights and card; ``described`` is the rest of the Card's fields. Returns the card."""
    import torch
    from safetensors.torch import save as save_tensors

    dtype = torch.float16 if half else torch.float32
    state = {k: v.detach().to("cpu", dtype).contiguous() for k, v in network.state_dict().items()}
    data = save_tensors(state)
    card = Card(
        name=path.stem,
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        **described,
    )
    path.write_bytes(data)
    path.with_suffix(".json").write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    return card
