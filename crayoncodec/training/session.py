"""What ``cray train`` and ``cray eval`` do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import distributed as dist

from crayoncodec.color.geometry import Sampling
from crayoncodec.errors import TrainingError
from crayoncodec.painting import checkpoints
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.training import loop, recipes
from crayoncodec.training.data import held_out, open_dataset
from crayoncodec.training.evaluate import Report, evaluate
from crayoncodec.training.loop import Interrupted, Material
from crayoncodec.training.runs import Run

_HELD_OUT = 0.05
"""Share of the pictures that is for validation where there are none for it."""

Say = Callable[[str], None]


def new_run(
    folder: Path, recipe: str, overrides: Iterable[str], data: Iterable[Path], validation: Iterable[Path],
    without: Collection[str],
) -> Run:  # fmt: skip
    """A run that is not begun yet. Raises TrainingError."""
    sources = {
        "data": [str(path.resolve()) for path in data],
        "validation": [str(path.resolve()) for path in validation],
        "without": list(without),
    }
    loaded = recipes.load(recipe, overrides)
    with torch.device("meta"):
        loaded.build()  # what cannot be built is said before a folder is made
    return Run(folder, loaded, sources)


def train(run: Run, new: bool, device: str, say: Say) -> bool:
    """Train to the end, or until it is interrupted: False.

    Raises TrainingError, CheckpointError, DeviceError, OSError.
    """
    with loop.processes(device) as process:
        chief = process.rank == 0
        if chief and new:
            run.claim()
        with run.locked() if chief else nullcontext():
            if chief:
                say(recipes.shown(run.recipe))
                material = _material(run, say)
                if new:  # now that it is known that there is something to learn from
                    run.begin()
            if process.count > 1:
                dist.barrier()
            if not chief:  # what the chief has decoded
                material = _material(run)
            try:
                loop.train(run, material, process)
            except Interrupted:
                return False
    return True


def evaluated(
    model: str, sources: Collection[Path], spacings: Collection[int], sampling: Sampling,
    without: Collection[str], device: str, say: Say,
) -> tuple[Report, int]:  # fmt: skip
    """A checkpoint, or what would be exported of a run.

    Raises TrainingError, CheckpointError, DeviceError.
    """
    if Path(model).is_dir():
        run = Run.open(Path(model))
        network = run.network()[0].eval().requires_grad_(False)
    else:
        network, _ = checkpoints.load(model)
    return evaluate(TorchBackend(network, device), sources, spacings, sampling, without, say)


def _material(run: Run, say: Say = lambda line: None) -> Material:
    """The data of a run; decoded where that has not been done, or its files are others now."""
    recipe = run.recipe
    data, validation = ([Path(path) for path in run.sources[name]] for name in ("data", "validation"))
    without = run.sources["without"]
    for path in (*data, *validation):
        if not path.exists():
            raise TrainingError(f"{path}, which the run learns from, is not there any more")
    lossy = recipe.lossy > 0
    training = open_dataset(data, run.folder / "train.lab", recipe.side, without, recipe.seed, lossy)
    say(f"training: {training.describe()}")
    if not validation:
        indices, others = held_out(training.squares, _HELD_OUT, recipe.seed)
        say(f"validation: {len(others)} of them")
        return Material(training.squares, indices, training.squares, others)
    held = open_dataset(validation, run.folder / "validation.lab", recipe.side, without, recipe.seed, False)
    say(f"validation: {held.describe()}")
    indices, others = (np.arange(len(dataset.squares)) for dataset in (training, held))
    return Material(training.squares, indices, held.squares, others)
