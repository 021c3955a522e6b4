"""``python -m crayoncodec.training.export``: the averaged weights of a run -> a checkpoint with its card."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from crayoncodec import checkpoints
from crayoncodec.networks import Compact, build

_SIDE = 64


@click.command(epilog="Example: python -m crayoncodec.training.export runs/a models/compact.safetensors")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--version", default="1", show_default=True)
@click.option("--description", default="", help="What it is, in a line.")
@click.option("--data", default="", help="What it was trained on, in words.")
@click.option(
    "--kodak", type=click.Path(exists=True, path_type=Path), help="Results of: benchmarks run --suite grids."
)
def main(run: Path, weights: Path, version: str, description: str, data: str, kodak: Path | None) -> None:
    """Write the float16 checkpoint WEIGHTS and its card from the folder RUN."""
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    network = build(state["architecture"], state["config"])
    network.load_state_dict(state["average"])
    evaluations = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    metrics: dict[str, Any] = {"photos-val, AB MSE": evaluations[-1]["ab_mse"]}
    if kodak is not None:
        metrics["Kodak, AB MSE"] = {
            f"{record['codec']}, {record['setting']}": statistics.mean(record["values"]["ab_mse"])
            for record in json.loads(kodak.read_text())["records"]
            if record["suite"] == "grids" and "ab_mse" in record["values"]
        }
    card = checkpoints.save(
        network,
        weights,
        half=True,
        version=version,
        architecture=state["architecture"],
        config=state["config"],
        macs_per_pixel=round(macs_per_pixel(network)),
        description=description,
        license="Apache-2.0",
        training={"data": data, "steps": state["step"], "recipe": state["recipe"]},
        metrics=metrics,
    )
    click.echo(f"{weights}: {card.parameters:,} parameters, {card.macs_per_pixel:,} MAC/pixel")


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
    network(plane, plane, ab, ab, torch.ones(1)) if isinstance(network, Compact) else network(plane, ab)
    for handle in handles:
        handle.remove()
    return total / _SIDE**2


if __name__ == "__main__":
    main()
