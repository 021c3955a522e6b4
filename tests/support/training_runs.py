"""Trainings that take seconds, and what they learn from."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import torch
from click.testing import CliRunner

from crayoncodec.commands.cray import main
from crayoncodec.training import loop, recipes
from crayoncodec.training.runs import Run

SIDE = 64
CPU = torch.device("cpu")
SMALL = (
    "network={widths=[8,8]}", "side=64", "crop=64", "batch=8192", "warmup=2", "save_every=3",
    "evaluate_every=6", "evaluated=[6,20]", "steps=6",
)  # fmt: skip


def packed(path, pictures):
    """A tar pack of these names and contents -> its path."""
    with tarfile.open(path, "w") as tar:
        for name, content in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def trained(folder, dataset, *overrides):
    """Train, or go on, in this process and on these squares -> the network."""
    run = Run(
        folder,
        recipes.load("compact", [*SMALL, *overrides]),
        {"data": ["x"], "validation": [], "without": []},
    )
    if not folder.exists():
        run.begin()
    indices = np.arange(len(dataset.squares))
    material = loop.Material(dataset.squares, indices, dataset.squares, indices)
    return loop.train(run, material, loop.Process(0, 1, CPU))


def train(sources, out, *overrides):
    """Run ``cray train`` -> what it said and ended with."""
    arguments = ["train", "compact", "--device", "cpu", *SMALL, *overrides, "--out", str(out)]
    for source in sources:
        arguments += ["--data", str(source)]
    return CliRunner().invoke(main, arguments)
