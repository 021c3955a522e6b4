"""Training of the networks of nested grids, in the loop and behind it, and of the loop's frequency tables.

``python -m crayoncodec.training.prediction RUN --data PATH`` trains, goes on where it was, and writes
RUN/predictor.safetensors and RUN/refiner.safetensors, which are what models/predictor-V.safetensors and
models/refiner-V.safetensors of a version V are. A new predictor is a new version of the format's network:
crayoncodec.color.predictor names it by its SHA-256.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from crayoncodec.color import predictor, refiner
from crayoncodec.color.layers import Layer
from crayoncodec.color.predictor import COARSE, SHA256, SPREADS
from crayoncodec.files import atomic
from crayoncodec.format import entropy
from crayoncodec.networks.in_loop import IntegerPredictor, log_scale
from crayoncodec.networks.integers import Trained
from crayoncodec.painting import backends
from crayoncodec.painting.pytorch import torch_device
from crayoncodec.training import drawings
from crayoncodec.training.batches import crops, flipped
from crayoncodec.training.costs import REACH, Networks, bits, cheapest, code, to_u8
from crayoncodec.training.data import UNIT, Squares, open_dataset
from crayoncodec.training.learners import PARTS, Batch, Learner, Part, SideBySide
from crayoncodec.training.loop import Clock

_SIDE: Final = 320
_CROP: Final = 256
_LOSSY: Final = 0.3
_HALVED: Final = 0.3
_DRAWINGS: Final = 100
_SHOW_EVERY: Final = 20
_SAVE_EVERY: Final = 500
_COUNTED: Final = 200
"""Batches that the frequency tables are made of."""
_SEED: Final = 7
_PRIOR: Final = 200.0
"""How many symbols the Laplace distribution counts for in a table."""


def draw(
    squares: Squares | Tensor, drawn: Tensor, part: Part, batch: int, rng: np.random.Generator,
    device: torch.device,
) -> Batch:  # fmt: skip
    """A random batch: crops of photographs and of what is drawn, mirrored and transposed."""
    halved = rng.random() < _HALVED
    count = 4 * batch if halved else batch
    stacked = crops(squares, rng.integers(0, len(squares), count), _CROP, rng, device)
    replaced = np.flatnonzero(rng.random(count) < part.drawn)
    if replaced.size:
        which = rng.integers(0, len(drawn), replaced.size)
        stacked[torch.as_tensor(replaced, device=device)] = crops(drawn, which, _CROP, rng, device)
    stacked = flipped(stacked, rng)
    if halved:  # four to a picture, which so has finer colours
        stacked = together(F.avg_pool2d(stacked, 2))
    lightness = stacked[:, 3:] if rng.random() < _LOSSY else stacked[:, :1]
    signs = torch.as_tensor(rng.choice([-1.0, 1.0], (batch, 2, 1, 1)), dtype=torch.float32, device=device)
    octaves = rng.uniform(math.log2(part.steps[0]), math.log2(part.steps[1]), batch)
    step = torch.as_tensor(2**octaves, dtype=torch.float32, device=device)
    return Batch(to_u8(lightness), stacked[:, 1:3], signs, step)


def together(quarters: Tensor) -> Tensor:
    """Pictures [4B,C,h,w], four side by side: [B,C,2h,2w]."""
    rows = torch.cat([quarters[0::2], quarters[1::2]], -1)
    return torch.cat([rows[0::2], rows[1::2]], -2)


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
        part = PARTS[index % 2]
        pictures, _ = draw(squares, torch.empty(0), part, 8, rng, device).pictures()
        counts += code(networks, pictures, int(rng.choice(part.finest)), cheapest, counting=True)[0].counts
    return counts


def export(
    networks: Mapping[str, Trained], path: Path, others: Mapping[str, np.ndarray] | None = None
) -> str:
    """Write integer networks, by the names that their layers' have before them; the SHA-256 of the file."""
    from safetensors.numpy import save

    tensors = {
        f"{part}{name}.{field}": values
        for part, network in networks.items()
        for name, layer in network.layers().items()
        for field, values in layer._asdict().items()
    }
    data = save(tensors | dict(others or {}))
    with atomic.atomic_write(path) as stream:
        stream.write(data)
    return hashlib.sha256(data).hexdigest()


def train(
    learners: Sequence[Learner], run: Path, squares: Squares, steps: int, batch: int, device: torch.device,
    minutes: float = 0.0,
) -> None:  # fmt: skip
    """Train side by side, from where RUN/NAMES.pt left it.

    minutes: most time that it may take, 0 for no limit; the learning rate follows it where it runs out first.
    """
    state = run / ("-".join(learner.part.name for learner in learners) + ".pt")
    clock = Clock(minutes)
    first = 0
    if state.exists():
        saved = torch.load(state, map_location="cpu", weights_only=True)
        for learner in learners:
            for name, part in learner.parts.items():
                part.load_state_dict(saved[learner.part.name][name])
            for group in learner.optimizer.param_groups:
                group["lr"] = learner.rate
        clock.load_state_dict(saved["clock"])
        first = int(saved["step"])

    def save(step: int) -> None:
        content = {
            learner.part.name: {name: part.state_dict() for name, part in learner.parts.items()}
            for learner in learners
        }
        with atomic.atomic_write(state) as stream:
            torch.save(content | {"clock": clock.state_dict(), "step": step}, stream)

    given: Squares | Tensor = squares
    if device.type == "cuda":
        given = torch.from_numpy(np.array(squares)).to(device)
    drawn = _drawn().to(device)
    together = SideBySide(learners, device)
    done = first
    with tqdm(total=steps, initial=first, unit=" steps", mininterval=5) as bar:
        for step in range(first, steps):
            passed = max(step / steps, clock.passed())
            if passed >= 1:
                break
            # Every step has generators of its own, so that a resumed run draws what it would have drawn.
            rng = np.random.default_rng((_SEED, step))
            torch.manual_seed(int(rng.integers(2**31)))
            batches = []
            for learner in learners:
                learner.prepare(step, passed)
                batches.append(draw(given, drawn, learner.part, batch, rng, device))
            losses = together(int(rng.integers(len(learners[0].part.finest))), batches)
            done = step + 1
            bar.update()
            if done % _SHOW_EVERY == 0:
                bar.set_postfix_str(", ".join(f"{loss.item():.3f}" for loss in losses))
            if done % _SAVE_EVERY == 0:
                save(done)
    if done > first:
        save(done)


def _drawn() -> Tensor:
    """Squares that are no photographs, as of data.Squares."""
    rng = np.random.default_rng(_SEED)
    half = _DRAWINGS // 20
    made = [kind(half, _SIDE, rng) for _ in range(10) for kind in (drawings.ramps, drawings.shapes)]
    planes = torch.cat(made)
    return torch.cat([planes, planes[:, :1]], 1).mul(UNIT).round().to(torch.int16)


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", "sources", multiple=True, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--steps", default=20_000, show_default=True)
@click.option("--minutes", default=0.0, show_default=True, help="Most minutes of each training; 0: no limit.")
@click.option("--batch", default=6, show_default=True)
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option(
    "--start",
    type=click.Choice(sorted(SHA256)),
    help="Version whose weights a new run begins with; by default random ones.",
)
@click.option("--device", type=click.Choice(backends.DEVICES), default="auto", show_default=True)
def main(
    run: Path, sources: tuple[Path, ...], steps: int, minutes: float, batch: int, learning_rate: float,
    start: int | None, device: str,
) -> None:  # fmt: skip
    """Train the networks of nested grids in the folder RUN, from where they were left, and export them.

    Near the end each learns with weights and activations rounded as they will be. The network of fine levels
    and the one behind them follow the coarse one: that of --start, or the one that was trained before.
    """
    run.mkdir(parents=True, exist_ok=True)
    squares = open_dataset(sources, run / "train.lab", _SIDE).squares
    where = torch_device(device)
    given: dict[str, Mapping[str, Layer]] = {}
    if start:
        shipped = predictor.load(start)
        given = {
            "coarse": shipped.coarse.layers, "fine": shipped.fine.layers, "behind": refiner.load().layers
        }  # fmt: skip

    def learner(part: Part, followed: Networks | None) -> Learner:
        return Learner(part, followed, learning_rate, where, given.get(part.name))

    def integers(*layers: Mapping[str, Layer]) -> Networks:
        networks = [IntegerPredictor(each).to(where) for each in layers]
        return lambda spacing: networks[0 if spacing >= COARSE else -1]

    if given:
        ready = integers(given["coarse"], given["fine"])
        learners = [learner(part, ready if part.follows else None) for part in PARTS]
        train(learners, run, squares, steps, batch, where, minutes)
    else:
        learners = []
        for part in PARTS:
            before = [each.average.layers() for each in learners]
            learners.append(learner(part, integers(*before) if part.follows else None))
            train(learners[-1:], run, squares, steps, batch, where, minutes)
    coarse, fine, behind = (each.average for each in learners)
    counts = counted(integers(coarse.layers(), fine.layers()), squares, _COUNTED, where)
    in_loop = {"coarse.": coarse, "fine.": fine}
    click.echo(export(in_loop, run / "predictor.safetensors", {"frequencies": frequencies(counts)}))
    click.echo(export({"": behind}, run / "refiner.safetensors"))


if __name__ == "__main__":
    main()
