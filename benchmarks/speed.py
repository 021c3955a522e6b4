"""Seconds: start-up of the package and the command as whole processes, and the codec per megapixel."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import crayoncodec
from crayoncodec import color
from crayoncodec.grid import sample_grid
from crayoncodec.guided import guided_upsample

RUNS = 9
MEGAPIXEL = (1000, 1000)


def measure(pictures: list[Path]) -> dict[str, Any]:
    """Medians of several runs; process times are paired with those of a bare interpreter."""
    tiles = [np.asarray(Image.open(path).convert("RGB"))[:500, :500] for path in pictures[:4]]
    picture = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    assert picture.shape[:2] == MEGAPIXEL
    data = crayoncodec.encode(picture)
    results: dict[str, Any] = {"cores": os.cpu_count(), "runs": RUNS, "seconds": {}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.cray"
        path.write_bytes(data)
        bare = [sys.executable, "-c", "pass"]
        commands = {
            "import crayoncodec, over bare Python": [sys.executable, "-c", "import crayoncodec"],
            "cray info, over bare Python": [sys.executable, "-m", "crayoncodec", "info", str(path)],
        }
        for name, command in commands.items():
            results["seconds"][name] = median(_run(command) - _run(bare) for _ in range(RUNS))
        results["seconds"]["cray info, whole process"] = median(
            _run(commands["cray info, over bare Python"]) for _ in range(RUNS)
        )
        for kind in ("neural", "guided", "gray"):
            arguments = ["decode", str(path), "-o", str(path) + ".png", "--overwrite", "--color", kind]
            command = [sys.executable, "-m", "crayoncodec", *arguments, "--quiet"]
            results["seconds"][f"cray decode --color {kind}, 1 MP, whole process"] = median(
                _run(command) for _ in range(3)
            )
    plane, ab = color.rgb_to_lab(picture)
    coarse, fine = sample_grid(ab, 20), sample_grid(ab, 2)
    decoders = {kind: crayoncodec.Decoder(color=kind) for kind in ("neural", "guided", "gray")}
    inside: dict[str, Callable[[], Any]] = {
        "guided upsampling alone, n = 20, 1 MP": lambda: guided_upsample(coarse, plane),
        "guided upsampling alone, n = 2, 1 MP": lambda: guided_upsample(fine, plane),
        "encode, 1 MP": lambda: crayoncodec.encode(picture),
        **{
            f"decode {kind}, 1 MP, network loaded": lambda decoder=decoder: decoder.decode(data)
            for kind, decoder in decoders.items()
        },
    }
    for name, function in inside.items():
        function()
        results["seconds"][name] = median(_time(function) for _ in range(RUNS))
    return results


def _run(command: list[str]) -> float:
    return _time(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def _time(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def table(results: dict[str, Any]) -> str:
    """Markdown: one row a figure."""
    rows = [f"| {name} | {seconds:.3f} |" for name, seconds in results["seconds"].items()]
    return "\n".join([f"| {results['cores']} cores, median of {results['runs']} | s |", "|---|---|", *rows])
