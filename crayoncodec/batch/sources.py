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
from crayoncodec.jobs import Job


@dataclass(frozen=True)
class Sources:
    """The inputs of a batch, which may be gone through several times."""

    place: Place
    listed: Callable[[], Iterator[Job]]
    """Jobs with paths relative to the place and to the destination; with an error if they cannot be done."""

    def jobs(self) -> Iterator[Job]:
        """The same, where no two have one target: of several the first has it."""
        taken: dict[str, str] = {}
        for job in self.listed():
            if job.error is None and (first := taken.setdefault(job.target, job.source)) is not job.source:
                yield Job(job.source, job.target, f"its output {job.target} is already that of {first}")
            else:
                yield job


def find(text: str, extension: str, accepts: Callable[[Path], bool]) -> Sources:
    """The sources that a folder, a list of files or a URL of one stands for. Raises BatchError, OSError.

    extension: of the outputs. accepts: which files of a folder are taken; those in a list all are.
    """
    if not places.is_file(text):
        place = places.place(text)
        return Sources(place, lambda: _tree(place, extension, accepts))
    place, name = places.split(text)
    if accepts(Path(name)):
        raise BatchError(f"{text} is a file to convert, expected a folder, or a list of files")
    return Sources(place, lambda: _list(place, name, extension))


def _tree(place: Place, extension: str, accepts: Callable[[Path], bool]) -> Iterator[Job]:
    for path, error in place.walk():
        if error is not None:
            yield Job(path, "", error)
        elif accepts(Path(path)):
            yield Job(path, _target(path, extension))


def _list(place: Place, name: str, extension: str) -> Iterator[Job]:
    """Lines are paths, or JSON objects with a source and perhaps a target."""
    for number, line in enumerate(io.BytesIO(place.read(name)), 1):
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not text.strip():
            continue
        where = f"{name}, line {number}"
        try:
            entry = json.loads(text) if text.lstrip().startswith("{") else {"source": text}
            source = entry["source"]
            target = entry.get("target") or _target(source, extension)
        except (ValueError, LookupError, TypeError):
            yield Job(where, "", 'is neither a path nor {"source": PATH, "target": PATH}')
            continue
        if ".." in PurePosixPath(target).parts or PurePosixPath(target).is_absolute():
            yield Job(source, target, f"{where}: its output {target} is not below the destination, "
                                      "expected a target that is")  # fmt: skip
        else:
            yield Job(source, target)


def _target(source: str, extension: str) -> str:
    path = PurePosixPath(source)
    return str(path.relative_to(path.anchor).with_suffix(extension))
