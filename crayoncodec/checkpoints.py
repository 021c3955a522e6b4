"""Checkpoints: <name>.safetensors beside its model card <name>.json <-> a network.

A small network's graph lies beside them: <name>.onnx, and <name>.int8.onnx if it has been quantised. A card
names the architecture, its configuration and the SHA-256 of weights and graphs; those that are not the card's
are never loaded. Some checkpoints ship with this package; other packages bring more (docs/training.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from crayoncodec.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

DEFAULT: Final = "compact"
DEFAULT_NESTED: Final = "nested"
"""For pictures whose colours are nested grids."""
APART: Final = {"crayon": "crayoncodec[crayon]"}
"""Checkpoints of this project that are too large to ship with it, and what pip installs them with."""
_ENTRY_POINTS: Final = "crayoncodec.models"
"""Group in which a package names the package whose folder has checkpoints."""
_SUFFIX: Final = ".safetensors"
Numbers = Literal["float32", "int8"]
"""What a graph computes with."""
GRAPHS: Final[dict[Numbers, str]] = {"float32": ".onnx", "int8": ".int8.onnx"}
"""And how the name of its file ends."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model card: what a checkpoint is, and what it was trained on and measures."""

    name: str
    version: str
    architecture: str
    config: dict[str, Any]
    sha256: str
    """Of the .safetensors file, in lower-case hexadecimal."""
    onnx_sha256: str | None = None
    """Of the graph, if there is one."""
    int8_onnx_sha256: str | None = None
    """Of the quantised graph, if there is one."""
    reach: int = 0
    """The network's, for those who only have its graph."""
    multiple: int = 1
    """Likewise; sides of what a graph is given are multiples of this."""
    parameters: int
    macs_per_pixel: int
    description: str
    license: str
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise TypeError or ValueError for numbers that no window could be made with."""
        if self.reach < 0 or self.multiple < 1 or self.reach % self.multiple:
            raise ValueError(f"reach is {self.reach} and multiple is {self.multiple}")

    @property
    def is_for_nested(self) -> bool:
        """Whether it was trained behind nested grids."""
        recipe = self.training.get("recipe", {})
        return bool(recipe.get("nested_range", (0,))[-1])

    def graph(self, numbers: Numbers = "float32") -> str | None:
        """SHA-256 of a graph, None if there is none."""
        return self.int8_onnx_sha256 if numbers == "int8" else self.onnx_sha256


def folder() -> Path:
    """Where the checkpoints that ship with the package lie."""
    return Path(str(resources.files("crayoncodec.models")))


def names() -> list[str]:
    """Names of the checkpoints that are installed: those that ship with the package, and other packages'."""
    found = (path for place in _places() for path in place.glob("*" + _SUFFIX))
    return sorted({path.stem for path in found if _is_checkpoint(path)})


def missing() -> dict[str, str]:
    """Those of APART that are not installed, and what pip installs them with."""
    return {name: brought_by for name, brought_by in APART.items() if name not in names()}


def find(name_or_path: str) -> Path:
    """An installed checkpoint's name or the path of a .safetensors file -> path of the weights.

    Raises CheckpointError if there is none.
    """
    if Path(name_or_path).name == name_or_path:
        for place in _places():
            path = place / (name_or_path + _SUFFIX)
            if _is_checkpoint(path):
                return path
    path = Path(name_or_path)
    if path.suffix != _SUFFIX or not _is_checkpoint(path):
        if name_or_path in APART:
            raise CheckpointError(
                f"checkpoint {name_or_path!r} is not installed, expected pip install {APART[name_or_path]}"
            )
        raise CheckpointError(
            f"no checkpoint {name_or_path!r}, expected one of {', '.join(names()) or 'none'} "
            f"or the path of a {_SUFFIX} file with its .json card beside it"
        )
    return path


def _is_checkpoint(path: Path) -> bool:
    return path.is_file() and path.with_suffix(".json").is_file()


def _places() -> Iterator[Path]:
    """The folders with checkpoints, ours first: no other package takes the place of what ships here.

    Packages are found, not imported. In a checkout those that are APART lie in folders below ours.
    """
    yield folder()
    yield from (folder() / name for name in APART)
    for entry in sorted(metadata.entry_points(group=_ENTRY_POINTS)):
        try:
            found = find_spec(entry.module)
        except (AttributeError, ImportError, ValueError):  # no name of a module, or none that is there
            continue
        yield from map(Path, (found and found.submodule_search_locations) or ())


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
    return card, _checked(path, card.sha256)


def graph(name_or_path: str, numbers: Numbers = "float32") -> tuple[Card, bytes]:
    """Card and ONNX graph of a checkpoint, the SHA-256 as its card has it. Raises CheckpointError."""
    path = find(name_or_path)
    card = read_card(path)
    expected = card.graph(numbers)
    if expected is None:
        raise CheckpointError(f"checkpoint {card.name} has no {numbers} graph")
    return card, _checked(path.with_name(path.stem + GRAPHS[numbers]), expected)


def verify_graphs(name_or_path: str) -> None:
    """Check the SHA-256 of all graphs of a checkpoint. Raises CheckpointError."""
    card = read_card(find(name_or_path))
    for numbers in GRAPHS:
        if card.graph(numbers) is not None:
            graph(name_or_path, numbers)


def _checked(path: Path, expected: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise CheckpointError(f"{path}: SHA-256 is {found}, its card says {expected}")
    return data


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
        reach=cast(int, network.reach),
        multiple=cast(int, network.multiple),
        **described,
    )
    write(path, card, data)
    return card


def write(path: Path, card: Card, data: bytes) -> None:
    """Write weights and their card."""
    path.write_bytes(data)
    text = json.dumps(asdict(card), indent=2) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")


def write_graph(path: Path, numbers: Numbers, data: bytes, metrics: Mapping[str, Any] | None = None) -> Card:
    """Write a graph beside the weights at ``path``, and its SHA-256 and metrics into their card."""
    card = read_card(path)
    name = "int8_onnx_sha256" if numbers == "int8" else "onnx_sha256"
    changes: dict[str, Any] = {name: hashlib.sha256(data).hexdigest()}
    card = replace(card, **changes, metrics=card.metrics | dict(metrics or {}))
    path.with_name(path.stem + GRAPHS[numbers]).write_bytes(data)
    write(path, card, path.read_bytes())
    return card
