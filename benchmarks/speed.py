"""Seconds and memory: start-up and commands as whole processes, and the codec inside one, per megapixel."""

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
FEW_RUNS = 3
SIZES = {"1 MP": (1000, 1000), "12 MP": (3000, 4000)}
_LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
process.returncode = status
sys.exit(os.waitstatus_to_exitcode(status))
"""
_CRAY = [sys.executable, "-m", "crayoncodec"]


def measure(pictures: list[Path]) -> dict[str, Any]:
    """Medians over several runs, each of a fresh process where it says so."""
    results: dict[str, Any] = {"cores": os.cpu_count(), "seconds": {}, "peak_mb": {}}
    with tempfile.TemporaryDirectory() as folder:
        _start_up(results, Path(folder), pictures)
        for name, shape in SIZES.items():
            _commands(results, Path(folder), name, _tiled(pictures, shape))
    _inside(results, _tiled(pictures, SIZES["1 MP"]))
    return results


def _start_up(results: dict[str, Any], folder: Path, pictures: list[Path]) -> None:
    file = folder / "small.cray"
    crayoncodec.write(file, Image.open(pictures[0]))
    bare = [sys.executable, "-c", "pass"]
    for name, command in (
        ("import crayoncodec", [sys.executable, "-c", "import crayoncodec"]),
        ("cray info", [*_CRAY, "info", str(file)]),
    ):
        pairs = [(_run(command)[0], _run(bare)[0]) for _ in range(RUNS)]
        results["seconds"][f"{name}, whole process"] = median(ours for ours, _ in pairs)
        results["seconds"][f"{name}, over bare Python"] = median(ours - theirs for ours, theirs in pairs)


def _commands(results: dict[str, Any], folder: Path, size: str, picture: np.ndarray) -> None:
    source, file, out = folder / "picture.png", folder / "picture.cray", folder / "out.png"
    Image.fromarray(picture).save(source, compress_level=1)
    commands = {"cray encode": ["encode", source, "-o", file]}
    for kind in ("neural", "guided", "gray"):
        commands[f"cray decode --color {kind}"] = ["decode", file, "-o", out, "--color", kind]
    for name, arguments in commands.items():
        command = [*_CRAY, *map(str, arguments), "--overwrite", "--quiet"]
        runs = [_run(command) for _ in range(FEW_RUNS)]
        results["seconds"][f"{name}, {size}, whole process"] = median(seconds for seconds, _ in runs)
        results["peak_mb"][f"{name}, {size}, whole process"] = median(peak for _, peak in runs)


def _inside(results: dict[str, Any], picture: np.ndarray) -> None:
    data = crayoncodec.encode(picture)
    plane, ab = color.rgb_to_lab(picture)
    functions: dict[str, Callable[[], Any]] = {"encode": lambda: crayoncodec.encode(picture)}
    for kind in ("neural", "guided", "gray"):
        decoder = crayoncodec.Decoder(color=kind)
        functions[f"decode, {kind}"] = lambda decoder=decoder: decoder.decode(data)
    for n in (2, 6, 20, 100):
        grid = sample_grid(ab, n)
        functions[f"guided upsampling alone, n = {n}"] = lambda grid=grid: guided_upsample(grid, plane)
    for name, function in functions.items():
        function()
        results["seconds"][f"{name}, 1 MP, in a running process"] = median(
            _time(function) for _ in range(RUNS)
        )


def _tiled(pictures: list[Path], shape: tuple[int, int]) -> np.ndarray:
    """The pictures, side by side and repeated, cut to a shape."""
    rows, height = [], 0
    side = 500
    tiles = [np.asarray(Image.open(path).convert("RGB"))[:side, :side] for path in pictures]
    while height < shape[0]:
        start = len(rows)
        row = [tiles[(start * 3 + column) % len(tiles)] for column in range(-(-shape[1] // side))]
        rows.append(np.hstack(row))
        height += side
    return np.vstack(rows)[: shape[0], : shape[1]]


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak megabytes of a process."""
    # A process counts the memory of the one that it was forked from, so a small one starts it.
    launched = subprocess.run([sys.executable, "-c", _LAUNCHER, *command], check=True, capture_output=True)
    seconds, peak = launched.stdout.split()[-2:]
    return float(seconds), float(peak) / 1024


def _time(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def table(results: dict[str, Any]) -> str:
    """Markdown: one row a figure."""
    lines = [f"| {results['cores']} cores | s | peak MB |", "|---|---|---|"]
    for name, seconds in results["seconds"].items():
        peak = results["peak_mb"].get(name)
        lines.append(f"| {name} | {seconds:.3f} | {'' if peak is None else round(peak)} |")
    return "\n".join(lines)
