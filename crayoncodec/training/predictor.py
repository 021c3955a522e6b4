"""Training of the network in the loop of nested grids, and of its frequency tables.

``python -m crayoncodec.training.predictor RUN --data PATH`` trains, goes on where it was, and writes
RUN/predictor.safetensors, which is what models/predictor-1.safetensors was. A new one is a new version of the
format's network: crayoncodec.predictor names it by its SHA-256.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from crayoncodec import codec, nested
from crayoncodec.backends import torch_device
from crayoncodec.codestreams import entropy
from crayoncodec.codestreams.nested import COARSEST, PRICE
from crayoncodec.networks.nested import IntegerPredictor, Predictor, log_scale
from crayoncodec.predictor import SPREADS
from crayoncodec.training.data import UNIT, Squares, open_dataset
from crayoncodec.training.loop import follow

REACH: Final = 127
"""Largest symbol that has a frequency of its own."""
_SIDE: Final = 320
_CROP: Final = 256
_DEAD_ZONE: Final = 0.6
_ROUGHEST_STEP, _FINEST_STEP = 110.0, 4.0
_PRICE: Final = 0.1
_JITTER: Final = 1 / 8
"""Octaves by which the steps of levels differ, standard deviation."""
_TYPICAL_STEP: Final = 30
_DETAILS: Final = 500
_LOSSY: Final = 0.3
_FINEST: Final = (4, 4, 4, 4, 2)
"""Spacings of the finest level, each as likely."""
_ROUNDED: Final = 0.3
_WARMUP: Final = 200
_SAVE_EVERY: Final = 500
_COUNTED: Final = 200
"""Batches that the frequency tables are made of."""
_SEED: Final = 7
_PRIOR: Final = 200.0
"""How many symbols the Laplace distribution counts for in a table."""


class Pictures(NamedTuple):
    """What is coded: one batch."""

    plane: Tensor
    """Lightness, int64[B,1,H,W], 0 to 255."""
    ab: Tensor
    """Colours in turned axes, CIELAB units, f32[B,2,H,W]."""
    step: Tensor
    """Quantiser step of a cell of one pixel, CIELAB units, f32[B]."""


@dataclass
class Cost:
    """What coding a batch came to, of each picture, f32[B]."""

    bits: Tensor
    squares: Tensor
    """Squared errors of the details, in squared steps."""
    pull: Tensor
    """Smoothed errors of predictions in bits, where symbols are not 0: only their gradient counts."""
    counts: NDArray[np.int64]
    """How often |symbol| was coded under a spread, [SPREADS,REACH+2]; the last are larger ones."""


Choose = Callable[[Tensor, Tensor], Tensor]
"""Residuals in steps and the logarithms of their scales -> symbols."""


def rounded(residual: Tensor, log_b: Tensor) -> Tensor:
    """The nearest symbol, or 0 within the dead zone."""
    size = residual.abs()
    return torch.sign(residual) * torch.where(
        size < _DEAD_ZONE, torch.zeros_like(size), torch.floor(size + 0.5)
    )


def cheapest(residual: Tensor, log_b: Tensor) -> Tensor:
    """The nearest symbol, the next one nearer to zero, or 0, whichever costs least, as encoders choose."""
    full = torch.sign(residual) * torch.floor(residual.abs() + 0.5)
    choices = torch.stack([torch.zeros_like(residual), full - torch.sign(full), full])
    costs = (residual - choices).square() + PRICE * bits(choices, log_b)
    return choices.gather(0, costs.argmin(0, keepdim=True))[0]


def bits(symbols: Tensor, log_b: Tensor) -> Tensor:
    """Bits of symbols that are Laplacian residuals of scale exp(log_b), quantised with the dead zone."""
    rate = torch.exp(-log_b)
    size = symbols.abs()
    low = torch.where(size <= 1, torch.full_like(size, _DEAD_ZONE), size - 0.5)
    width = size + 0.5 - low
    zero = -torch.log(-torch.expm1(-_DEAD_ZONE * rate) + 1e-12)
    other = low * rate + math.log(2) - torch.log(-torch.expm1(-width * rate) + 1e-12)
    return torch.where(size == 0, zero, other) / math.log(2)


def code(
    network: Predictor | IntegerPredictor,
    pictures: Pictures,
    finest: int,
    choose: Choose = rounded,
    jitter: float = 0.0,
) -> tuple[Cost, Tensor]:
    """Code a batch down to spacing ``finest``: what it costs, and the cells, in 1/nested.COLOR.

    Sides of the pictures are multiples of COARSEST. jitter: octaves by which the steps of levels differ.
    """
    plane, ab, step = pictures
    means = {1: ab}
    for k in range(COARSEST.bit_length() - 1):
        means[2 << k] = F.avg_pool2d(means[1 << k], 2)
    octaves = 8 * torch.log2(step)

    def steps(spacing: int) -> tuple[Tensor, Tensor]:
        eighths = octaves + 8 * jitter * torch.randn_like(octaves) if jitter else octaves
        own = (2 ** (eighths / 8) * nested.COLOR / spacing).floor().clamp_min(1).long().view(-1, 1, 1, 1)
        return own, torch.floor(8 * torch.log2(own.double())).long() - 64

    own = steps(COARSEST)[0]
    first = (means[COARSEST] * nested.COLOR / own).round().long() * own
    walk = nested.stages(network, first, nested.pyramid(plane, COARSEST), COARSEST, finest, steps)
    none = torch.zeros(len(ab), device=ab.device)
    cost = Cost(none, none, none, np.zeros((SPREADS, REACH + 2), np.int64))

    def answer(stage: nested.Stage) -> Tensor:
        scale = stage.step.float() / nested.COLOR
        truth = nested.details(means[stage.spacing])[:, stage.plane :: 2] / 2
        predicted = stage.guided.float() / nested.COLOR + stage.shifts * scale / nested.SHIFTS
        log_b = log_scale(stage.spreads)
        residual = (truth - predicted) / scale
        symbols = choose(residual, log_b).detach()
        # Where there is a symbol it says what is missing: only elsewhere is the prediction what is shown.
        shown = torch.where(symbols == 0, predicted, predicted.detach() + symbols * scale)
        smooth = (
            torch.sqrt(residual.square() + 0.01) * torch.exp(-log_b.detach()) / math.log(2) * (symbols != 0)
        )
        for name, values in (
            ("bits", bits(symbols, log_b)), ("squares", ((shown - truth) / scale).square()), ("pull", smooth)
        ):  # fmt: skip
            setattr(cost, name, getattr(cost, name) + (values * stage.mask).sum((1, 2, 3)))
        if not torch.is_grad_enabled():
            spreads = stage.spreads.round().long()[stage.mask.expand_as(symbols)]
            sizes = symbols.abs().long().clamp_max(REACH + 1)[stage.mask.expand_as(symbols)]
            cost.counts += np.bincount(
                (spreads * (REACH + 2) + sizes).numpy(force=True), minlength=cost.counts.size
            ).reshape(cost.counts.shape)
        sent: Tensor = (symbols * stage.mask).long()
        return sent

    cells: Tensor = nested.answered(walk, answer)
    return cost, cells


def draw(squares: Squares | Tensor, batch: int, rng: np.random.Generator, device: torch.device) -> Pictures:
    """A random batch: crops, mirrored and transposed, their colours in principal axes of random signs."""
    limit = squares.shape[-1]
    crops = []
    for index in rng.integers(0, len(squares), batch):
        top, left = rng.integers(0, limit - _CROP + 1, 2)
        crop = squares[index, :, top : top + _CROP, left : left + _CROP]
        crops.append(crop if isinstance(crop, Tensor) else torch.from_numpy(crop.copy()))
    stacked = torch.stack(crops).to(device).float() / UNIT
    stacked = stacked.flip(-1) if rng.random() < 0.5 else stacked
    stacked = stacked.transpose(-1, -2) if rng.random() < 0.5 else stacked
    lightness = stacked[:, 3:] if rng.random() < _LOSSY else stacked[:, :1]
    signs = torch.as_tensor(rng.choice([-1.0, 1.0], (batch, 2, 1, 1)), dtype=torch.float32, device=device)
    octaves = rng.uniform(math.log2(_FINEST_STEP), math.log2(_ROUGHEST_STEP), batch)
    return Pictures(
        to_u8(lightness),
        turned(stacked[:, 1:3])[0] * signs,
        torch.as_tensor(2**octaves, dtype=torch.float32, device=device),
    )


def to_u8(lightness: Tensor) -> Tensor:
    """L* -> the plane that is stored, int64."""
    return (lightness * 2.55).round().long()


def turned(ab: Tensor) -> tuple[Tensor, Tensor]:
    """Colours f32[B,2,H,W] in the principal axes of each picture, and those axes, f32[B,2,2]."""
    centred = ab.flatten(2) - ab.flatten(2).mean(-1, keepdim=True)
    covariance = centred @ centred.transpose(1, 2)
    angle = 0.5 * torch.atan2(2 * covariance[:, 0, 1], covariance[:, 0, 0] - covariance[:, 1, 1])
    cosine, sine = angle.cos(), angle.sin()
    axes = torch.stack([torch.stack([cosine, sine], -1), torch.stack([-sine, cosine], -1)], -2)
    return torch.einsum("bij,bjhw->bihw", axes, ab), axes


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
def counted(network: Predictor, squares: Squares, batches: int, device: torch.device) -> NDArray[np.int64]:
    """What symbols an encoder codes under which spread."""
    network.rounds = True
    counts = np.zeros((SPREADS, REACH + 2), np.int64)
    for index in range(batches):
        rng = np.random.default_rng((1, index))
        finest = int(rng.choice(_FINEST))
        counts += code(network, draw(squares, 8, rng, device), finest, cheapest)[0].counts
    return counts


def export(network: Predictor, counts: NDArray[np.int64], path: Path) -> str:
    """Write the integer network and its tables; the SHA-256 of the file."""
    from safetensors.numpy import save

    tensors = {
        f"{name}.{part}": values
        for name, layer in network.layers().items()
        for part, values in layer._asdict().items()
    }
    data = save(tensors | {"frequencies": frequencies(counts)})
    with codec.atomic_write(path) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()


class Learner:
    """The network, its average, and what it learns by."""

    def __init__(self, learning_rate: float, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device = device
        self.network = Predictor().to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), learning_rate, weight_decay=1e-4)
        self.parts: dict[str, Any] = {
            "network": self.network,
            "average": self.average,
            "optimizer": self.optimizer,
        }
        """What a state is made of."""

    def step(self, pictures: Pictures, finest: int, step: int) -> float:
        """Learn from a batch; the loss."""
        cost, _ = code(self.network, pictures, finest, jitter=_JITTER)
        loss = cost.squares + _PRICE * (cost.bits + cost.pull - cost.pull.detach())
        # Errors in steps count more where steps are large: so all qualities learn alike.
        mean = (loss * pictures.step / _TYPICAL_STEP).mean() / _DETAILS
        self.optimizer.zero_grad()
        mean.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        follow(self.average, self.network, min(0.999, (step + 1) / (step + 10)))
        return mean.item()


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", multiple=True, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--steps", default=20_000, show_default=True)
@click.option("--batch", default=6, show_default=True)
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option("--device", type=click.Choice(codec.DEVICES), default="auto", show_default=True)
def main(
    run: Path, data: tuple[Path, ...], steps: int, batch: int, learning_rate: float, device: str
) -> None:
    """Train the network in the loop in the folder RUN, from where it was left, and export it.

    Near the end it learns with weights and activations rounded as they will be.
    """
    run.mkdir(parents=True, exist_ok=True)
    squares = open_dataset(data, run / "train.lab", _SIDE).squares
    learner = Learner(learning_rate, torch_device(device))
    state, first = run / "state.pt", 0
    if state.exists():
        saved = torch.load(state, map_location="cpu", weights_only=True)
        first = int(saved.pop("step"))
        for name, part in learner.parts.items():
            part.load_state_dict(saved[name])
    with tqdm(total=steps, initial=first, unit=" steps", mininterval=5) as bar:
        for step in range(first, steps):
            rng = np.random.default_rng((_SEED, step))
            for group in learner.optimizer.param_groups:
                cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
                group["lr"] = learning_rate * min(1.0, (step + 1) / _WARMUP) * cosine
            learner.network.rounds = step >= (1 - _ROUNDED) * steps
            pictures = draw(squares, batch, rng, learner.device)
            loss = learner.step(pictures, int(rng.choice(_FINEST)), step)
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            if (step + 1) % _SAVE_EVERY == 0 or step + 1 == steps:
                with codec.atomic_write(state) as stream:
                    parts = {name: part.state_dict() for name, part in learner.parts.items()}
                    torch.save(parts | {"step": step + 1}, stream)
    found = counted(learner.average, squares, _COUNTED, learner.device)
    click.echo(export(learner.average, found, run / "predictor.safetensors"))


if __name__ == "__main__":
    main()
