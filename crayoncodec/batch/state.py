"""What a batch remembers: STATE/manifest.jsonl, to which one line is added for each file that is done.

Three kinds of lines: {"job": ...} when a batch is started, {"begin": TARGET} before an output may be
written, which takes back what was said of it, and a Record when it is in its place. So an output that
exists and is in no line is not the batch's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from crayoncodec.errors import BatchError

MANIFEST: Final = "manifest.jsonl"
LOCK: Final = "lock"


@dataclass(frozen=True)
class Record:
    """A file that is done."""

    source: str
    size: int
    mtime_ns: int
    """Of the source; a quick check, as SHA-256 is of its content."""
    sha256: str
    job: str
    """Fingerprint of everything else that the output depends on."""
    target: str
    output_size: int
    output_sha256: str
    pixels: int
    warnings: tuple[str, ...] = ()


class Manifest:
    """The file, by targets. In memory it has their names and where their lines are."""

    def __init__(self, path: Path) -> None:
        """Open or begin it. A last line that was cut short is taken off. Raises OSError."""
        self._stream = path.open("ab", buffering=0)
        self._reader = path.open("rb")
        self._lines: dict[str, int] = {}
        self._begun: set[str] = set()
        self._end = 0
        for line in self._reader:
            if not line.endswith(b"\n"):
                break
            self._take(line)
            self._end += len(line)
        self._stream.truncate(self._end)

    def _take(self, line: bytes) -> None:
        try:
            content = json.loads(line)
            if "begin" in content:
                self._forget(content["begin"])
            elif "target" in content:
                self._lines[content["target"]] = self._end
                self._begun.discard(content["target"])
        except (ValueError, TypeError):
            pass  # not ours: what it said is done again

    def _forget(self, target: str) -> None:
        self._lines.pop(target, None)
        self._begun.add(target)

    def get(self, target: str) -> Record | None:
        """The last record of a target."""
        if (offset := self._lines.get(target)) is None:
            return None
        self._reader.seek(offset)
        content = json.loads(self._reader.readline())
        try:
            return Record(**content | {"warnings": tuple(content.get("warnings", ()))})
        except TypeError:  # of another version
            return None

    def owns(self, target: str) -> bool:
        """Whether an output is this batch's to replace."""
        return target in self._lines or target in self._begun

    def begin(self, target: str) -> None:
        """Say that an output may be written."""
        self._forget(target)
        self._append({"begin": target})

    def add(self, record: Record) -> None:
        """Say that an output is in its place."""
        self._lines[record.target] = self._end
        self._begun.discard(record.target)
        content = asdict(record)
        if not record.warnings:
            del content["warnings"]
        self._append(content)

    def note(self, about: dict[str, Any]) -> None:
        """Say what the batch is, for people."""
        self._append({"job": about})

    def _append(self, content: dict[str, Any]) -> None:
        line = json.dumps(content).encode() + b"\n"
        # In one piece, and for all to see before the output is.
        written = self._stream.write(line)
        while written < len(line):  # a disk that is full takes a part first, and then says so
            written += self._stream.write(line[written:])
        self._end += len(line)

    def close(self) -> None:
        """Have the disk keep it."""
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._reader.close()


@contextmanager
def opened(folder: Path) -> Iterator[Manifest]:
    """The manifest in a folder. Raises OSError."""
    manifest = Manifest(folder / MANIFEST)
    try:
        yield manifest
    finally:
        manifest.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder, made if need be, that no other batch has meanwhile. Raises BatchError if one has, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BatchError(f"another batch is at work in {folder}, expected one at a time") from error
    try:
        yield
    finally:
        lock.release()
