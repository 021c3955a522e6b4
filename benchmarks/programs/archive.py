"""``cray batch`` on archives made for it: rates, how busy the cores were, and what is left after SIGKILL."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measuring import dataset, results
from benchmarks.measuring.dataset import Dataset
from benchmarks.programs import Say
from benchmarks.tables.cells import markdown

SMALL_SIDE, LARGE_MEGAPIXELS, TINY_SIDE = 320, 12.0, 16
_SIZES = {"small": f"{SMALL_SIDE} x {SMALL_SIDE}", "large": f"{LARGE_MEGAPIXELS:g} MP"}
PARTS = ("small", "large", "killed")
ENGINES = ("local", "ray")
_KILLED_AT = (0.2, 0.45, 0.7)
"""Shares of the files that are done when the process is killed."""
_QUALITY = 92
_LOOK = 0.1
"""Seconds between two looks at the processes."""
_PRICE = 0.05
"""US dollars an hour for a core: clouds ask 0.08 to 0.10 for two virtual processors on demand (2026)."""
_USED = 48
"""Pictures of the folder that archives are made of, at most."""
_CRAY = [sys.executable, "-m", "crayoncodec", "batch"]
_LIBRARIES = ("crayoncodec", "pillow", "torch", "ray", "pyarrow")


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    parts: tuple[str, ...]
    engines: tuple[str, ...]
    small: int
    large: int
    killed: int
    decode: tuple[str, ...]
    """Options of ``cray batch decode``."""


def measure(folder: Path, plan: Plan, say: Say) -> dict[str, Any]:
    """All parts, in a temporary folder."""
    names = Dataset.scan(folder).pictures[:_USED]
    pictures = [dataset.read(folder, name, 0) for name in names]
    found: dict[str, Any] = {
        "environment": results.environment() | _versions(),
        "pictures": {"folder": folder.resolve().name, "used": len(names)},
        "decode": list(plan.decode),
        "rates": [],
    }
    with tempfile.TemporaryDirectory() as text:
        work = Path(text)
        for part, count in (("small", plan.small), ("large", plan.large)):
            if part in plan.parts:
                say(f"{part}: making {count} pictures")
                _draw(work / part, count, _crops(pictures) if part == "small" else _tiled(pictures))
                found["rates"] += [
                    row for engine in plan.engines for row in _rates(work, part, engine, plan.decode, say)
                ]
        if "killed" in plan.parts:
            say(f"killed: making {plan.killed} pictures")
            _draw(work / "tiny", plan.killed, _crops(pictures, TINY_SIDE))
            found["killed"] = _killed(work, plan.killed, say)
    return found


def table(found: dict[str, Any]) -> str:
    """Rates of ``measure`` as Markdown, and what a million such pictures cost on machines like this one."""
    head = ["", "engine", "MP/s", "files/s", "cores busy", "hours for a million", "cost, $"]
    cores, rows = found["environment"]["cores"], []
    for row in found["rates"]:
        hours = 1e6 / row["files_per_s"] / 3600
        rows.append(
            [
                f"{row['command']}, {_SIZES[row['part']]}",
                row["engine"],
                f"{row['megapixels_per_s']:.2f}",
                f"{row['files_per_s']:.3g}",
                f"{100 * row['busy']:.0f} %",
                f"{hours:.0f}",
                f"{hours * cores * _PRICE:.2f}",
            ]
        )
    return markdown(head, rows)


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _crops(pictures: list[np.ndarray], side: int = SMALL_SIDE) -> Iterator[np.ndarray]:
    """Squares from anywhere in the pictures, in turn."""
    rng = np.random.default_rng(0)
    while True:
        for picture in pictures:
            top, left = (int(rng.integers(max(1, length - side + 1))) for length in picture.shape[:2])
            yield picture[top : top + side, left : left + side]


def _tiled(pictures: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Large pictures of them, each in another order."""
    rng = np.random.default_rng(0)
    while True:
        yield dataset.tiled([pictures[index] for index in rng.permutation(len(pictures))], LARGE_MEGAPIXELS)


def _draw(folder: Path, count: int, pictures: Iterator[np.ndarray]) -> None:
    """JPEG files, a hundred to a folder."""
    for number, picture in zip(range(count), pictures, strict=False):
        path = folder / f"{number // 100:04}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(picture)).save(path, quality=_QUALITY)


def _rates(work: Path, part: str, engine: str, decode: Iterable[str], say: Say) -> Iterator[dict[str, Any]]:
    """Of encoding an archive and decoding it, start-up included."""
    archive, back = work / f"{part}-{engine}", work / f"{part}-{engine}-back"
    commands = {
        "encode": ["encode", str(work / part), str(archive)],
        "decode": ["decode", str(archive), str(back), *decode],
    }
    for what, arguments in commands.items():
        row = {"part": part, "engine": engine, "command": what} | _timed([*arguments, "--engine", engine])
        say(json.dumps(row))
        yield row


def _timed(arguments: list[str]) -> dict[str, Any]:
    """Totals of a command, and which share of the time of all cores went where while it ran.

    busy: to the command and all processes below it. others: to the rest of the machine, which should have
    been quiet. Both only where the system says it.
    """
    before, start = _machine(), time.monotonic()
    command = [*_CRAY, *arguments, "--json"]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        with _watched(process.pid) as ticks:
            output = process.stdout.read()
        seconds = time.monotonic() - start
        process.wait()
        errors.seek(0)
        if process.returncode != 0:
            line = " ".join(errors.read()[-500:].split())
            raise RuntimeError(f"cray batch {' '.join(arguments)} ended with {process.returncode}: {line}")
    totals = json.loads(output)
    row = {
        "files": totals["done"],
        "megapixels": totals["pixels"] / 1e6,
        "seconds": seconds,
        "files_per_s": totals["done"] / seconds,
        "megapixels_per_s": totals["pixels"] / 1e6 / seconds,
        "ratio": totals["ratio"],
    }
    after = _machine()
    if before is not None and after is not None:
        used, everything = after[0] - before[0], max(1, after[1] - before[1])
        own = sum(ticks.values())
        row |= {"busy": own / everything, "others": max(0, used - own) / everything}
    return row


def _machine() -> tuple[int, int] | None:
    """Ticks of all cores so far: used, and all; None where the system does not say."""
    try:
        line = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0]
    except OSError:
        return None
    user, nice, system, idle, waiting, interrupts, soft, *_ = map(int, line.split()[1:])
    used = user + nice + system + interrupts + soft
    return used, used + idle + waiting


@contextmanager
def _watched(root: int) -> Iterator[dict[int, int]]:
    """Process -> ticks that it has used, of ``root`` and all below it, as last seen.

    Ray's workers are waited for by nobody whose times one could ask for afterwards.
    """
    ticks: dict[int, int] = {}
    family = {root}
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            for path in Path("/proc").glob("[0-9]*/stat"):
                with suppress(OSError):
                    # The name before it may have anything in it.
                    fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                    number = int(path.parent.name)
                    if number in family or int(fields[1]) in family:
                        family.add(number)
                        ticks[number] = int(fields[11]) + int(fields[12])

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield ticks
    finally:
        over.set()
        thread.join()


def _killed(work: Path, count: int, say: Say) -> dict[str, Any]:
    """An archive whose encoding is killed three times and gone on with, beside one that is left alone."""
    whole, cut = work / "tiny-whole", work / "tiny-cut"
    _timed(["encode", str(work / "tiny"), str(whole)])
    left = []
    for share in _KILLED_AT:
        with subprocess.Popen(
            [*_CRAY, "encode", str(work / "tiny"), str(cut), "--quiet"], stdout=subprocess.DEVNULL
        ) as process:
            while (done := _records(cut)) < share * count and process.poll() is None:
                time.sleep(0.02)
            process.kill()
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the batch had ended with {process.returncode} before it was killed")
        left.append(done)
        say(f"killed after {done} of {count} files")
    totals = _timed(["encode", str(work / "tiny"), str(cut)])
    first, second = _digest(whole), _digest(cut)
    return {
        "files": count,
        "killed_after": left,
        "done_at_last": totals["files"],
        "outputs": len(second),
        "same": first == second,
        "sha256": hashlib.sha256(json.dumps(sorted(second.items())).encode()).hexdigest(),
    }


def _records(destination: Path) -> int:
    """How many files the manifest has."""
    try:
        return (destination / ".cray-batch" / "manifest.jsonl").read_bytes().count(b'"output_sha256"')
    except OSError:
        return 0


def _digest(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file but the batch's own."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".cray-batch" not in path.parts
    }
