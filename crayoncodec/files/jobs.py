"""Many files in, many files out: which output belongs to which input, and how each of them went.

What goes wrong with one file is told by its Outcome and never stops the others.
"""

from __future__ import annotations

import os
import stat
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final, NamedTuple, TypeVar

from crayoncodec.errors import EXIT_DONE, EXIT_SOME_FAILED, CrayWarning, code_of, give_way, one_line
from crayoncodec.files import streams
from crayoncodec.files.atomic import atomic_write

STREAM: Final = "-"
"""Stands for standard input or standard output."""

CLUTTER: Final = "._* files of macOS, dot folders that cannot be read"
"""What trees have that is left out."""


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


AnyPath = TypeVar("AnyPath", bound=PurePath)

Convert = Callable[[Callable[[], bytes], str], tuple[bytes, dict[str, Any]]]
"""What reads the input and the target's extension -> output bytes and what to report.

Nobody else holds what was read: it can go as soon as it is a picture.
"""


class Found(NamedTuple):
    """A file of a tree, or a folder that cannot be listed, and why. Paths are relative to the tree."""

    path: str
    error: str | None = None

    @property
    def is_clutter(self) -> bool:
        """Whether it is nobody's picture: what macOS lays beside files, or a dot folder that is closed."""
        *folders, name = PurePosixPath(self.path).parts or ("",)
        if self.error is None:
            return name.startswith("._")
        return any(part.startswith(".") for part in (*folders, name))


def walk(root: str, without: str | None = None) -> Iterator[Found]:
    """All files of a tree, each folder's in sorted order. Links to folders are not followed.

    without: name of folders that are passed over.
    """

    def below(prefix: str) -> Iterator[Found]:
        try:
            with os.scandir(os.path.join(root, prefix)) as entries:  # noqa: PTH118
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(prefix or ".", error.strerror or str(error))
            return
        for entry in inside:
            try:
                is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file()
            except OSError:  # a link that goes round, or into what is closed: reading it will tell
                is_folder, is_file = False, True
            if is_folder and entry.name != without:
                yield from below(f"{prefix}{entry.name}/")
            elif is_file:
                yield Found(prefix + entry.name)

    return below("")


def plan(
    inputs: Sequence[str],
    output: str | None,
    extension: str,
    *,
    recursive: bool,
    accepts: Callable[[Path], bool],
    overwrite: bool,
    keep_extension: bool = False,
) -> tuple[list[Job], int]:
    """Pair inputs (files, directories with ``recursive``, "-") with outputs; and how many were left out.

    Without ``output`` a file's output lies beside it. Trees are kept under an output directory; of them what
    is clutter is left out. keep_extension: append ``extension`` to the input's own.
    Raises ValueError for a combination that makes no sense.
    """
    if output == "/dev/stdout":
        output = STREAM
    many = len(inputs) > 1 or any(_is_directory(name) for name in inputs if name != STREAM)
    directory = output is not None and output != STREAM and (
        many or output.endswith(os.sep) or _is_directory(output)
    )  # fmt: skip
    if many and output == STREAM:
        raise ValueError("several inputs cannot share standard output, expected -o DIRECTORY")
    if "" in inputs or output == "":
        raise ValueError("a file name is empty")
    nameless = [name for name in inputs if _is_nameless(name)]
    if directory and nameless:
        what = "standard input" if nameless[0] == STREAM else nameless[0]
        raise ValueError(f"{what} has no name to have in {output}, expected -o FILE")
    found = [*_sources(inputs, recursive, accepts)]
    targets = _Targets({file: source for source, _, _ in found if (file := _identity(source)) is not None},
                       extension, keep_extension, overwrite)  # fmt: skip
    jobs = []
    for source, relative, failure in found:
        if failure is not None:
            jobs.append(Job(source, "", failure))
        elif relative is not None:
            if output is not None and not directory:
                target = output
            elif _is_nameless(source):
                target = STREAM
            else:
                base = Path(str(output)) / relative if directory else Path(source)
                target = str(renamed(base, extension, keep_extension))
            folder = str(output) if directory else str(Path(target).parent)
            jobs.append(Job(source, target, targets.refusal(source, target, folder)))
    if [job.target for job in jobs].count(STREAM) > 1:
        raise ValueError("several inputs without a name cannot share standard output, expected one")
    return jobs, len(found) - len(jobs)


@dataclass
class _Targets:
    """What outputs must not be."""

    originals: dict[tuple[int, int], str]
    """Inputs by their identity."""
    extension: str
    keep_extension: bool
    overwrite: bool
    taken: dict[str, str] = field(default_factory=dict)

    def refusal(self, source: str, target: str, folder: str) -> str | None:
        """Why a target, which is to lie in ``folder``, cannot be that of a source."""
        if target == STREAM:
            return None
        place = os.path.realpath(target)
        if place in self.taken:
            return already_taken(target, self.taken[place], source, self.extension, self.keep_extension)
        self.taken[place] = source
        file = _identity(target)
        if file is not None and file in self.originals:
            return f"its output {target} is the input {self.originals[file]}, expected another name"
        if not _is_directory(folder):
            return f"output directory {folder} does not exist"
        if os.path.lexists(target) and not self.overwrite and not _is_device(target):
            return f"{target} exists, use --overwrite to replace it"
        return None


def renamed(path: AnyPath, extension: str, keep_extension: bool) -> AnyPath:
    """The path of an output: with another extension, or with one more."""
    return path.with_name(path.name + extension) if keep_extension else path.with_suffix(extension)


def already_taken(target: str, first: str, source: str, extension: str, keep_extension: bool) -> str:
    """What is wrong with a second source of a target, and what helps."""
    helps = extension == ".cray" and not keep_extension and Path(first).name != Path(source).name
    hint = ", --keep-extension gives each its own" if helps else ""
    return f"its output {target} is already that of {first}{hint}"


def run(jobs: Sequence[Job], convert: Convert, workers: int = 1) -> Generator[Outcome, None, None]:
    """Do all jobs, in order; with several workers ``convert`` must be picklable."""
    if workers == 1 or len(jobs) == 1:
        for job in jobs:
            yield do(job, convert)
        return
    from crayoncodec.files import pool

    # Standard streams and other descriptors are this process's own.
    shared = (job for job in jobs if not _is_own(job))
    results = pool.run(shared, partial(do, convert=convert), min(workers, len(jobs)), lost)
    early: dict[int, Outcome] = {}
    with closing(results):
        for job in jobs:
            if _is_own(job):
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
    sizes: dict[str, int] = {}

    def read() -> bytes:
        data = read_input(job.source)
        sizes["input_bytes"] = len(data)
        return data

    if job.error is not None:
        return Outcome(job, 0.0, EXIT_SOME_FAILED, job.error)
    try:
        with collected_warnings() as collected:
            result, report = convert(read, Path(job.target).suffix)
        caught = [str(warning.message) for warning in collected]
        _write(job.target, result)
    except Exception as error:  # whatever it is, the other files are still to be done
        give_way(error)
        return Outcome(job, time.perf_counter() - start, code_of(error), one_line(error), tuple(caught))
    return Outcome(
        job,
        time.perf_counter() - start,
        warnings=tuple(caught),
        report={**sizes, "output_bytes": len(result), **report},
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


def _sources(
    inputs: Sequence[str], recursive: bool, accepts: Callable[[Path], bool]
) -> Iterator[tuple[str, Path | None, str | None]]:
    """Every input file with its path relative to where its tree begins; folders that cannot be listed, why.

    The relative path is None for clutter.
    """
    for name in inputs:
        path = Path(name)
        if name == STREAM or not _is_directory(path):
            yield name, Path(path.name), None
        elif not recursive:
            raise ValueError(f"{name} is a directory, expected a file or -r")
        else:
            for found in walk(name):
                source = str(path / found.path)
                if found.error is None and not accepts(Path(found.path)):
                    continue
                yield (source, None, None) if found.is_clutter else (source, Path(found.path), found.error)


def _is_own(job: Job) -> bool:
    return _is_nameless(job.source) or _is_nameless(job.target)


def _is_nameless(name: str) -> bool:
    """Whether it stands for an open descriptor: "-", or as shells hand on pipes."""
    return name == STREAM or name.startswith(("/dev/fd/", "/dev/std", "/proc/self/fd/"))


def _identity(name: str) -> tuple[int, int] | None:
    """What tells a file from all others, by whatever name; None for what is none."""
    try:
        status = Path("/dev/stdin" if name == STREAM else name).stat()
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


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
        streams.write(data)
        return
    path = Path(target)
    if _is_device(target):
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(data)
