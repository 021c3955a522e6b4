"""Recipes: everything that decides how a network is trained, as small TOML files in recipes/."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Final

from torch import nn

from crayoncodec.color.geometry import MAX_SPACING, MIN_SPACING, SAMPLINGS, Sampling
from crayoncodec.errors import TrainingError
from crayoncodec.format.nested import COARSEST
from crayoncodec.networks import ARCHITECTURES, build

_CHOICES: Final = (
    ("loss", ("rmse", "mse", "mae", "log", "huber")),
    ("optimizer", ("adamw", "adam")),
    ("schedule", ("cosine", "constant")),
    ("precision", ("bfloat16", "float32")),
    ("keep", ("last", "best")),
)
_MOST_SEED: Final = 2**63 - 1
_SUFFIX: Final = ".toml"


@dataclass(frozen=True)
class Recipe:
    """What a recipe may say; a field that it leaves out has the value given here."""

    description: str = ""
    architecture: str = "compact"
    network: dict[str, Any] = field(default_factory=dict)
    """Keywords of the network's constructor."""
    start: str = ""
    """Checkpoint whose weights training begins with, a name or a path; none if empty. A narrower network of
    the same topology is widened: it computes the same and learns on."""

    side: int = 320
    """Pictures are cut to squares of this side; smaller ones are left out."""
    crop: int = 128
    """Least side of the squares that batches are made of."""
    cells: int = 5
    """Squares are larger where they would have fewer cells than this on a side."""
    batch: int = 16 * 128 * 128
    """Pixels in a batch, over all processes."""
    spacings: tuple[int, ...] = ()
    """Values of n, each as likely; empty for ``spacing_range``."""
    spacing_range: tuple[int, int] = (2, 100)
    """n is log-uniform between these."""
    sampling: Sampling = "mean"
    other_sampling: float = 0.0
    """Share of batches with the other kind of samples."""
    step_range: tuple[float, float] = (0.5, 2.0)
    """Quantiser step, log-uniform."""
    nested_range: tuple[float, float] = (0.0, 0.0)
    """If not 0, colours are nested grids down to one of ``spacings``; their quantiser step for a cell of one
    pixel is log-uniform between these two, in CIELAB units."""
    lossy: float = 0.0
    """Share of batches whose lightness has been through a lossy coder."""
    zoom: float = 1.0
    """Squares are enlarged by up to this factor, log-uniform: large pictures are smoother than small ones."""
    graphics: float = 0.0
    """Share of batches that are drawn instead, half of them smooth ramps, half flat shapes and text."""
    flips: bool = True
    """Mirrored and transposed squares."""
    hue: float = 0.0
    """AB is turned by up to this many degrees, either way."""

    projected: float = 1.0
    """How much of the loss is the error behind the decoder's back projection; the rest is before it."""
    loss: str = "rmse"
    """rmse: mean over pictures of the root of their mean squared error; mse: the mean squared error; mae: the
    mean absolute error; log: mean over pictures of the logarithm of their mean squared error; huber: half the
    squared error up to a distance of 128, where AB in -1..1 has 1, and linear beyond."""
    teacher: str = ""
    """Checkpoint whose output is a second truth (distillation), a name or a path; none if empty."""
    teacher_weight: float = 0.5
    """How much of the loss is the distance to the teacher."""
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    """cosine: from ``learning_rate`` to zero along half a cosine; constant: as it is. Both warm up."""
    warmup: int = 500
    """Steps in which the learning rate grows linearly."""
    clip: float = 1.0
    """Largest norm of the gradients; 0 for no limit."""
    averaging: float = 0.999
    """Decay of the moving average of the weights, which is what is exported; 0 for the weights themselves."""
    precision: str = "bfloat16"
    steps: int = 60_000
    epochs: float = 0.0
    """Passes over the data; if given, it decides the number of steps."""
    minutes: float = 0.0
    """Most minutes that training may take, evaluations included; 0 for no limit. The learning rate follows
    the time where that runs out before the steps."""
    seed: int = 0

    evaluated: tuple[int, ...] = (2, 6, 10, 20, 40, 80)
    """Values of n at which the network is evaluated, with samples of ``sampling``; of nested grids, down to
    the first of ``spacings``, quantiser steps for a cell of one pixel."""
    evaluate_every: float = 4_000.0
    """Steps; with ``epochs``, passes over the data."""
    save_every: int = 1_000
    keep: str = "last"
    """best: the weights with the least validation error (the paper's canonical model) are exported."""

    def __post_init__(self) -> None:
        for name, default in _defaults().items():
            _expect(_like(getattr(self, name), default), self, name, f"something like {default!r}")
            values = getattr(self, name) if isinstance(default, tuple) else [getattr(self, name)]
            finite = all(math.isfinite(value) for value in values if isinstance(value, float))
            _expect(finite, self, name, "finite numbers")
        for name, choices in (("architecture", tuple(ARCHITECTURES)), ("sampling", SAMPLINGS), *_CHOICES):
            _expect(getattr(self, name) in choices, self, name, f"one of {', '.join(choices)}")
        for name in (
            "crop", "cells", "batch", "steps", "save_every", "evaluate_every", "learning_rate",
        ):  # fmt: skip
            _expect(getattr(self, name) > 0, self, name, "more than 0")
        _expect(self.side > 1, self, "side", "more than 1")
        for name in ("hue", "weight_decay", "warmup", "clip", "epochs", "minutes"):
            _expect(getattr(self, name) >= 0, self, name, "0 or more")
        _expect(0 <= self.seed <= _MOST_SEED, self, "seed", f"0 to {_MOST_SEED}")
        for name in ("other_sampling", "lossy", "graphics", "teacher_weight", "averaging", "projected"):
            _expect(0 <= getattr(self, name) <= 1, self, name, "0 to 1")
        _expect(self.zoom >= 1, self, "zoom", "at least 1")
        for name in ("spacing_range", "step_range"):
            value = getattr(self, name)
            _expect(len(value) == 2 and 0 < value[0] <= value[-1], self, name, "least and largest value")
        for name in ("spacings", "spacing_range", "evaluated"):
            inside = all(MIN_SPACING <= n <= MAX_SPACING for n in getattr(self, name))
            _expect(inside, self, name, f"{MIN_SPACING} to {MAX_SPACING}")
        _expect(bool(self.evaluated), self, "evaluated", "at least one n")
        _expect(len(self.nested_range) == 2, self, "nested_range", "least and largest value")
        if self.nests:
            powers = bool(self.spacings) and all(n & (n - 1) == 0 for n in self.spacings)
            _expect(powers, self, "spacings", "powers of two for nested grids")
            whole = self.crop % COARSEST == 0
            _expect(whole, self, "crop", f"a multiple of {COARSEST} for nested grids")
            _expect(self.projected == 0, self, "projected", "0 for nested grids: they are not back projected")

    @property
    def nests(self) -> bool:
        """Whether colours are nested grids."""
        return self.nested_range[-1] > 0

    def build(self) -> nn.Module:
        """The network, not trained. Raises TrainingError."""
        try:
            return build(self.architecture, self.network)
        except (TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise TrainingError(
                f"network is {self.network}, not one of {self.architecture} ({reason})"
            ) from error


def _expect(good: bool, recipe: Recipe, name: str, expected: str) -> None:
    if not good:
        raise TrainingError(f"{name} is {getattr(recipe, name)!r}, expected {expected}")


def names() -> list[str]:
    """The recipes that ship with the package."""
    return sorted(
        path.name.removesuffix(_SUFFIX) for path in _folder().iterdir() if path.name.endswith(_SUFFIX)
    )


def load(name_or_path: str, overrides: Iterable[str] = ()) -> Recipe:
    """A shipped recipe, or the one in a TOML file, with ``KEY=VALUE`` overrides. Raises TrainingError."""
    if name_or_path in names():
        text = (_folder() / (name_or_path + _SUFFIX)).read_text(encoding="utf-8")
    elif name_or_path.endswith(_SUFFIX):
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TrainingError(f"recipe {name_or_path} cannot be read ({error})") from error
    else:
        raise TrainingError(
            f"no recipe {name_or_path!r}, expected one of {', '.join(names())} or a {_SUFFIX} file"
        )
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"recipe {name_or_path} is not TOML ({error})") from error
    return from_dict(values | dict(map(_override, overrides)))


def shown(recipe: Recipe) -> str:
    """All of it, a line for each field."""
    return "\n".join(f"{name} = {value!r}" for name, value in vars(recipe).items())


def from_dict(values: dict[str, Any]) -> Recipe:
    """Field -> value, as in TOML or JSON. Raises TrainingError."""
    known = [recipe_field.name for recipe_field in fields(Recipe)]
    for name in values:
        if name not in known:
            raise TrainingError(f"recipes have no {name!r}, expected one of {', '.join(known)}")
    tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Recipe(**(values | tuples))


def _override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise TrainingError(f"override {text!r}, expected KEY=VALUE")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value  # a word without quotation marks


def _folder() -> Any:
    return resources.files("crayoncodec.training") / "recipes"


def _defaults() -> dict[str, Any]:
    return {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}


def _like(value: Any, default: Any) -> bool:
    """Whether a value from TOML or JSON is of the kind of ``default``."""
    if isinstance(default, tuple):
        number = default[0] if default else 0
        return isinstance(value, tuple) and all(_like(item, number) for item in value)
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int | float if isinstance(default, float) else type(default))
