"""Processes that share out work. One that dies costs what killed it, and nothing else.

Each process has a pipe of its own, so that it is known what it was doing when it died. That is done once
more, alone, because it may have been another that took the memory.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from pickle import UnpicklingError
from typing import Any, Final, Generic, NoReturn, TypeVar

_SPAWN: Final = multiprocessing.get_context("spawn")
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_SHORT: Final = 0.25
"""Seconds; a process whose items take less is given the next one ahead, so that it never waits."""
_PATIENCE: Final = 2.0
"""Seconds that a process has to clean up in."""

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    items: Iterable[T], work: Callable[[T], R], workers: int, lost: Callable[[T], R]
) -> Generator[tuple[T, R], None, None]:
    """Items with their results, in the order in which they are ready.

    items: picklable; taken as they are needed, so that at most two are out for each process.
    work: picklable; sent to each process once, which keeps what it loads. It must not raise.
    lost: makes the result of an item that killed its process twice.
    What is under way when the iterator is closed is dropped.
    """
    threads = max(1, cores() // workers)
    waiting = iter(items)
    members: list[_Member[T, R]] = []
    again: deque[T] = deque()
    """What dead processes had been given and not begun."""
    suspects: deque[T] = deque()
    """What killed a process once; the first of them is done alone."""

    def give(slot: int, item: T) -> None:
        if slot == len(members):
            members.append(_Member(work, threads))
        members[slot].give(item)

    def feed() -> None:
        for depth in (1, 2):
            for slot in range(workers):
                if slot < len(members) and len(members[slot].given) >= min(depth, members[slot].depth):
                    continue
                upcoming = [again.popleft()] if again else [*islice(waiting, 1)]
                if not upcoming:
                    return
                give(slot, *upcoming)

    try:
        while True:
            if not suspects:
                feed()
            elif not any(member.given for member in members):
                give(0, suspects[0])
            busy: dict[Any, _Member[T, R]] = {m.connection: m for m in members if m.given}
            if not busy:
                return
            for connection in wait([*busy]):
                member = busy[connection]
                item, *rest = member.given
                second = bool(suspects) and item is suspects[0]
                if second:
                    suspects.popleft()
                try:
                    result = member.take()
                except (EOFError, OSError, UnpicklingError):
                    members.remove(member)
                    member.stop()
                    again.extend(rest)
                    if not second:
                        suspects.append(item)
                        continue
                    result = lost(item)
                yield item, result
    finally:
        for member in members:
            member.dismiss()
        for member in members:
            member.stop()


class _Member(Generic[T, R]):
    """One process, its pipe, and what it has been given."""

    def __init__(self, work: Callable[[T], R], threads: int) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(theirs, work), daemon=True)
        with _inherited(threads):
            self.process.start()
        # So that the pipe ends with the process.
        theirs.close()
        self.given: deque[T] = deque()
        self.depth = 1
        """How many items it should have."""
        self._since = 0.0

    def give(self, item: T) -> None:
        if not self.given:
            self._since = time.monotonic()
        self.given.append(item)
        with suppress(OSError):  # a dead process is noticed when its result is waited for
            self.connection.send(item)

    def take(self) -> R:
        """The result of the first item. Raises EOFError, OSError, UnpicklingError for a dead process."""
        result: R = self.connection.recv()
        self.given.popleft()
        now = time.monotonic()
        self.depth = 2 if now - self._since < _SHORT else 1
        self._since = now
        return result

    def dismiss(self) -> None:
        """Have the process end, what it is doing dropped."""
        if self.given:
            self.process.terminate()
        self.connection.close()

    def stop(self) -> None:
        """Wait until it has ended, if need be by force."""
        self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process.close()


@contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """What processes started here inherit: so many threads for libraries, and Ctrl-C left to their parent."""
    names = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(names, str(threads)))
    masked = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masked else set()
    try:
        yield
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name in names:
            del os.environ[name]


def _serve(connection: Connection, work: Callable[[T], R]) -> None:
    """The process: results for items, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(work(item))


def _leave(*_: object) -> NoReturn:
    # What is half done cleans up after itself.
    sys.exit(1)


def _end_with_parent() -> None:
    """A parent that was killed cannot say that it is over."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(1)
