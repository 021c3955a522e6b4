"""Parts of a picture in several threads: NumPy and OpenCV let go of the interpreter while they compute."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import Any, Final, TypeVar

from crayoncodec.machine import process

_MOST: Final = 16
"""Threads, however many cores there are: every one of them has a part in memory."""
_MOST_ROWS: Final = 64
_NARROW: Final = 1024
"""Pixels of a row below which a band has more rows: each costs some time of its own."""
_LEAST: Final = 2**13
"""Pixels of a band at least: fewer take no longer than it takes to wake a thread."""
_LONG: Final = 2**14
"""Columns of a window at most."""
_PART: Final = 2**16
"""Numbers of a part of a flat array."""
_NAME: Final = "crayoncodec-part"

Window = tuple[slice, slice]
"""Rows and columns."""
Part = TypeVar("Part")
Result = TypeVar("Result")


def count() -> int:
    """How many threads there are to work in, at most 16: one for each core that this process may use.

    Where OpenCV is loaded it is as many as that uses (``cv2.setNumThreads``).
    """
    threads = getattr(sys.modules.get("cv2"), "getNumThreads", _cores)
    return max(1, min(threads(), _MOST))


def _cores() -> int:
    """As many as there are where the system does not say which of them are this process's."""
    mine = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if mine is None else len(mine(0))


def each(work: Callable[[Part], Result], parts: Iterable[Part], *, products: bool = False) -> list[Result]:
    """``work`` of every part, in order. Within ``work`` there are no more threads.

    products: whether it multiplies matrices, which BLAS would do in threads of its own.
    """
    every = list(parts)
    if len(every) < 2 or count() == 1 or _is_part():
        return [work(part) for part in every]
    with _single_products if products else nullcontext():
        return list(_pool(count()).map(work, every))


def bands(height: int, width: int = _NARROW) -> list[slice]:
    """Rows 0 to ``height`` in slices: two for each thread or more, but none of less than 8 or of few pixels.

    They have at most 64 rows, more where rows are short.
    """
    shares = 1 if _is_part() else 2 * count()
    most = _MOST_ROWS * max(1, _NARROW // width)
    rows = max(8, _LEAST // width, min(most, -(-height // shares)))
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def windows(height: int, width: int) -> list[Window]:
    """Bands, cut where rows are very long."""
    columns = [slice(left, min(left + _LONG, width)) for left in range(0, width, _LONG)]
    return [(rows, part) for rows in bands(height, width) for part in columns]


def parts(size: int) -> list[slice]:
    """0 to ``size`` in slices, one or more."""
    return [slice(start, min(start + _PART, size)) for start in range(0, max(1, size), _PART)]


def around(window: Window, reach: int, height: int, width: int) -> tuple[Window, Window]:
    """A window with what is at most ``reach`` away from it, and where in that the window is."""
    near = [
        slice(max(0, span.start - reach), min(length, span.stop + reach))
        for span, length in zip(window, (height, width), strict=True)
    ]
    inner = [
        slice(span.start - wide.start, span.stop - wide.start)
        for span, wide in zip(window, near, strict=True)
    ]
    return (near[0], near[1]), (inner[0], inner[1])


def _is_part() -> bool:
    """Whether this is one of the threads of ``each``."""
    return threading.current_thread().name.startswith(_NAME)


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix=_NAME)


process.in_children(_pool.cache_clear)


class _SingleProducts:
    """Matrix products in one thread each, while there are others: BLAS lets only one caller have its own.

    The setting is the process's, so the first to come sets it, and the last to leave puts it back.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._limit: Any = None
        process.in_children(self._renew)

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limit = _libraries().limit(limits=1)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.restore_original_limits()

    def _renew(self) -> None:
        """Nobody is inside: those who were are not in this process."""
        self._lock = threading.Lock()
        if self._inside:
            self._inside = 0
            self._limit.restore_original_limits()


_single_products = _SingleProducts()


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
