"""Where a batch reads and writes: a folder, or a URL that pyarrow knows. Paths in it are relative."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from crayoncodec.errors import BatchError
from crayoncodec.files import jobs
from crayoncodec.files.atomic import atomic_write
from crayoncodec.files.jobs import Found

STATE: Final = ".cray-batch"
"""The folder in a destination that is the batch's own; no place lists it."""
_OBJECT_STORES: Final = ("s3", "gcs", "abfs")
"""pyarrow's names of what shows an object when it is whole, and has no renaming."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Stat(NamedTuple):
    """Of a file."""

    size: int
    mtime_ns: int
    file: tuple[int, int] | None = None
    """What tells it from all others of this machine, if it is here."""


class Place(Protocol):
    """A tree of files. Picklable. Everything raises OSError."""

    def walk(self) -> Iterator[Found]:
        """All files, each folder's in sorted order. Links to folders are not followed."""

    def stats(self, paths: Sequence[str]) -> list[Stat | None]:
        """Of each file; None where there is none."""

    def read(self, path: str) -> bytes:
        """A whole file."""

    def write(self, path: str, data: bytes, scratch: str) -> None:
        """Have a file appear, or be replaced, whole or not at all.

        scratch: a folder of this place for what is not whole yet; made by ``prepare``.
        """

    def prepare(self, scratch: str) -> None:
        """Make a folder for what is not whole yet."""

    def clear(self, folder: str) -> None:
        """Remove a folder and what is in it, if it is there."""

    @property
    def folder(self) -> Path | None:
        """Where it is on this machine, if it is."""


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or one that all machines have at the same path."""

    root: str

    def walk(self) -> Iterator[Found]:
        return jobs.walk(self.root, STATE)

    def stats(self, paths: Sequence[str]) -> list[Stat | None]:
        return [self._stat(path) for path in paths]

    def _stat(self, path: str) -> Stat | None:
        try:
            status = self._path(path).stat()
        except (OSError, ValueError):  # a name with a null byte
            return None
        return Stat(status.st_size, status.st_mtime_ns, (status.st_dev, status.st_ino))

    def read(self, path: str) -> bytes:
        return self._path(path).read_bytes()

    def write(self, path: str, data: bytes, scratch: str) -> None:
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target, self._path(scratch)) as stream:
            stream.write(data)

    def prepare(self, scratch: str) -> None:
        self._path(scratch).mkdir(parents=True, exist_ok=True)

    def clear(self, folder: str) -> None:
        shutil.rmtree(self._path(folder), ignore_errors=True)

    @property
    def folder(self) -> Path | None:
        return Path(self.root)

    def _path(self, path: str) -> Path:
        return Path(self.root, path)


@dataclass(frozen=True)
class Remote:
    """What pyarrow.fs.FileSystem.from_uri makes of a URL: s3://, gs://, file:// and others."""

    url: str

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The file system, and the path in it."""
        try:
            from pyarrow import fs
        except ImportError as error:
            raise BatchError(f"{self.url} needs pyarrow, expected pip install crayoncodec[ray]") from error
        try:
            system, path = fs.FileSystem.from_uri(self.url)
        except (ValueError, NotImplementedError, OSError) as error:
            raise BatchError(f"{self.url} cannot be opened ({error})") from error
        return system, path.rstrip("/")

    def is_file(self) -> bool | None:
        """Whether it is a file rather than a folder; None if there is nothing."""
        from pyarrow.fs import FileType

        system, path = self._opened
        kind = system.get_file_info(path).type
        return None if kind == FileType.NotFound else bool(kind == FileType.File)

    @property
    def _renames(self) -> bool:
        return self._opened[0].type_name not in _OBJECT_STORES

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url}

    def walk(self) -> Iterator[Found]:
        return self._walk("")

    def _walk(self, prefix: str) -> Iterator[Found]:
        from pyarrow.fs import FileSelector, FileType

        try:
            inside = self._opened[0].get_file_info(FileSelector(self._path(prefix).rstrip("/")))
        except OSError as error:
            yield Found(prefix or ".", str(error))
            return
        for info in sorted(inside, key=lambda info: info.base_name):
            if info.type == FileType.File:
                yield Found(prefix + info.base_name)
            elif info.type == FileType.Directory and info.base_name != STATE:
                yield from self._walk(f"{prefix}{info.base_name}/")

    def stats(self, paths: Sequence[str]) -> list[Stat | None]:
        from pyarrow.fs import FileType

        if self.folder is not None:
            return Folder(str(self.folder)).stats(paths)
        infos = self._opened[0].get_file_info([self._path(path) for path in paths])
        return [Stat(info.size, info.mtime_ns or 0) if info.type == FileType.File else None for info in infos]

    def read(self, path: str) -> bytes:
        with self._opened[0].open_input_file(self._path(path)) as stream:
            return bytes(stream.read())

    def write(self, path: str, data: bytes, scratch: str) -> None:
        system, target = self._opened[0], self._path(path)
        place = target
        if self._renames:
            system.create_dir(target.rpartition("/")[0])
            place = self._path(f"{scratch}/{os.urandom(8).hex()}.tmp")
        with system.open_output_stream(place) as stream:
            stream.write(data)
        if place != target:
            system.move(place, target)

    def prepare(self, scratch: str) -> None:
        if self._renames:
            self._opened[0].create_dir(self._path(scratch))

    def clear(self, folder: str) -> None:
        from pyarrow.fs import FileType

        path = self._path(folder)
        if self._renames and self._opened[0].get_file_info(path).type == FileType.Directory:
            self._opened[0].delete_dir(path)

    @property
    def folder(self) -> Path | None:
        system, path = self._opened
        return Path(path) if system.type_name == "local" else None

    def _path(self, path: str) -> str:
        return f"{self._opened[1]}/{path}"


def place(text: str) -> Place:
    """The folder or URL. Raises BatchError for a URL that cannot be opened."""
    return Remote(text) if _SCHEME.match(text) else Folder(str(Path(text).absolute()))


def split(text: str) -> tuple[Place, str]:
    """Where the file is that a path or URL names, and its name there."""
    if not _SCHEME.match(text):
        return place(str(Path(text).parent)), Path(text).name
    parent, _, name = text.rpartition("/")
    return place(parent), name


def is_file(text: str) -> bool:
    """Whether a path or URL names a file rather than a folder. Raises BatchError for neither, OSError."""
    if _SCHEME.match(text):
        found = Remote(text).is_file()
    else:
        path = Path(text)
        found = path.is_file() if path.exists() else None
    if found is None:
        raise BatchError(f"{text} does not exist, expected a folder, a list of files or a URL of one")
    return found
