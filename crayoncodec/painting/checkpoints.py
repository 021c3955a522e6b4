"""Checkpoints: <name>.safetensors beside its model card <name>.json <-> a network.

A card names the architecture, its configuration and the SHA-256 of the weights; those that are not the card's
are never loaded. Some checkpoints ship with this package; other packages bring more (docs/training.md).
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from crayoncodec.errors import CheckpointError, DeviceError
from crayoncodec.machine.process import models_folder

if TYPE_CHECKING:
    from torch import nn

DEFAULT: Final = "compact"
DEFAULT_NESTED: Final = "nested"
"""For pictures whose colours are nested grids."""
TORCH: Final = "crayoncodec[torch]"
"""What pip installs what runs them with."""
APART: Final = {"crayon": "crayoncodec[crayon]", "paper": "crayoncodec[paper]"}
"""Checkpoints of this project that are too large to ship with it, and what pip installs them with."""
_ENTRY_POINTS: Final = "crayoncodec.models"
"""Group in which a package names the package whose folder has checkpoints."""
_SUFFIX: Final = ".safetensors"
Grids = Literal["nested", "one", "any"]
"""The files that a network is for: of nested grids, of one grid, or of both."""
_SAID: Final[dict[Grids, str]] = {"nested": "nested grids", "one": "one grid", "any": "both kinds"}
_OF_GRAPHS: Final = frozenset(("onnx_sha256", "int8_onnx_sha256", "reach", "multiple"))
"""What cards of earlier versions say of ONNX graphs, which nothing reads any more."""
_MOST_CARD: Final = 2**20
"""Bytes of a card."""
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model card: what a checkpoint is, and what it was trained on and measures."""

    name: str
    version: str
    architecture: str
    config: dict[str, Any]
    sha256: str
    """Of the .safetensors file, in lower-case hexadecimal."""
    grids: Grids | None = None
    """Which files it is for; never None: a card that does not say was made for what its recipe trained."""
    parameters: int
    macs_per_pixel: int
    description: str
    license: str
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for a field that is not of its kind."""
        for name in ("name", "version", "architecture", "description", "license"):
            _expect(isinstance(getattr(self, name), str), name, getattr(self, name), "text")
        _expect(self.name.isprintable(), "name", self.name, "one line")
        digits = isinstance(self.sha256, str) and len(self.sha256) == 64 and _HEX.issuperset(self.sha256)
        _expect(digits, "sha256", self.sha256, "64 hexadecimal digits")
        for name in ("parameters", "macs_per_pixel"):
            value = getattr(self, name)
            _expect(type(value) is int and value >= 0, name, value, "a whole number")
        for name in ("config", "training", "metrics"):
            _expect(isinstance(getattr(self, name), dict), name, getattr(self, name), "names and values")
        if self.grids is None:
            object.__setattr__(self, "grids", _trained_on(self.training))
        _expect(self.grids in get_args(Grids), "grids", self.grids, f"one of {', '.join(get_args(Grids))}")

    @property
    def is_for_nested(self) -> bool:
        """Whether files of nested grids are what to measure it with."""
        return self.grids == "nested"

    def check_grids(self, nested: bool) -> None:
        """Raise CheckpointError if it is not for a file of nested grids, or not for one of one grid."""
        wanted: Grids = "nested" if nested else "one"
        if self.grids not in (wanted, "any"):
            wrong, right = _SAID[self.grids or "any"], _SAID[wanted]
            instead = DEFAULT_NESTED if nested else DEFAULT
            raise CheckpointError(
                f"network {self.name} is for files of {wrong}, expected one for {right}, as {instead}"
            )


def _expect(good: bool, name: str, value: Any, expected: str) -> None:
    if not good:
        raise ValueError(f"{name} is {reprlib.repr(value)}, expected {expected}")


def _trained_on(training: dict[str, Any]) -> Grids:
    """Which files a network is for whose card does not say, of its recipe; without one nothing is known."""
    recipe = training.get("recipe")
    if not isinstance(recipe, dict):
        return "any"
    nested = recipe.get("nested_range")
    return "nested" if isinstance(nested, list | tuple) and any(nested) else "one"


def names() -> list[str]:
    """Names of the checkpoints that are installed: those that ship with the package, and other packages'."""
    found = (path for place in _places() for path in place.glob("*" + _SUFFIX))
    return sorted({path.stem for path in found if _is_checkpoint(path)})


def missing() -> dict[str, str]:
    """Those of APART that are not installed, and what pip installs them with."""
    installed = names()
    return {name: brought_by for name, brought_by in APART.items() if name not in installed}


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
    try:
        return path.is_file() and path.with_suffix(".json").is_file()
    except OSError:  # a name that is too long, a folder that is closed
        return False


def _places() -> Iterator[Path]:
    """The folders with checkpoints, ours first: no other package takes the place of what ships here.

    Packages are found, not imported. In a checkout those that are APART lie in folders below ours.
    """
    yield models_folder()
    yield from (models_folder() / name for name in APART)
    from importlib import metadata

    for entry in sorted(metadata.entry_points(group=_ENTRY_POINTS)):
        try:
            outermost, *inner = entry.module.split(".")
            found = find_spec(outermost)  # of one further in it would import those that it is in
        except (AttributeError, ImportError, ValueError):  # no name of a module, or none that is there
            continue
        yield from (Path(place, *inner) for place in (found and found.submodule_search_locations) or ())


def read_card(weights: Path) -> Card:
    """The card beside a .safetensors file. Raises CheckpointError if it is not one."""
    path = weights.with_suffix(".json")
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_CARD + 1)
        if len(data) > _MOST_CARD:
            raise ValueError(f"more than {_MOST_CARD} bytes")
        said = {**json.loads(data)}
        return Card(**{key: value for key, value in said.items() if key not in _OF_GRAPHS})
    except RecursionError as error:
        raise CheckpointError(f"{path} is not a model card (nested too deeply)") from error
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is not a model card ({error})") from error


def verify(name_or_path: str) -> tuple[Card, bytes]:
    """Card and weights of a checkpoint whose SHA-256 is its card's. Raises CheckpointError."""
    path = find(name_or_path)
    card = read_card(path)
    return card, _checked(path, card.sha256)


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
    """A checkpoint -> its network in float32, in evaluation mode, on the CPU.

    Raises CheckpointError, DeviceError where there is no torch.
    """
    card, data = verify(name_or_path)
    try:
        import torch
    except ImportError as error:
        raise DeviceError(f"networks need torch, expected pip install {TORCH} ({error})") from error
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors

    from crayoncodec.networks import build, check_weights

    try:
        # Sizes are compared before there is any memory for them.
        with torch.device("meta"):
            network = build(card.architecture, card.config)
        tensors = load_tensors(data)
        network.load_state_dict(tensors, assign=True)
        network.float()
        check_weights(network)
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
    text = json.dumps(asdict(card), indent=2) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    return card
