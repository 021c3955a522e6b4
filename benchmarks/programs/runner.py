"""Runs suites over a dataset: quality on several cores, timings one process at a time; stops and goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from itertools import count as count_from
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.codecs.adapter import Unavailable
from benchmarks.measuring import dataset, results
from benchmarks.measuring.dataset import Dataset
from benchmarks.measuring.results import OtherResults, Results, Row
from benchmarks.programs import Say
from benchmarks.suites import SUITES

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """The smallest thing that is done whole: all settings of one codec on one picture, or size."""

    suite: str
    codec: str
    picture: str
    dataset: Dataset

    def rows(self) -> list[Row]:
        """Measure. What fails becomes a hole with its reason."""
        suite = SUITES[self.suite]
        try:
            suite.versions(self.codec)
        except Unavailable as error:
            return self.hole(str(error))
        rows = []
        for setting in suite.settings[self.codec]:
            values, reason = None, ""
            try:
                values = suite.measure(self.codec, setting, self._rgb())
            except Exception as error:  # a rival's library may raise anything; the run goes on
                reason = " ".join(f"{type(error).__name__}: {error}".split())
            rows.append(Row(self.suite, self.codec, setting, self.picture, values, reason))
        return rows

    def hole(self, reason: str) -> list[Row]:
        """Its rows where none could be measured."""
        settings = SUITES[self.suite].settings[self.codec]
        return [Row(self.suite, self.codec, setting, self.picture, None, reason) for setting in settings]

    def is_done(self, found: Results) -> bool:
        """Whether all its rows have values."""
        settings = SUITES[self.suite].settings[self.codec]
        return all(found.measured((self.suite, self.codec, setting, self.picture)) for setting in settings)

    def _rgb(self) -> np.ndarray:
        folder, crop = self.dataset.folder, self.dataset.crop
        if SUITES[self.suite].sizes:
            return _tiled(folder, self.dataset.pictures, crop, float(self.picture.removesuffix(" MP")))
        return dataset.read(folder, self.picture, crop)


def run(
    pictures: Dataset,
    out: Path,
    suites: Iterable[str],
    codecs: Collection[str],
    jobs: int,
    timed: int,
    say: Say,
) -> Results:
    """Measure what ``out`` does not have yet, and write it there.

    codecs: names, empty for all. jobs: processes for quality. timed: pictures for timings. Ended early
    (KeyboardInterrupt), the same call goes on where it was.
    """
    tasks = list(_tasks(pictures, suites, codecs, timed))
    found = Results(pictures.describe(), results.environment(), _versions(tasks, say))
    journal = out.with_suffix(".partial.jsonl")
    times = any(SUITES[task.suite].timed for task in tasks)
    for path, read in ((out, results.load), (journal, results.load_journal)):
        if path.exists():
            _take_over(path, read, found, times, say)
    tasks = [task for task in tasks if not task.is_done(found)]
    quality, timings = (
        [task for task in tasks if SUITES[task.suite].timed is timed] for timed in (False, True)
    )
    journal.parent.mkdir(parents=True, exist_ok=True)
    with (
        results.journal(journal, found) as append,
        tqdm(total=len(tasks), unit=" tasks", smoothing=0.02) as bar,
        closing(in_processes(quality, jobs)) as from_workers,
    ):
        for rows in chain(from_workers, (task.rows() for task in timings)):
            append(rows)
            found.add(rows)
            bar.update()
    found.rows = dict(sorted(found.rows.items(), key=lambda item: _place(item[0], pictures)))
    results.save(found, out)
    journal.unlink()
    return found


def _place(key: results.Key, pictures: Dataset) -> tuple[int, ...]:
    """Where a row stands in the file: in the order of the suites' definitions, whenever it was measured."""
    suite, codec, _, _ = key
    settings = SUITES[suite].settings if suite in SUITES else {}
    orders = (list(SUITES), list(settings), settings.get(codec, ()), pictures.pictures)
    return tuple(
        order.index(name) if name in order else len(order) for order, name in zip(orders, key, strict=True)
    )


def _versions(tasks: list[Task], say: Say) -> dict[str, dict[str, str]]:
    """Versions of every codec that there is something to do with; one that is missing is said."""
    found: dict[str, dict[str, str]] = {}
    for suite, codec in dict.fromkeys((task.suite, task.codec) for task in tasks):
        try:
            found[codec] = SUITES[suite].versions(codec)
        except Unavailable as error:
            say(f"{suite}, {codec} cannot be measured: {error}")
    return found


def _take_over(path: Path, read: Callable[[Path], Results], found: Results, times: bool, say: Say) -> None:
    """Add the rows of an earlier run; what is of other pictures or libraries is put aside, not lost.

    times: whether there are timings to be made here: those of another machine are then measured anew, too.
    """
    here = found.environment
    try:
        earlier = read(path)
        other = [
            f"its {name} differ"
            for name in ("crop", "sha256")
            if earlier.dataset[name] != found.dataset[name]
        ]
        differing = {
            name: f"{name} {value}, here {here.get(name)}"
            for name, value in earlier.environment.items()
            if value != here.get(name)
        }
        other += [said for name, said in differing.items() if name not in results.MACHINE]
        if other:
            raise OtherResults(f"{path} is of another dataset or other libraries: {'; '.join(other)}")
    except OtherResults as error:
        names = (path.with_name(f"{path.name}.old{count}") for count in count_from(1))
        aside = next(name for name in names if not name.exists())
        path.rename(aside)
        say(f"{error}; it is now {aside.name}, and all is measured anew")
        return
    outdated = {
        name for name, versions in earlier.versions.items() if found.versions.get(name, versions) != versions
    }
    for name in sorted(outdated):
        say(f"{path}: {name} was of other versions and is measured anew")
    rows = [row for row in earlier.rows.values() if row.codec not in outdated]
    if differing and times:
        say(f"{path}: timings are of another machine and are left out: {'; '.join(differing.values())}")
        rows = [row for row in rows if row.suite not in SUITES or not SUITES[row.suite].timed]
    elif differing:
        here.update({name: earlier.environment[name] for name in differing})
    found.versions = earlier.versions | found.versions
    found.add(rows)
    say(f"{path}: {len(found.rows)} rows are there already")


def _tasks(pictures: Dataset, suites: Iterable[str], codecs: Collection[str], timed: int) -> Iterator[Task]:
    """Picture by picture, so that a run cut short has whole pictures, and few are loaded twice."""
    for suite in (SUITES[name] for name in suites):
        names = pictures.pictures
        if suite.sizes:
            names = tuple(f"{size:g} MP" for size in suite.sizes)
        elif suite.timed:
            names = names[:: -(-len(names) // timed)]
        for name in names:
            yield from (
                Task(suite.name, codec, name, pictures)
                for codec in suite.settings
                if not codecs or codec in codecs
            )


def in_processes(tasks: list[Task], jobs: int) -> Iterator[list[Row]]:
    """Rows of tasks as they are done. A task that was there when a process died is done again, alone."""
    left, suspects = deque(tasks), []
    while left:
        running: dict[Future[list[Row]], Task] = {}
        with workers(jobs) as pool:
            try:
                while left or running:
                    while left and len(running) < jobs:
                        running[pool.submit(left[0].rows)] = left[0]
                        left.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield future.result()
                        del running[future]
            except BrokenProcessPool:
                suspects += running.values()
    for task in suspects:
        with workers(1) as pool:
            try:
                yield pool.submit(task.rows).result()
            except BrokenProcessPool:
                yield task.hole("its process died, out of memory?")


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block, whatever they are doing."""
    with _one_thread_each():
        pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _start_worker)
        try:
            yield pool
        finally:
            for process in multiprocessing.active_children():
                process.kill()
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started here share the cores by themselves: their libraries get one thread each."""
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _start_worker() -> None:
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """Where the parent was killed, nobody else would end this process."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@lru_cache(1)
def _tiled(folder: Path, names: tuple[str, ...], crop: int, megapixels: float) -> np.ndarray:
    return dataset.tiled([dataset.read(folder, name, crop) for name in names], megapixels)
