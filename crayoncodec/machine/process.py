"""What is particular to a process: forks, memory that the allocator keeps, where the package's data lie."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LARGE: Final = 2**24
"""Pixels of a picture, up to which little memory is kept."""
_PACKAGE: Final = Path(__file__).parents[1]


def in_children(renew: Callable[[], None]) -> None:
    """Have ``renew`` called in every process that is forked from now on: it has none of the other threads.

    What another thread was in the middle of is in the middle for ever there, a lock that it held, too.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have Ctrl-C wait for the end of this: while PyTorch is imported, an exception may abort the process.

    Then whoever handles it in this program gets it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def trim(pixels: int) -> None:
    """After a step on a large picture have C's allocator give back what it keeps: hundreds of MB.

    Only glibc has that (malloc_trim(3)); elsewhere nothing happens.
    """
    if pixels > _LARGE and sys.platform == "linux":
        import ctypes

        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:
            give_back(0)


def models_folder() -> Path:
    """The folder with the weights that ship."""
    return data_folder("models")


def data_folder(name: str) -> Path:
    """A folder with data that ship: in the package if it is installed, beside it in a checkout."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
