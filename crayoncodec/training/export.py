"""The weights of a run -> a checkpoint with its card."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from crayoncodec.networks.inputs import paint
from crayoncodec.painting import checkpoints
from crayoncodec.painting.checkpoints import Card
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.training.batches import planes_of
from crayoncodec.training.evaluate import evaluate
from crayoncodec.training.runs import Run

_SIDE: Final = 64
_MEASURED: Final = (6, 10, 20, 40)
"""Spacings that a card has figures for."""


def export(
    run: Run, weights: Path, *, version: str, data: str, license: str, measured_on: Collection[Path] = ()
) -> Card:
    """Write a float16 checkpoint and its card. Raises TrainingError, OSError.

    weights: its path, .safetensors, which may be left out. data: what it was trained on, in words; by default
    the names of the sources. measured_on: folders or packs whose pictures are decoded with it, for the card.
    """
    if weights.suffix != ".safetensors":
        weights = weights.with_name(weights.name + ".safetensors")
    network, step = run.network()
    network.half().float().eval().requires_grad_(False)  # as the file will have it
    evaluations = {line["step"]: line["ab_mse"] for line in run.metrics()}
    metrics: dict[str, Any] = {"validation, AB MSE": evaluations.get(step, {})}
    for source in measured_on:
        report, count = evaluate(TorchBackend(network, "cpu"), [source], _MEASURED, "mean")
        metrics[f"{source.name}, {count} pictures, decoded"] = report
    return checkpoints.save(
        network,
        weights,
        half=True,
        version=version,
        architecture=run.recipe.architecture,
        config=network.config,
        macs_per_pixel=round(macs_per_pixel(network)),
        grids="nested" if run.recipe.nests else "one",
        description=run.recipe.description,
        license=license,
        training={
            "data": data or ", ".join(Path(source).name for source in run.sources["data"]),
            "steps": step,
            "recipe": asdict(run.recipe)
            | {name: Path(getattr(run.recipe, name)).name for name in ("start", "teacher")},
        },
        metrics=metrics,
    )


@torch.no_grad()
def macs_per_pixel(network: nn.Module) -> float:
    """Multiply-accumulates of all convolutions, counted on a 64 x 64 picture."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        elif isinstance(module, nn.ConvTranspose2d):
            total += inputs[0].numel() * module.out_channels * module.kernel_size[0] * module.kernel_size[1]

    handles = [module.register_forward_hook(count) for module in network.modules()]
    plane, ab = torch.zeros(1, 1, _SIDE, _SIDE), torch.zeros(1, 2, _SIDE, _SIDE)
    paint(network, planes_of(plane, ab, 8, "mean", 1.0))
    for handle in handles:
        handle.remove()
    return total / _SIDE**2
