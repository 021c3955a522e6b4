"""What helps a network, and how large it should be: short trainings, each measured on the same pictures.

Suite ``study``: one thing changed at a time, each training as long as the baseline's (how many steps that are
is timed before). Suite ``sizes``: the compact network narrower and wider, each for the same number of steps.
Suite ``nested-sizes``: the same of the network behind nested grids, measured as the suite ``colors`` does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.codecs import CODECS
from benchmarks.codecs.adapter import Codec, label
from benchmarks.codecs.ours import GUIDED, NESTED, Cray
from benchmarks.codecs.rivals import ANCHORS
from benchmarks.measuring import results
from benchmarks.measuring.dataset import Dataset, read
from benchmarks.measuring.results import Results, Row
from benchmarks.programs import Say
from benchmarks.suites import curves
from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.painting.recolorize import Backend, painter, whole
from crayoncodec.training import batches, recipes, session
from crayoncodec.training.export import export, macs_per_pixel
from crayoncodec.training.loop import Learner, Process, learning_rate
from crayoncodec.training.recipes import Recipe
from crayoncodec.training.runs import Run

SPACINGS = (6, 10, 20, 40)
BORDER = 16
"""Errors are of whole pictures, and without this many pixels of each side: Kodak's have coloured lines."""
BASELINE = "baseline"
STUDY: dict[str, tuple[str, ...]] = {
    BASELINE: (),
    "another seed": ("seed=1",),
    "errors before back projection": ("projected=0.0",),
    "half of the loss before it": ("projected=0.5",),
    "loss: mean squared error": ("loss=mse", "clip=100.0"),
    "loss: mean absolute error": ("loss=mae",),
    "loss: logarithm of the mean squared error": ("loss=log",),
    "hue turned by up to 30 degrees": ("hue=30.0",),
    "never enlarged": ("zoom=1.0",),
    "photographs only": ("graphics=0.0",),
    "exact lightness only": ("lossy=0.0",),
    "three levels, wider": ("network={widths=[36,56,80]}",),
    "five levels, narrower": ("network={widths=[30,44,60,80,96]}",),
    "at a quarter of the resolution": ("network={widths=[64,96,128],shuffle=4}",),
    "paper's topology, sparse samples": ("architecture=crayon", "network={width=8}"),
    "paper's topology, with a mask": ("architecture=crayon", "network={width=8,mask=true}"),
    "paper's topology, guided base": ("architecture=crayon", "network={width=8,residual=true}"),
}
"""What is changed -> overrides of the recipe ``compact``."""
SIZES: dict[str, tuple[str, ...]] = {
    ", ".join(map(str, widths)): (f"network={{widths={widths}}}",)
    for widths in ([6, 10, 14, 18], [14, 20, 28, 36], [22, 34, 46, 58], [32, 48, 64, 80], [40, 60, 80, 100])
}
NESTED_SIZES: dict[str, tuple[str, ...]] = {
    f"nested {', '.join(map(str, widths))}": (f"network={{widths={widths}}}",)
    for widths in ([6, 10, 14, 18], [14, 20, 28, 36], [22, 34, 46, 58], [32, 48, 64, 80])
}
SUITES = {"study": STUDY, "sizes": SIZES, "nested-sizes": NESTED_SIZES}
_COMMON = ("warmup=100", f"evaluated={list(SPACINGS)}")
_NESTED_COMMON = (*_COMMON, "batch=131072")
_NESTED_QUALITIES = range(0, 71, 10)
"""Colour qualities that AB MSE of 3 to 10 lies between."""
_TIMED = 5
_DATA = ("train.lab", "train.json", "validation.lab", "validation.json")


@dataclass(frozen=True)
class Material:
    """What all of them learn from, and the folder that their runs are kept in."""

    data: Collection[Path]
    validation: Collection[Path]
    runs: Path


def run(pictures: Dataset, material: Material, out: Path, suite: str, steps: int, say: Say) -> Results:
    """Train and measure what ``out`` does not have yet of a suite. steps: of the baseline, or of each size.

    Raises TrainingError, OSError, OtherResults.
    """
    found = results.begun(out, pictures)
    nested = suite == "nested-sizes"
    for name in (*(ANCHORS if nested else ()), GUIDED, *SUITES[suite]):
        if name in found.codecs(suite):
            continue
        training = None
        if name in SUITES[suite]:
            base, common = ("nested", _NESTED_COMMON) if nested else ("compact", _COMMON)
            changed = SUITES[suite][name]
            recipe = recipes.load(base, [*common, *changed])
            count = round(steps / _cost(recipe)) if suite == "study" and name != BASELINE else steps
            say(f"{suite}, {name}: {count} steps")
            folder = material.runs / f"{suite}-{len(found.codecs(suite))}"
            training, facts = _trained(base, [*common, *changed], count, material, folder, say)
            found.versions[name] = {"changed": " ".join(changed), **facts}
        measured = _measured_nested if nested else _measured
        found.add(measured(suite, name, pictures, training))
        results.save(found, out)
    return found


def _trained(
    recipe: str, overrides: Collection[str], steps: int, material: Material, folder: Path, say: Say
) -> tuple[Run, dict[str, str]]:
    """A finished training by a recipe with overrides, and what is to be known of it."""
    said = [*overrides, "evaluate_every=1e6", f"steps={steps}"]
    begun = (folder / "run.json").exists()
    training = (
        Run.open(folder) if begun
        else session.new_run(folder, recipe, said, material.data, material.validation, ())
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for other in material.runs.iterdir():  # pictures are decoded once for all
        for name in _DATA:
            if (other / name).exists() and not (folder / name).exists():
                os.link(other / name, folder / name)
    if not session.train(training, not begun, "cpu", say):
        raise KeyboardInterrupt
    network, step = training.network()
    return training, {
        "steps": str(step),
        "parameters": str(sum(parameter.numel() for parameter in network.parameters())),
        "MAC per pixel": str(round(macs_per_pixel(network))),
    }  # fmt: skip


def _cost(recipe: Recipe) -> float:
    """Time of a step, the baseline's is 1: the least of a few, taken in turns."""
    learners = [
        (one, Learner(one, Process(0, 1, torch.device("cpu"))))
        for one in (recipes.load("compact", _COMMON), recipe)
    ]
    squares = np.random.default_rng(0).integers(0, 100, (16, 4, recipe.side, recipe.side)).astype(np.int16)
    times: list[list[float]] = [[], []]
    for step in range(_TIMED):
        for (one, learner), spent in zip(learners, times, strict=True):
            start = time.perf_counter()
            rng = np.random.default_rng(step)
            drawn = batches.draw(squares, range(16), one, one.batch, rng, torch.device("cpu"))
            learner.step(step, learning_rate(one, step, _TIMED), *drawn)
            spent.append(time.perf_counter() - start)
    baseline, other = (sum(sorted(spent[1:])[:3]) for spent in times)
    return other / baseline


def _measured(suite: str, name: str, pictures: Dataset, training: Run | None) -> Iterable[Row]:
    backend: Backend | None = None
    if training is not None:
        backend = TorchBackend(training.network()[0].eval().requires_grad_(False), "cpu")
    for picture in pictures.pictures:
        lightness, ab = cielab.rgb_to_lab(read(pictures.folder, picture, pictures.crop))
        plane = cielab.lightness_to_u8(lightness)
        for n in SPACINGS:
            squared = np.square(painter(plane, sample_grid(ab, n), backend)(whole(plane)) - ab)
            inner = squared[:, BORDER:-BORDER, BORDER:-BORDER]
            values = {"ab_mse": float(squared.mean()), "ab_mse_inner": float(inner.mean())}
            yield Row(suite, name, f"n={n}", picture, values)


def _measured_nested(suite: str, name: str, pictures: Dataset, training: Run | None) -> Iterable[Row]:
    """Colour bytes and errors of pictures without their borders, as the suite ``colors`` has them."""
    codec: Codec
    if name in ANCHORS:
        codec = CODECS[name]
    else:
        weights = GUIDED
        if training is not None:
            weights = str(training.folder / "network.safetensors")
            export(training, Path(weights), version="0", data="", license="")
        ours = CODECS[NESTED]
        assert isinstance(ours, Cray)
        settings = tuple(one for one in ours.colors if one["color_quality"] in _NESTED_QUALITIES)
        codec = replace(ours, decoder=weights, colors=settings)
    for picture in pictures.pictures:
        rgb = read(pictures.folder, picture, pictures.crop + BORDER)
        for options in codec.colors:
            yield Row(suite, name, label(options), picture, curves.color_of(codec, options, rgb))
