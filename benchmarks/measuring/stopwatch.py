"""A fresh process that times a codec from the inside: bytes or array in memory to array or bytes in memory.

``python -m benchmarks.measuring.stopwatch CODEC OPTIONS WHAT INPUT OUTPUT BUDGET`` prints one line of JSON.
Imports are the codec's own, so that what the process costs is what the codec costs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

_MOST_REPEATS = 5
_TOO_LONG_TO_REPEAT = 10.0


class Failed(Exception):
    """A fresh process that ended with an error; the message is its last line."""


def run(
    codec: str, options: dict[str, Any], what: str, source: Path, out: Path, budget: float
) -> dict[str, Any]:
    """Start the process and read its line: seconds of each operation of ``what``.

    what: encode, decode or both. source: .npy u8[H,W,3], or the file to decode. out: gets encoded bytes.
    budget: seconds to spend on repeating what is short.
    Adds ``startup_s``, from the start of the process to the end of its first operation, reading ``source``
    left out. Raises Failed.
    """
    arguments = [codec, json.dumps(options), what, str(source), str(out), str(budget)]
    start = time.monotonic()
    line = line_of("benchmarks.measuring.stopwatch", arguments)
    line["startup_s"] = line.pop("first_end") - start - line.pop("reading_s")
    return line


def line_of(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What a module prints that is run as a program, one line of JSON. Raises Failed."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines()
        raise Failed(lines[-1] if lines else f"the process ended with {process.returncode}")
    line: dict[str, Any] = json.loads(process.stdout)
    return line


def main(codec: str, options: str, what: str, source: str, out: str, budget: str) -> None:
    """The process."""
    from benchmarks.codecs import CODECS

    adapter = CODECS[codec]
    setting = json.loads(options)
    operations: dict[str, Callable[[Any], Any]] = {
        "encode": lambda rgb: adapter.encode(rgb, setting),
        "decode": adapter.decode,
    }
    begin = time.monotonic()
    value = Path(source).read_bytes() if what == "decode" else np.load(source)
    line: dict[str, Any] = {"reading_s": time.monotonic() - begin}
    for name in operations if what == "both" else (what,):
        result, line[f"{name}_s"] = _timed(operations[name], value, float(budget), line)
        value = result
    if isinstance(value, bytes):
        Path(out).write_bytes(value)
    print(json.dumps(line))


def _timed(
    operation: Callable[[Any], Any], value: Any, budget: float, line: dict[str, Any]
) -> tuple[Any, float]:
    """The result and the median of the repeats; of the first call where it takes too long to repeat."""
    start = time.monotonic()
    result = operation(value)
    end = time.monotonic()
    line.setdefault("first_end", end)
    peak = peak_memory()
    if peak is not None:
        line["peak_mb"] = peak
    if end - start > _TOO_LONG_TO_REPEAT:
        return result, end - start
    seconds: list[float] = []
    while not seconds or (len(seconds) < _MOST_REPEATS and sum(seconds) < budget):
        start = time.monotonic()
        operation(value)
        seconds.append(time.monotonic() - start)
    return result, median(seconds)


def peak_memory() -> float | None:
    """Most megabytes that this process has had resident; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
