"""The training loop: one network, one loss, resumable; weights averaged over time are what is exported."""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from crayoncodec.training.data import Batch, draw_batch, make_batch, prefetch

EVALUATED_SPACINGS: Final = (2, 6, 10, 20, 40, 80)
_EPSILON: Final = 0.01
_EVALUATION_CROP: Final = 320


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained."""

    steps: int = 60_000
    pixels: int = 16 * 128 * 128
    """Pixels per batch."""
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 500
    """Steps until the learning rate is reached; it then falls along half a cosine to zero."""
    averaging: float = 0.999
    """Decay of the exponential moving average of the weights."""
    clip: float = 1.0
    seed: int = 0
    save_every: int = 1_000
    evaluate_every: int = 4_000


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate for a step: linear warm-up, then half a cosine."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean over pictures of the root mean squared error of AB, so that no picture drowns the others."""
    squared = (predicted.float() - truth).square().mean(dim=(1, 2, 3))
    return (squared + _EPSILON).sqrt().mean()


def train(
    network: nn.Module,
    recipe: Recipe,
    cache: NDArray[np.int16],
    validation: NDArray[np.int16],
    run: Path,
    device: torch.device,
) -> nn.Module:
    """Train ``network`` in the folder ``run``, from its last state if it has one; returns the average.

    Writes state.pt (to resume) and metrics.jsonl (one line per evaluation).
    """
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    rng = np.random.default_rng(recipe.seed)
    parts = {"network": network, "average": average, "optimizer": optimizer}
    first = _resume(run, parts, rng)
    batches = prefetch(lambda: draw_batch(cache, recipe.pixels, rng))
    losses: list[float] = []
    bar = tqdm(range(first, recipe.steps), initial=first, total=recipe.steps, mininterval=10)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        *arguments, truth = (tensor.to(device, non_blocking=True) for tensor in next(batches))
        with torch.autocast(device.type, torch.bfloat16):
            predicted = network(*arguments)
        error = loss(predicted, truth)
        optimizer.zero_grad(set_to_none=True)
        error.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        decay = min(recipe.averaging, (step + 1) / (step + 10))
        for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
        losses.append(error.item())
        done = step + 1
        if done % recipe.evaluate_every == 0 or done == recipe.steps:
            measured = evaluate(average, validation, device)
            line = {"step": done, "time": time.time(), "loss": float(np.mean(losses)), **measured}
            with (run / "metrics.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            losses.clear()
        if done % recipe.save_every == 0 or done == recipe.steps:
            _save(run, parts, rng, done, recipe)
    return average


@torch.no_grad()
def evaluate(
    network: nn.Module, validation: NDArray[np.int16], device: torch.device
) -> dict[str, dict[str, float]]:
    """AB MSE over all validation pictures, cell means and exact lightness, network and guided base."""
    result = {}
    for spacing in EVALUATED_SPACINGS:
        sums = np.zeros(2)
        for start in range(0, len(validation), 4):
            batch: Batch = make_batch(list(validation[start : start + 4]), spacing)
            *arguments, truth = (tensor.to(device) for tensor in batch)
            with torch.autocast(device.type, torch.bfloat16):
                predicted = network(*arguments)
            for index, ab in enumerate((predicted.float(), arguments[3])):
                sums[index] += (ab - truth).square().mean(dim=(1, 2, 3)).sum().item()
        network_mse, guided_mse = sums / len(validation)
        result[str(spacing)] = {"network": network_mse, "guided": guided_mse}
    return {"ab_mse": result}  # type: ignore[dict-item]


def _save(run: Path, parts: dict[str, Any], rng: np.random.Generator, step: int, recipe: Recipe) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"step": step, "rng": rng.bit_generator.state, "recipe": asdict(recipe)}
    temporary = run / "state.pt.tmp"
    torch.save(state, temporary)
    temporary.replace(run / "state.pt")


def _resume(run: Path, parts: dict[str, Any], rng: np.random.Generator) -> int:
    if not (run / "state.pt").exists():
        return 0
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    rng.bit_generator.state = state["rng"]
    return int(state["step"])
