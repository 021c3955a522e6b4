"""The training loop: one network, one recipe, one folder; stops and goes on as if it had not stopped.

Started by ``torchrun`` it trains on several processes (DistributedDataParallel); alone it is the same loop.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from crayoncodec.errors import CheckpointError
from crayoncodec.networks.inputs import Inputs, back_project, paint
from crayoncodec.painting import checkpoints
from crayoncodec.painting.pytorch import torch_device
from crayoncodec.training.batches import draw, nested_planes_of, planes_of
from crayoncodec.training.data import UNIT, Squares
from crayoncodec.training.recipes import Recipe
from crayoncodec.training.runs import Run
from crayoncodec.training.widening import widen

_EPSILON: Final = 0.01
_HUBER: Final = 128.0
"""Units of AB."""
_SAMPLES: Final = 4
"""Validation pictures that are shown at each evaluation."""


class Interrupted(Exception):
    """Training was asked to stop, and has saved its state."""


@dataclass(frozen=True)
class Material:
    """What a run learns from, and what it is evaluated on."""

    squares: Squares
    indices: np.ndarray
    validation: Squares
    validation_indices: np.ndarray


@dataclass(frozen=True)
class Process:
    """Which of the processes that train together is here."""

    rank: int
    count: int
    device: torch.device


@contextlib.contextmanager
def processes(device: str) -> Iterator[Process]:
    """What torchrun says in the environment; one process where it says nothing.

    device: auto, cpu or cuda. Raises DeviceError for cuda where there is none.
    """
    where = torch_device(device)
    cuda = where.type == "cuda"
    count = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda:
        where = torch.device("cuda", local)
    torch.backends.cudnn.benchmark = True  # batches have few different shapes
    if count == 1:
        yield Process(0, 1, where)
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Process(dist.get_rank(), count, where)
    finally:
        dist.destroy_process_group()


class Clock:
    """How much of a recipe's minutes is over; part of a state: a run that goes on has what is left."""

    def __init__(self, minutes: float) -> None:
        self._seconds, self._spent, self._start = 60 * minutes, 0.0, time.monotonic()

    def passed(self) -> float:
        """0 to 1 and more; always 0 where there is no limit."""
        return self._now() / self._seconds if self._seconds else 0.0

    def state_dict(self) -> dict[str, float]:
        """As of a part of a state."""
        return {"seconds": self._now()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from there."""
        self._spent, self._start = state["seconds"], time.monotonic()

    def _now(self) -> float:
        return self._spent + time.monotonic() - self._start


class Learner:
    """A network with what it learns by: optimiser, average, teacher."""

    def __init__(self, recipe: Recipe, process: Process) -> None:
        self.recipe, self.process = recipe, process
        torch.manual_seed(recipe.seed)
        network = recipe.build()
        if recipe.start:
            _start(network, recipe.start)
        self.network = network.to(process.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: nn.Module = copy.deepcopy(self.network).requires_grad_(False).eval()
        kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
        self.optimizer = kind(
            network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay,
            fused=process.device.type == "cuda",
        )  # fmt: skip
        self.teacher = checkpoints.load(recipe.teacher)[0].to(process.device) if recipe.teacher else None
        self.clock = Clock(recipe.minutes)
        self.parts = {"network": self.network, "average": self.average, "optimizer": self.optimizer}
        """What a state is made of."""
        if recipe.minutes:
            self.parts["clock"] = self.clock
        self.together = DistributedDataParallel(self.network) if process.count > 1 else self.network

    def step(self, step: int, rate: float, inputs: Inputs, truth: Tensor) -> float:
        """Learn from a batch at a learning rate; the loss."""
        recipe, device = self.recipe, self.process.device
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with _autocast(recipe, device):
            painted = paint(self.together, inputs)
        counted = _counted(recipe, painted, inputs)
        error = _error(recipe, counted, truth)
        if self.teacher is not None:
            with torch.no_grad(), _autocast(recipe, device):
                taught = _finished(recipe, self.teacher, inputs)
            error = torch.lerp(error, _error(recipe, counted, taught), recipe.teacher_weight)
        self.optimizer.zero_grad(set_to_none=True)
        error.backward()  # type: ignore[no-untyped-call]
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        self.optimizer.step()
        follow(self.average, self.network, min(recipe.averaging, (step + 1) / (step + 10)))
        return error.item()


def train(run: Run, material: Material, process: Process) -> nn.Module:
    """Train the network of ``run.recipe``, from the last state of the run; returns its average.

    Raises Interrupted when it was told to stop (Ctrl-C, SIGTERM), CheckpointError for a teacher or a start
    that is not there, OSError if a state cannot be saved; the last saved state stays.
    """
    recipe, device, chief = run.recipe, process.device, process.rank == 0
    learner = Learner(recipe, process)
    first, best = run.resume(learner.parts)
    squares: Squares | Tensor = material.squares
    if device.type == "cuda":
        squares = torch.from_numpy(np.ascontiguousarray(material.squares)).to(device)
    steps, evaluate_every = _schedule(recipe, material)
    losses: list[float] = []
    (passed,) = _greatest([learner.clock.passed()], process)
    with (
        _stop_signals() as asked,
        run.tensorboard(chief) as board,
        tqdm(total=steps, initial=first, unit=" steps", mininterval=5, disable=not chief) as bar,
    ):
        for step in range(first, steps if passed < 1 else first):
            # Every step has a generator of its own, so that a resumed run draws what it would have drawn.
            rng = np.random.default_rng((recipe.seed, step, process.rank))
            pixels = recipe.batch // process.count
            inputs, truth = draw(squares, material.indices, recipe, pixels, rng, device)
            rate = learning_rate(recipe, step, steps, passed)
            losses.append(learner.step(step, rate, inputs, truth))
            bar.update()
            bar.set_postfix(loss=f"{losses[-1]:.3f}", images_per_s=_rate(bar, len(truth) * process.count))
            done = step + 1
            stop, passed = _greatest([float(asked()), learner.clock.passed()], process)
            last = done == steps or passed >= 1
            if chief and (done % evaluate_every == 0 or last):
                errors = evaluate(learner.average, recipe, material, device)
                line = {"step": done, "time": time.time(), "loss": float(np.mean(losses)), "ab_mse": errors}
                run.log(line, board)
                run.show(_samples(learner.average, recipe, material, device), done)
                losses.clear()
                if score(errors) < best:
                    best = score(errors)
                    run.save_best(learner.average, done)
            if chief and (done % recipe.save_every == 0 or last or stop):
                run.save(learner.parts, done, best)
            if last:
                break
            if stop:
                raise Interrupted
    return learner.average


def learning_rate(recipe: Recipe, step: int, steps: int, passed: float = 0.0) -> float:
    """The rate for a step of ``steps``: linear warm-up, then half a cosine to zero, or constant.

    passed: how much of the time is over, 0 to 1; the cosine follows it where it is ahead of the steps.
    """
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = max(passed, (step - recipe.warmup) / max(1, steps - recipe.warmup))
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


@torch.no_grad()
def evaluate(
    network: nn.Module, recipe: Recipe, material: Material, device: torch.device
) -> dict[str, dict[str, float]]:
    """AB MSE by spacing over the validation pictures, exact lightness, step 1: network and guided base."""
    indices = material.validation_indices
    at_once = max(1, recipe.batch // recipe.side**2)
    result = {}
    for spacing in recipe.evaluated:
        sums = np.zeros(2)
        for start in range(0, len(indices), at_once):
            some = indices[start : start + at_once]
            inputs, truth = _whole(material, some, recipe, spacing, device)
            with _autocast(recipe, device):
                predicted = _finished(recipe, network, inputs)
            for index, ab in enumerate((predicted, inputs.planes["base"])):
                sums[index] += (ab - truth).square().mean(dim=(1, 2, 3)).sum().item()
        of_network, of_guided = (sums / len(indices)).tolist()
        result[str(spacing)] = {"network": of_network, "guided": of_guided}
    return result


def score(errors: dict[str, dict[str, float]]) -> float:
    """One figure for ``keep = "best"``: the geometric mean of AB MSE over the evaluated spacings."""
    return math.exp(float(np.mean([math.log(error["network"]) for error in errors.values()])))


def _start(network: nn.Module, name: str) -> None:
    given, card = checkpoints.load(name)
    try:
        widen(given, network)
    except ValueError as error:
        raise CheckpointError(f"checkpoint {card.name} is not a network of this recipe ({error})") from error


def _schedule(recipe: Recipe, material: Material) -> tuple[int, int]:
    """Steps in all, and from one evaluation to the next."""
    if not recipe.epochs:
        return recipe.steps, max(1, round(recipe.evaluate_every))
    side = min(recipe.side, recipe.crop)
    per_epoch = max(1, round(len(material.indices) / max(1, recipe.batch // side**2)))
    return round(recipe.epochs * per_epoch), max(1, round(recipe.evaluate_every * per_epoch))


def _counted(recipe: Recipe, painted: Tensor, inputs: Inputs) -> list[tuple[float, Tensor]]:
    """What errors are counted of, and how much: a network's AB, and what the decoder makes of it, last."""
    counted = [(1 - recipe.projected, painted)] if recipe.projected < 1 else []
    if recipe.projected > 0:
        counted.append((recipe.projected, back_project(painted, inputs)))
    return counted


def _finished(recipe: Recipe, network: nn.Module, inputs: Inputs) -> Tensor:
    """What the decoder makes of a network, or the network alone if that is all that the recipe counts."""
    return _counted(recipe, paint(network, inputs), inputs)[-1][1]


def _error(recipe: Recipe, counted: list[tuple[float, Tensor]], truth: Tensor) -> Tensor:
    return torch.stack([share * _loss(recipe, ab, truth) for share, ab in counted]).sum()


def _loss(recipe: Recipe, predicted: Tensor, truth: Tensor) -> Tensor:
    if recipe.loss == "mae":
        return (predicted - truth).abs().mean()
    if recipe.loss == "huber":
        return nn.functional.huber_loss(predicted, truth, delta=_HUBER)
    squared = (predicted - truth).square().mean(dim=(1, 2, 3))
    if recipe.loss == "mse":
        return squared.mean()
    # Difficult pictures do not drown the others.
    squared = squared + _EPSILON
    return squared.sqrt().mean() if recipe.loss == "rmse" else squared.log().mean()


def _autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")


def follow(average: nn.Module, network: nn.Module, decay: float | Tensor) -> None:
    """Move an average of weights on."""
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
        for kept, seen in zip(average.buffers(), network.buffers(), strict=True):
            kept.copy_(seen)  # statistics of batches are averages already


def _whole(
    material: Material, indices: np.ndarray, recipe: Recipe, spacing: int, device: torch.device
) -> tuple[Inputs, Tensor]:
    planes = torch.from_numpy(material.validation[indices].astype(np.float32) / UNIT).to(device)
    if recipe.nests:
        planes = planes[..., : recipe.crop, : recipe.crop]
        steps = torch.full((len(planes),), float(spacing), device=device)
        return nested_planes_of(planes[:, :1], planes[:, 1:3], recipe.spacings[0], steps), planes[:, 1:3]
    return planes_of(planes[:, :1], planes[:, 1:3], spacing, recipe.sampling, 1.0), planes[:, 1:3]


@torch.no_grad()
def _samples(
    network: nn.Module, recipe: Recipe, material: Material, device: torch.device
) -> list[tuple[np.ndarray, ...]]:
    """For some validation pictures: lightness, true AB, guided AB, the network's AB."""
    spacing = sorted(recipe.evaluated)[len(recipe.evaluated) // 2]
    inputs, truth = _whole(material, material.validation_indices[:_SAMPLES], recipe, spacing, device)
    with _autocast(recipe, device):
        predicted = _finished(recipe, network, inputs)
    shown = inputs.planes["lightness"][:, 0], truth, inputs.planes["base"], predicted
    return list(zip(*(plane.cpu().numpy() for plane in shown), strict=True))


def _rate(bar: Any, pictures: int) -> str:
    rate = bar.format_dict["rate"]
    return f"{rate * pictures:.3g}" if rate else "?"


def _greatest(values: list[float], process: Process) -> list[float]:
    """The greatest of the processes' values each: they have the same rate, and stop at the same step."""
    if process.count == 1:
        return values
    shared = torch.tensor(values, device=process.device)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return shared.tolist()


@contextlib.contextmanager
def _stop_signals() -> Iterator[Any]:
    """A function that says whether Ctrl-C or SIGTERM came; a second one ends the program as usual."""
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        for which, handler in before.items():
            signal.signal(which, handler)

    before = {which: signal.signal(which, note) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
