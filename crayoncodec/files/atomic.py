"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

_TEMPORARY: Final = re.compile(r"\.cray-[0-9a-f]{16}\.tmp")
_DAY: Final = 24 * 60 * 60
"""Seconds."""


@contextmanager
def atomic_write(path: Path, scratch: Path | None = None) -> Iterator[IO[bytes]]:
    """A stream whose bytes appear at ``path`` when the block ends well, and nowhere otherwise.

    Links are followed, and a file that is replaced passes its permissions on.
    What a process that was killed left in the folder of ``path`` is removed a day later.
    scratch: a folder of the same file system for what is not whole yet; by default that of ``path``.
    """
    path = path.resolve()
    _sweep(path.parent)
    temporary = (scratch or path.parent) / f".cray-{os.urandom(8).hex()}.tmp"
    try:
        with temporary.open("xb") as stream:
            yield stream
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@lru_cache(maxsize=1024)
def _sweep(folder: Path) -> None:
    """Once for each process: remove what atomic_write left in a folder more than a day ago."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _DAY:
                        Path(entry.path).unlink()
