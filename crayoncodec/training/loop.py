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

from crayoncodec.training.data import draw_batch, make_batch, prefetch

EVALUATED_SPACINGS: Final = (2, 6, 10, 20, 40, 80)
_EPSILON: Final = 0.01


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
    parts = {"network": network, "average": average, "optimizer": optimizer}
    first = _resume(run, parts)
    # Every step has a generator of its own, so a resumed run draws what an uninterrupted one would have.
    batches = prefetch(
        draw_batch(cache, recipe.pixels, np.random.default_rng((recipe.seed, step)))
        for step in range(first, recipe.steps)
    )
    losses: list[float] = []
    bar = tqdm(range(first, recipe.steps), initial=first, total=recipe.steps, mininterval=10)
    for step, batch in zip(bar, batches, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        *arguments, truth = (tensor.to(device, non_blocking=True) for tensor in batch)
        with torch.autocast(device.type, torch.bfloat16):
            predicted = network(*arguments)
        error = loss(predicted, truth)
        optimizer.zero_grad(set_to_none=True)
        error.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        _follow(average, network, min(recipe.averaging, (step + 1) / (step + 10)))
        losses.append(error.item())
        done = step + 1
        if done % recipe.evaluate_every == 0 or done == recipe.steps:
            line = {"step": done, "time": time.time(), "loss": float(np.mean(losses))}
            with (run / "metrics.jsonl").open("a") as log:
                log.write(json.dumps(line | {"ab_mse": evaluate(average, validation, device)}) + "\n")
            losses.clear()
        if done % recipe.save_every == 0 or done == recipe.steps:
            _save(run, parts, done, recipe)
    return average


@torch.no_grad()
def evaluate(
    network: nn.Module, validation: NDArray[np.int16], device: torch.device
) -> dict[str, dict[str, float]]:
    """AB MSE by spacing over all validation pictures (means, exact lightness): network and guided base."""
    result = {}
    for spacing in EVALUATED_SPACINGS:
        sums = np.zeros(2)
        for start in range(0, len(validation), 4):
            batch = make_batch(list(validation[start : start + 4]), spacing)
            *arguments, truth = (tensor.to(device) for tensor in batch)
            with torch.autocast(device.type, torch.bfloat16):
                predicted = network(*arguments)
            for index, ab in enumerate((predicted.float(), arguments[3])):
                sums[index] += (ab - truth).square().mean(dim=(1, 2, 3)).sum().item()
        network_mse, guided_mse = (sums / len(validation)).tolist()
        result[str(spacing)] = {"network": network_mse, "guided": guided_mse}
    return result


def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


def _save(run: Path, parts: dict[str, Any], step: int, recipe: Recipe) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    network = parts["network"]
    state |= {"architecture": network.architecture, "config": network.config}
    state |= {"step": step, "recipe": asdict(recipe)}
    temporary = run / "state.pt.tmp"
    torch.save(state, temporary)
    temporary.replace(run / "state.pt")


def _resume(run: Path, parts: dict[str, Any]) -> int:
    if not (run / "state.pt").exists():
        return 0
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
