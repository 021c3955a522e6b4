"""The files and folders that are shown, and the way from an address to one of their pictures."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from crayoncodec.errors import CrayError
from crayoncodec.files import formats, jobs

CRAY = ".cray"


class NotShownError(CrayError):
    """An address that leads to no picture of those given."""


@dataclass(frozen=True)
class Given:
    """A folder or a file, as it was named."""

    path: Path
    real: Path
    """Without links: nothing outside of it is read."""

    @property
    def is_folder(self) -> bool:
        """Whether it is one."""
        return self.real.is_dir()

    @classmethod
    def named(cls, name: str) -> Given:
        """Raises OSError for a path where nothing is, NotShownError for what is no picture by its name."""
        found = cls(Path(name), Path(name).resolve(strict=True))
        if not found.is_folder and not found.real.is_file():
            raise NotShownError("neither a folder nor a file")
        if not found.is_folder and not is_picture(found.path):
            raise NotShownError(f"extension {found.path.suffix!r} is no format that is read")
        return found


class Pictures:
    """All pictures of the files and folders that were given, by addresses like ``0/below/photo.cray``.

    The number says in which of those given, the rest is the path in it, quoted as in URLs.
    """

    def __init__(self, given: Sequence[Given]) -> None:
        """Nothing is looked up yet."""
        self.given = given

    def files(self, only: int | None = None) -> list[dict[str, Any]]:
        """Of all given, or of one: address, name, bytes, last change in nanoseconds, whether it is .cray.

        A folder that cannot be listed has a name and an error. Links that lead out of what was given are left
        out.
        """
        numbers = range(len(self.given)) if only is None else [only]
        return [file for number in numbers for file in self._files(number)]

    def find(self, address: str) -> Path:
        """The file that an address stands for. Raises NotShownError."""
        number, _, rest = address.partition("/")
        name = os.fsdecode(unquote_to_bytes(rest))
        given = next((each for k, each in enumerate(self.given) if str(k) == number), None)
        strange = "\0\\:" if os.name == "nt" else "\0"
        if given is None or not {"", ".", ".."}.isdisjoint(name.split("/")) or {*strange} & {*name}:
            raise NotShownError("not one of the pictures that are shown")
        path = given.path / name if given.is_folder else given.path
        is_own = given.is_folder or name == given.path.name
        if not (is_own and is_picture(path) and _is_within(path, given.real)):
            raise NotShownError("not one of the pictures that are shown")
        return path

    def _files(self, number: int) -> Iterator[dict[str, Any]]:
        given = self.given[number]
        if not given.is_folder:
            yield _file(number, given.path.name, os.stat(given.path))  # noqa: PTH116 - as below
            return
        shown = cache(lambda extension: is_picture(Path(f"_{extension}")))
        root = str(given.path)
        for found in jobs.walk(root):
            if found.error is not None:
                yield {"name": readable(found.path), "error": found.error}
            elif shown(os.path.splitext(found.path)[1]) and not found.is_clutter:  # noqa: PTH122
                # Of ten thousand files Paths would take longer than the file system.
                path = os.path.join(root, found.path)  # noqa: PTH118
                try:
                    status = os.lstat(path)
                    if stat.S_ISLNK(status.st_mode):
                        if not _is_within(Path(path), given.real):
                            continue
                        status = os.stat(path)  # noqa: PTH116
                except OSError:  # it has gone meanwhile
                    continue
                yield _file(number, found.path, status)


def is_picture(path: Path) -> bool:
    """Whether a file is shown, by its name."""
    return path.suffix.lower() == CRAY or formats.reads(path.suffix)


def _file(number: int, name: str, status: os.stat_result) -> dict[str, Any]:
    return {
        "address": f"{number}/{quote_from_bytes(os.fsencode(name))}", "name": readable(name),
        "size": status.st_size, "changed": str(status.st_mtime_ns), "cray": name.lower().endswith(CRAY),
    }  # fmt: skip


def _is_within(path: Path, real: Path) -> bool:
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return found.is_file() and found.is_relative_to(real)


def readable(name: str) -> str:
    """A file's name as text, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "replace")
