"""Many files in, many files out: which output belongs to which input, and how each of them went.

What goes wrong with one file is told by its Outcome and never stops the others.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from crayoncodec import pool
from crayoncodec.codec import atomic_write
from crayoncodec.errors import BatchError, CheckpointError, CrayError, CrayWarning, DeviceError, TrainingError

STREAM: Final = "-"
"""Stands for standard input or standard output."""

EXIT_DONE: Final = 0
EXIT_SOME_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREADABLE: Final = 3
EXIT_CHECKPOINT: Final = 4


@dataclass(frozen=True)
class Job:
    """One input and where its output goes; ``error`` if planning already found that it cannot."""

    source: str
    target: str
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    seconds: float
    code: int = EXIT_DONE
    error: str | None = None
    warnings: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)


Convert = Callable[[bytes, str], tuple[bytes, dict[str, Any]]]
"""Input bytes and the target's extension -> output bytes and what to report."""


def plan(
    inputs: Sequence[str],
    output: str | None,
    extension: str,
    *,
    recursive: bool,
    accepts: Callable[[Path], bool],
    overwrite: bool,
) -> list[Job]:
    """Pair inputs (files, directories with ``recursive``, "-") with outputs.

    Without ``output`` a file's output lies beside it. Trees are kept under an output directory.
    Raises ValueError for a combination that makes no sense.
    """
    many = len(inputs) > 1 or any(_is_directory(name) for name in inputs if name != STREAM)
    directory = output is not None and output != STREAM and (
        many or output.endswith(os.sep) or _is_directory(output)
    )  # fmt: skip
    if many and output == STREAM:
        raise ValueError("several inputs cannot share standard output, expected -o DIRECTORY")
    if "" in inputs or output == "":
        raise ValueError("a file name is empty")
    if directory and STREAM in inputs:
        raise ValueError(f"standard input has no name to have in {output}, expected -o FILE")
    jobs = []
    taken: dict[str, str] = {}
    for source, relative in _sources(inputs, recursive, accepts):
        if output is not None and not directory:
            target = output
        elif source == STREAM:
            target = STREAM
        else:
            base = Path(str(output)) / relative if directory else Path(source)
            target = str(base.with_suffix(extension))
        error = None
        if target != STREAM:
            place, parent = os.path.realpath(target), Path(target).parent
            if place in taken:
                error = f"its output {target} is already that of {taken[place]}"
            elif not _is_directory(str(output) if directory else parent):
                error = f"output directory {output if directory else parent} does not exist"
            elif os.path.lexists(target) and not overwrite and not _is_device(target):
                error = f"{target} exists, use --overwrite to replace it"
            taken.setdefault(place, source)
        jobs.append(Job(source, target, error))
    return jobs


def run(jobs: Sequence[Job], convert: Convert, workers: int = 1) -> Iterator[Outcome]:
    """Do all jobs, in order; with several workers ``convert`` must be picklable."""
    if workers == 1 or len(jobs) == 1:
        for job in jobs:
            yield do(job, convert)
        return
    # Standard streams are this process's own.
    shared = (job for job in jobs if STREAM not in (job.source, job.target))
    results = pool.run(shared, partial(do, convert=convert), min(workers, len(jobs)), lost)
    early: dict[int, Outcome] = {}
    with closing(results):
        for job in jobs:
            if STREAM in (job.source, job.target):
                yield do(job, convert)
                continue
            while id(job) not in early:
                ready, outcome = next(results)
                early[id(ready)] = outcome
            yield early.pop(id(job))


def lost(job: Job) -> Outcome:
    """The outcome of a job whose process died."""
    return Outcome(job, 0.0, EXIT_SOME_FAILED, "its process died, out of memory?")


def do(job: Job, convert: Convert) -> Outcome:
    """Do one job. Its target appears whole or not at all."""
    start = time.perf_counter()
    caught: list[str] = []
    if job.error is not None:
        return Outcome(job, 0.0, EXIT_SOME_FAILED, job.error)
    try:
        with collected_warnings() as collected:
            data = read_input(job.source)
            result, report = convert(data, Path(job.target).suffix)
        caught = [str(warning.message) for warning in collected]
        _write(job.target, result)
    except Exception as error:  # whatever it is, the other files are still to be done
        return Outcome(job, time.perf_counter() - start, code_of(error), one_line(error), tuple(caught))
    return Outcome(
        job,
        time.perf_counter() - start,
        warnings=tuple(caught),
        report={"input_bytes": len(data), "output_bytes": len(result), **report},
    )


@contextmanager
def collected_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """The CrayWarnings of a block, to be told in our way; what other libraries warn of is dropped."""
    with warnings.catch_warnings(record=True) as collected:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", CrayWarning)
        yield collected


def read_input(source: str) -> bytes:
    """All of a file, or of standard input for "-"."""
    return sys.stdin.buffer.read() if source == STREAM else Path(source).read_bytes()


def code_of(error: BaseException) -> int:
    """The exit code that stands for an error."""
    if isinstance(error, CheckpointError):
        return EXIT_CHECKPOINT
    if isinstance(error, BatchError | DeviceError | TrainingError):
        return EXIT_USAGE
    return EXIT_UNREADABLE if isinstance(error, CrayError) else EXIT_SOME_FAILED


def exit_code(codes: Sequence[int]) -> int:
    """0 if all went well, 1 if some failed, the worst code if all did."""
    failed = [code for code in codes if code != EXIT_DONE]
    if not failed:
        return EXIT_DONE
    return max(failed) if len(failed) == len(codes) else EXIT_SOME_FAILED


def one_line(error: BaseException) -> str:
    """An error's text on one line, without the path that OSError repeats."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text if isinstance(error, CrayError | OSError) else f"{type(error).__name__} {text}".strip()


def _sources(
    inputs: Sequence[str], recursive: bool, accepts: Callable[[Path], bool]
) -> Iterator[tuple[str, Path]]:
    """Every input file with its path relative to where its tree begins."""
    for name in inputs:
        path = Path(name)
        if name == STREAM or not _is_directory(path):
            yield name, Path(path.name)
        elif not recursive:
            raise ValueError(f"{name} is a directory, expected a file or -r")
        else:
            for found in sorted(path.rglob("*")):
                if found.is_file() and accepts(found):
                    yield str(found), found.relative_to(path)


def _is_directory(path: str | Path) -> bool:
    """As Path.is_dir, but False too for a name that is too long or a folder that is closed."""
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def _is_device(target: str) -> bool:
    """Whether a target is a device or a pipe: written to, never replaced."""
    path = Path(target)
    return path.exists() and not path.is_file() and not path.is_dir()


def _write(target: str, data: bytes) -> None:
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if _is_device(target):
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(data)
