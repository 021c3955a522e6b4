"""Runs: the folder of a training, its recipe, states, logs and samples.

RUN/run.json        version, recipe, where the data came from
RUN/state.pt        the last state, to go on from
RUN/best.pt         the averaged weights with the least validation error
RUN/metrics.jsonl   a line for each evaluation
RUN/samples/        validation pictures at each evaluation: original, guided, network
RUN/tensorboard/    the same figures for TensorBoard, if it is installed
RUN/*.lab           the data, decoded
"""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from filelock import FileLock, Timeout
from PIL import Image
from torch import nn

from crayoncodec.color import cielab, srgb
from crayoncodec.errors import TrainingError
from crayoncodec.files import atomic
from crayoncodec.networks import check_weights
from crayoncodec.training import recipes
from crayoncodec.training.recipes import Recipe

_FORMAT: Final = 1
_STATE, _BEST, _ABOUT, _METRICS = "state.pt", "best.pt", "run.json", "metrics.jsonl"


@dataclass(frozen=True)
class Run:
    """A folder, and what was asked for when it was begun."""

    folder: Path
    recipe: Recipe
    sources: dict[str, list[str]]
    """data, validation: paths; without: names of pictures that are left out."""

    def claim(self) -> None:
        """Make the folder. Raises TrainingError if a run in it has a state already."""
        if any((self.folder / name).exists() for name in (_STATE, _BEST)):
            raise TrainingError(f"{self.folder} has a run already, expected --resume {self.folder}")
        self.folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Write down in its folder what is asked for. Raises TrainingError as ``claim``."""
        self.claim()
        (self.folder / _METRICS).unlink(missing_ok=True)  # of a run that ended before it had a state
        content = {"format": _FORMAT, "recipe": asdict(self.recipe), "sources": self.sources}
        with atomic.atomic_write(self.folder / _ABOUT) as stream:
            stream.write(json.dumps(content, indent=1).encode())

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Read the folder of a run. Raises TrainingError if it is not one, or of another version."""
        path = folder / _ABOUT
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version, recipe, sources = content["format"], content["recipe"], content["sources"]
            _expect(isinstance(recipe, dict) and isinstance(sources, dict))
            names = [sources[name] for name in ("data", "validation", "without")]
            _expect(all(isinstance(each, list) for each in names))
            _expect(all(isinstance(each, str) for each in chain(*names)))
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise TrainingError(f"{folder} is not the folder of a run ({error})") from error
        if version != _FORMAT:
            raise TrainingError(f"{folder} is a run of version {version}, expected {_FORMAT}")
        return cls(folder, recipes.from_dict(recipe), sources)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else trains in this folder meanwhile. Raises TrainingError if somebody does."""
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise TrainingError(f"another process is training in {self.folder}") from error
        try:
            yield
        finally:
            lock.release()

    def save(self, parts: dict[str, Any], step: int, best: float) -> None:
        """Write the state to go on from; the one before stays until this one is whole."""
        state = {name: part.state_dict() for name, part in parts.items()}
        self._write(_STATE, state | {"format": _FORMAT, "step": step, "best": best})

    def save_best(self, average: nn.Module, step: int) -> None:
        """Write the averaged weights as the best so far."""
        self._write(_BEST, {"format": _FORMAT, "average": average.state_dict(), "step": step})

    def resume(self, parts: dict[str, Any]) -> tuple[int, float]:
        """Load the last state into parts: steps done and the best score; (0, infinity) for a new run.

        Raises TrainingError for a state that is damaged or of another network.
        """
        if not (self.folder / _STATE).exists():
            return 0, math.inf
        state = self._read(_STATE, (*parts, "step", "best"))
        for name, part in parts.items():
            self._load(part, state[name], _STATE)
        return state["step"], state["best"]

    def network(self) -> tuple[nn.Module, int]:
        """What is to be exported, and after how many steps it was.

        Raises TrainingError for a state that is damaged or of another network, weights that are no numbers.
        """
        name = _BEST if self.recipe.keep == "best" else _STATE
        if not (self.folder / name).exists():
            raise TrainingError(f"{self.folder} has no {name} yet, expected a run that has been saved")
        state = self._read(name, ("average", "step"))
        network = self.recipe.build()
        self._load(network, state["average"], name)
        return network, state["step"]

    def metrics(self) -> list[dict[str, Any]]:
        """What log wrote, oldest first. Raises TrainingError for a file that it did not write."""
        path = self.folder / _METRICS
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            found = [json.loads(line) for line in lines]
            _expect(all(isinstance(line, dict) and {"step", "ab_mse"} <= line.keys() for line in found))
        except (OSError, ValueError, RecursionError) as error:
            raise TrainingError(f"{path} is not the log of a run ({error})") from error
        return found

    def log(self, line: dict[str, Any], board: Any) -> None:
        """Add an evaluation: step, time, loss, ab_mse by spacing."""
        with (self.folder / _METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        if board is not None:
            board.add_scalar("loss", line["loss"], line["step"])
            for spacing, errors in line["ab_mse"].items():
                for name, error in errors.items():
                    board.add_scalar(f"ab_mse n={spacing}/{name}", error, line["step"])

    def show(self, samples: Iterable[tuple[np.ndarray, ...]], step: int) -> None:
        """Write rows of pictures: lightness f32[H,W] with each of its AB planes f32[2,H,W]."""
        rows = [
            np.hstack([srgb.lab_to_rgb(cielab.lightness_to_u8(lightness), ab) for ab in versions])
            for lightness, *versions in samples
        ]
        stream = io.BytesIO()
        Image.fromarray(np.vstack(rows)).save(stream, "PNG")
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        with atomic.atomic_write(folder / f"{step:07}.png") as out:
            out.write(stream.getvalue())

    @contextlib.contextmanager
    def tensorboard(self, wanted: bool) -> Iterator[Any]:
        """A SummaryWriter; None where TensorBoard is not installed or not wanted."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            yield None
            return
        if not wanted:
            yield None
            return
        with SummaryWriter(self.folder / "tensorboard") as board:
            yield board

    def _load(self, part: Any, state: dict[str, Any], name: str) -> None:
        try:
            part.load_state_dict(state)
        except Exception as error:  # networks and optimisers raise all sorts for what is not theirs
            reason = " ".join(str(error).split())
            raise TrainingError(f"{self.folder / name} is of another network ({reason})") from error
        if isinstance(part, nn.Module):
            try:
                check_weights(part)
            except ValueError as error:
                raise TrainingError(f"{self.folder / name}: {error}") from error

    def _write(self, name: str, state: dict[str, Any]) -> None:
        with atomic.atomic_write(self.folder / name) as stream:
            torch.save(state, stream)

    def _read(self, name: str, keys: Iterable[str]) -> dict[str, Any]:
        path = self.folder / name
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises pickle's, zipfile's and its own
            raise TrainingError(f"{path} cannot be read ({' '.join(str(error).split())})") from error
        if not isinstance(state, dict):
            raise TrainingError(f"{path} is a {type(state).__name__}, expected the state of a run")
        version = state.get("format")
        if not isinstance(version, int) or version != _FORMAT:
            raise TrainingError(f"{path} is of version {version}, expected {_FORMAT}")
        for key in keys:
            if key not in state:
                raise TrainingError(f"{path} has no {key!r}, expected the state of a run")
        for key, kind in (("step", int), ("best", float)):
            if not isinstance(state.get(key, kind()), kind):
                raise TrainingError(f"{path}: {key!r} is {state[key]!r}, expected a number")
        if state.get("step", 0) < 0:
            raise TrainingError(f"{path}: 'step' is {state['step']}, expected 0 or more")
        return state


def _expect(good: bool) -> None:
    if not good:
        raise ValueError("it says something else")
