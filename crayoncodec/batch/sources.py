"""What a batch is to do: the files of a tree, or those that a list names, and where the outputs go."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from crayoncodec.batch import places
from crayoncodec.batch.places import Place
from crayoncodec.errors import BatchError
from crayoncodec.files import jobs
from crayoncodec.files.jobs import Job


@dataclass(frozen=True)
class Sources:
    """The inputs of a batch, which may be gone through several times."""

    place: Place
    listed: Callable[[], Iterator[Job | None]]
    """Jobs with paths relative to the place and to the destination; with an error if they cannot be done.
    None for each thing that is left out."""
    accepts: Callable[[Path], bool]
    """Which files of a folder are taken; those in a list all are."""
    hint: Callable[[str, str, str], str]
    """What to say of a target, its first source and another one."""
    listing: Path | None = None
    """The list, if it is on this machine."""

    def jobs(self) -> Iterator[Job | None]:
        """The same, where no two have one target: of several the first has it."""
        taken: dict[str, str] = {}
        for job in self.listed():
            if (
                job is not None
                and job.error is None
                and (first := taken.setdefault(job.target, job.source)) is not job.source
            ):
                yield Job(job.source, job.target, self.hint(job.target, first, job.source))
            else:
                yield job


def find(text: str, extension: str, accepts: Callable[[Path], bool], keep_extension: bool = False) -> Sources:
    """The sources that a folder, a list of files or a URL of one stands for. Raises BatchError, OSError.

    extension: of the outputs, in place of the sources', or after them. accepts: which files of a folder are
    taken.
    """

    def target(path: str) -> str:
        pure = PurePosixPath(path)
        return str(jobs.renamed(pure.relative_to(pure.anchor), extension, keep_extension))

    def hint(target: str, first: str, source: str) -> str:
        return jobs.already_taken(target, first, source, extension, keep_extension)

    if not places.is_file(text):
        place = places.place(text)
        return Sources(place, lambda: _tree(place, target, accepts), accepts, hint)
    place, name = places.split(text)
    if accepts(Path(name)):
        raise BatchError(f"{text} is a file to convert, expected a folder, or a list of files")
    listing = None if place.folder is None else place.folder / name
    return Sources(place, lambda: _list(place, name, target), accepts, hint, listing)


def _tree(
    place: Place, target: Callable[[str], str], accepts: Callable[[Path], bool]
) -> Iterator[Job | None]:
    for found in place.walk():
        if found.error is None and not accepts(Path(found.path)):
            continue
        if found.is_clutter:
            yield None
        elif found.error is not None:
            yield Job(found.path, "", found.error)
        else:
            yield Job(found.path, target(found.path))


def _list(place: Place, name: str, target: Callable[[str], str]) -> Iterator[Job]:
    """Lines are paths, or JSON objects with a source and perhaps a target."""
    for number, line in enumerate(io.BytesIO(place.read(name)), 1):
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not text.strip():
            continue
        where = f"{name}, line {number}"
        try:
            entry = json.loads(text) if text.lstrip().startswith("{") else {"source": text}
            pair = entry["source"], entry["target"] if "target" in entry else target(entry["source"])
            if not all(isinstance(path, str) and path for path in pair):
                raise TypeError
        except (ValueError, LookupError, TypeError, RecursionError):
            yield Job(where, "", 'is neither a path nor {"source": PATH, "target": PATH}')
            continue
        parts = PurePosixPath(pair[1]).parts
        if ".." in parts or PurePosixPath(pair[1]).is_absolute():
            yield Job(*pair, f"{where}: its output {pair[1]} is not below the destination, "
                             "expected a target that is")  # fmt: skip
        else:
            yield Job(*pair)
