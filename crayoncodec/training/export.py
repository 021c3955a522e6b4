"""The weights of a run -> a checkpoint with its card and its graph."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import nn

from crayoncodec.networks.inputs import paint
from crayoncodec.painting import checkpoints
from crayoncodec.painting.checkpoints import Card
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.training.batches import planes_of
from crayoncodec.training.evaluate import evaluate
from crayoncodec.training.graph import graph
from crayoncodec.training.runs import Run

_SIDE: Final = 64
_MEASURED: Final = (6, 10, 20, 40)
"""Spacings that a card has figures for."""


def export(
    run: Run, weights: Path, *, version: str, data: str, license: str, measured_on: Collection[Path] = ()
) -> Card:
    """Write the float16 checkpoint ``weights`` (.safetensors), its card and its graph if it is small.

    Raises TrainingError, OSError.

    data: what it was trained on, in words; by default the names of the sources. measured_on: folders or packs
    whose pictures are decoded with it, for the card.
    """
    weights = named(weights)
    network, step = run.network()
    network.half().float().eval().requires_grad_(False)  # as the file will have it
    made = graph(network)
    evaluations = {line["step"]: line["ab_mse"] for line in run.metrics()}
    metrics: dict[str, Any] = {"validation, AB MSE": evaluations.get(step, {})}
    for source in measured_on:
        report, count = evaluate(TorchBackend(network, "cpu"), [source], _MEASURED, "mean")
        metrics[f"{source.name}, {count} pictures, decoded"] = report
    checkpoints.save(
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
    return _with_graph(weights, made)


def copy(model: str, weights: Path) -> Card:
    """Write a checkpoint that there is already to ``weights`` (.safetensors), its graph made anew.

    Raises CheckpointError, TrainingError, OSError.
    """
    weights = named(weights)
    network, card = checkpoints.load(model)
    made = graph(network)
    _, data = checkpoints.verify(model)
    quantized = None if card.graph("int8") is None else checkpoints.graph(model, "int8")[1]
    card = replace(
        card, name=weights.stem, onnx_sha256=None, reach=cast(int, network.reach),
        multiple=cast(int, network.multiple),
    )  # fmt: skip
    checkpoints.write(weights, card, data)
    if quantized is not None:
        checkpoints.write_graph(weights, "int8", quantized)
    return _with_graph(weights, made)


def _with_graph(weights: Path, data: bytes | None) -> Card:
    return (
        checkpoints.read_card(weights) if data is None else checkpoints.write_graph(weights, "float32", data)
    )


def named(weights: Path) -> Path:
    """The path of the weights, whose extension may have been left out."""
    return weights if weights.suffix == ".safetensors" else weights.with_name(weights.name + ".safetensors")


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
