"""Training of the network in the loop of nested grids, and of its frequency tables.

``python -m crayoncodec.training.prediction RUN --data PATH`` trains, goes on where it was, and writes
RUN/predictor.safetensors, which is what models/predictor-V.safetensors of a version V is. A new one is a
new version of the format's network: crayoncodec.color.predictor names it by its SHA-256.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from crayoncodec.color.predictor import COARSE, SHA256, SPREADS, Layer, load
from crayoncodec.files import atomic
from crayoncodec.format import entropy
from crayoncodec.networks.in_loop import IntegerPredictor, Predictor, log_scale
from crayoncodec.painting import backends
from crayoncodec.painting.pytorch import torch_device
from crayoncodec.training.batches import crops, flipped
from crayoncodec.training.costs import REACH, Networks, Pictures, bits, cheapest, code, to_u8, turned
from crayoncodec.training.data import Squares, open_dataset
from crayoncodec.training.loop import follow

_SIDE: Final = 320
_CROP: Final = 256
_PRICE: Final = 0.1
_JITTER: Final = 1 / 8
"""Octaves by which the steps of levels differ, standard deviation."""
_TYPICAL_STEP: Final = 30
_DETAILS: Final = 500
_LOSSY: Final = 0.3
_ROUNDED: Final = 0.3
_WARMUP: Final = 200
_SAVE_EVERY: Final = 500
_COUNTED: Final = 200
"""Batches that the frequency tables are made of."""
_SEED: Final = 7
_PRIOR: Final = 200.0
"""How many symbols the Laplace distribution counts for in a table."""


class Part(NamedTuple):
    """One of the networks in the loop, and what it learns from."""

    name: str
    network: dict[str, int]
    """Keywords of its constructor."""
    finest: tuple[int, ...]
    """Spacings of the finest level, each as likely."""
    steps: tuple[float, float]
    """Quantiser steps for a cell of one pixel, log-uniform between these, in CIELAB units."""


PARTS: Final = (
    Part("coarse", {"width": 48, "depth": 3, "later": 2, "between": 32}, (4, 4, 4, 4, 2), (4.0, 110.0)),
    Part("fine", {"width": 16, "depth": 2, "later": 1, "between": 16}, (2, 2, 1), (1.0, 30.0)),
)


def draw(
    squares: Squares | Tensor, batch: int, steps: tuple[float, float], rng: np.random.Generator,
    device: torch.device,
) -> Pictures:  # fmt: skip
    """A random batch: crops, mirrored and transposed, their colours in principal axes of random signs."""
    stacked = flipped(crops(squares, rng.integers(0, len(squares), batch), _CROP, rng, device), rng)
    lightness = stacked[:, 3:] if rng.random() < _LOSSY else stacked[:, :1]
    signs = torch.as_tensor(rng.choice([-1.0, 1.0], (batch, 2, 1, 1)), dtype=torch.float32, device=device)
    octaves = rng.uniform(math.log2(steps[0]), math.log2(steps[1]), batch)
    return Pictures(
        to_u8(lightness),
        turned(stacked[:, 1:3])[0] * signs,
        torch.as_tensor(2**octaves, dtype=torch.float32, device=device),
    )


def frequencies(counts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Tables of entropy.Tables for what was counted: 0, 1 and 2 as often as they came, then a geometric tail.

    A Laplace distribution of the spread's scale counts for some symbols more, so that none is impossible.
    """
    sizes = torch.arange(REACH + 1, dtype=torch.float64)
    tables = []
    for spread, row in enumerate(counts.astype(np.float64)):
        prior = 2 ** -bits(sizes, log_scale(torch.tensor(float(spread), dtype=torch.float64))).numpy()
        prior[1:] *= 2
        mixed = row[:-1] + _PRIOR * prior
        over = row[-1] + _PRIOR * max(0.0, 1 - prior.sum())
        tail = mixed[2:]
        # Of a geometric distribution over 0, 1, ... the ratio is mean / (1 + mean).
        mean = (tail * np.arange(len(tail))).sum() / tail.sum()
        powers = (mean / (1 + mean)) ** np.arange(len(tail))
        share = np.concatenate([mixed[:2], tail.sum() * powers / powers.sum(), [over]]) / (mixed.sum() + over)
        share[1:-1] /= 2
        whole = np.maximum(1, np.floor(share * entropy.TOTAL)).astype(np.int64)
        whole[0] += entropy.TOTAL - whole[0] - whole[-1] - 2 * whole[1:-1].sum()
        tables.append(whole)
    return np.stack(tables).astype(np.uint32)


@torch.no_grad()
def counted(
    networks: Networks, squares: Squares, batches: int, device: torch.device
) -> NDArray[np.int64]:  # fmt: skip
    """What symbols an encoder codes under which spread."""
    counts = np.zeros((SPREADS, REACH + 2), np.int64)
    for index in range(batches):
        rng = np.random.default_rng((1, index))
        part = PARTS[index % len(PARTS)]
        pictures = draw(squares, 8, part.steps, rng, device)
        counts += code(networks, pictures, int(rng.choice(part.finest)), cheapest)[0].counts
    return counts


def export(coarse: Predictor, fine: Predictor, counts: NDArray[np.int64], path: Path) -> str:
    """Write the integer networks and their tables; the SHA-256 of the file."""
    from safetensors.numpy import save

    tensors = {
        f"{part}.{name}.{field}": values
        for part, network in (("coarse", coarse), ("fine", fine))
        for name, layer in network.layers().items()
        for field, values in layer._asdict().items()
    }
    data = save(tensors | {"frequencies": frequencies(counts)})
    with atomic.atomic_write(path) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()


class Learner:
    """A network, its average, and what it learns by."""

    def __init__(
        self, part: Part, learning_rate: float, device: torch.device, start: Mapping[str, Layer] | None = None
    ) -> None:
        torch.manual_seed(0)
        self.device = device
        self.network = Predictor(**part.network)
        if start:
            self.network.take(start)
        self.network.to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), learning_rate, weight_decay=1e-4)
        self._parts: dict[str, Any] = {
            "network": self.network,
            "average": self.average,
            "optimizer": self.optimizer,
        }

    def save(self, path: Path, step: int) -> None:
        """Write the state to go on from."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        with atomic.atomic_write(path) as stream:
            torch.save(state | {"step": step}, stream)

    def resume(self, path: Path) -> int:
        """Load a state, if there is one; steps done."""
        if not path.exists():
            return 0
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(saved[name])
        return int(saved["step"])

    def step(self, networks: Networks, pictures: Pictures, finest: int, step: int) -> float:
        """Learn from a batch; the loss."""
        cost, _ = code(networks, pictures, finest, jitter=_JITTER)
        loss = cost.squares + _PRICE * (cost.bits + cost.pull - cost.pull.detach())
        # Errors in steps count more where steps are large: so all qualities learn alike.
        mean = (loss * pictures.step / _TYPICAL_STEP).mean() / _DETAILS
        self.optimizer.zero_grad()
        mean.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        follow(self.average, self.network, min(0.999, (step + 1) / (step + 10)))
        return mean.item()


def train(
    part: Part, coarse: IntegerPredictor | None, run: Path, squares: Squares, steps: int, batch: int,
    learning_rate: float, device: torch.device, start: Mapping[str, Layer] | None = None,
) -> Predictor:  # fmt: skip
    """Train a part, from where RUN/NAME.pt left it; its average.

    coarse: what the fine part follows. start: what a new run begins with, instead of random weights.
    """
    learner = Learner(part, learning_rate, device, start)
    state = run / f"{part.name}.pt"
    first = learner.resume(state)

    def networks(spacing: int) -> Predictor | IntegerPredictor:
        return learner.network if coarse is None or spacing < COARSE else coarse

    with tqdm(total=steps, initial=first, desc=part.name, unit=" steps", mininterval=5) as bar:
        for step in range(first, steps):
            # Every step has generators of its own, so that a resumed run draws what it would have drawn.
            rng = np.random.default_rng((_SEED, step))
            torch.manual_seed(int(rng.integers(2**31)))
            for group in learner.optimizer.param_groups:
                cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
                group["lr"] = learning_rate * min(1.0, (step + 1) / _WARMUP) * cosine
            learner.network.rounds = step >= (1 - _ROUNDED) * steps
            pictures = draw(squares, batch, part.steps, rng, device)
            loss = learner.step(networks, pictures, int(rng.choice(part.finest)), step)
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            if (step + 1) % _SAVE_EVERY == 0 or step + 1 == steps:
                learner.save(state, step + 1)
    return learner.average


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", multiple=True, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--steps", default=20_000, show_default=True, help="Of each part.")
@click.option("--batch", default=6, show_default=True)
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option(
    "--start",
    type=click.Choice(sorted(SHA256)),
    help="Version whose weights a new run begins with; by default random ones.",
)
@click.option("--device", type=click.Choice(backends.DEVICES), default="auto", show_default=True)
def main(
    run: Path, data: tuple[Path, ...], steps: int, batch: int, learning_rate: float, start: int | None,
    device: str,
) -> None:  # fmt: skip
    """Train the networks in the loop in the folder RUN, from where they were left, and export them.

    Near the end each learns with weights and activations rounded as they will be.
    """
    run.mkdir(parents=True, exist_ok=True)
    squares = open_dataset(data, run / "train.lab", _SIDE).squares
    where = torch_device(device)
    trained: list[Predictor] = []
    integers: list[IntegerPredictor] = []
    for part in PARTS:
        before = integers[0] if integers else None
        given = getattr(load(start), part.name).layers if start else None
        trained.append(train(part, before, run, squares, steps, batch, learning_rate, where, given))
        integers.append(IntegerPredictor(trained[-1].layers()).to(where))
    coarse, fine = integers
    counts = counted(lambda n: coarse if n >= COARSE else fine, squares, _COUNTED, where)
    click.echo(export(trained[0], trained[1], counts, run / "predictor.safetensors"))


if __name__ == "__main__":
    main()
