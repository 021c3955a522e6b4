"""The engine for one machine or many: Ray Data, whose actors keep what they have loaded.

Rows are groups of tasks, so that small files cost little more than their work. Ray does again what an actor
had when it died, without end; so attempts are counted, and a group that cost several actors is taken apart.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from importlib import import_module
from itertools import islice
from typing import Any, Final

from crayoncodec import errors
from crayoncodec.batch.execution import Engine
from crayoncodec.batch.work import Task, Work
from crayoncodec.errors import BatchError
from crayoncodec.files import jobs, pool
from crayoncodec.files.jobs import Outcome

_WAVE: Final = 2000
"""Tasks for each actor that Ray is given at once; between waves actors are started anew."""
_GROUP: Final = 16
_GROUP_BYTES: Final = 8_000_000
_SHARE: Final = 4
"""Groups that each actor has at least, so that none is left with much to do at the end."""
_ATTEMPTS: Final = 2

Group = list[Task]
Outcomes = Generator[Outcome, None, None]


def engine(workers: int | None, address: str | None, gpus: float) -> Engine:
    """Ray Data with so many actors, by default one for each core, or for each share ``gpus`` of a GPU.

    address: of a cluster; by default RAY_ADDRESS, and where there is none, Ray is started on this machine.
    Raises BatchError if Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import_module("ray.data")
    except ImportError as error:
        raise BatchError("--engine ray needs ray, expected pip install crayoncodec[ray]") from error

    def run(tasks: Iterable[Task], work: Work) -> Outcomes:
        with contextlib.redirect_stdout(sys.stderr), _connected(address, workers):
            actors = workers or _room(gpus)
            waiting = iter(tasks)
            while wave := list(islice(waiting, _WAVE * actors)):
                yield from _wave(_groups(wave, actors), work, actors, gpus)

    return run


@contextlib.contextmanager
def _connected(address: str | None, workers: int | None) -> Iterator[None]:
    """Be part of a cluster, unless this process is already."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    here: dict[str, Any] = {"num_cpus": workers or pool.cores(), "include_dashboard": False}
    try:
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR,
            **(here if address == "local" else {}),
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BatchError(f"no Ray cluster at {address} ({errors.one_line(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _room(gpus: float) -> int:
    """How many actors the cluster has room for. Raises BatchError."""
    import ray

    resource, each = ("GPU", gpus) if gpus else ("CPU", 1)
    found = ray.cluster_resources().get(resource, 0)
    if found < each:
        raise BatchError(f"the Ray cluster has {found:g} {resource}, expected at least {each:g}")
    return int(found / each)


def _groups(tasks: list[Task], actors: int) -> list[Group]:
    """Tasks, in groups of not too many files and bytes."""
    most = max(1, min(_GROUP, len(tasks) // (_SHARE * actors)))
    groups: list[Group] = []
    size = 0
    for task in tasks:
        if not groups or len(groups[-1]) == most or size + task.size > _GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(task)
        size += task.size
    return groups


def _wave(groups: list[Group], work: Work, actors: int, gpus: float) -> Outcomes:
    """The outcomes of groups; of those that cost several actors, one by one."""
    import ray

    attempts = ray.remote(num_cpus=0)(_Attempts).remote()
    rows = [{"group": number, "tasks": pickle.dumps(tasks)} for number, tasks in enumerate(groups)]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Actor,
        fn_constructor_args=(work, attempts, gpus),
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(rows))),
        **({"num_gpus": gpus} if gpus else {"num_cpus": 1}),
    )
    suspects: list[Group] = []
    _quieten()
    for row in dataset.iter_rows():
        outcomes = pickle.loads(row["outcomes"])
        tasks = groups[row["group"]]
        if outcomes is not None:
            yield from outcomes
        elif len(tasks) == 1:
            yield jobs.lost(tasks[0])
        else:
            suspects += [[task] for task in tasks]
    if suspects:
        yield from _wave(suspects, work, actors, gpus)


def _quieten() -> None:
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


class _Attempts:
    """An actor that counts, because those that it counts for may die."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def begin(self, group: int) -> int:
        """How often a group has been begun, with this time."""
        self._counts[group] += 1
        return self._counts[group]


class _Actor:
    """What Ray runs: groups of tasks -> their outcomes, None where they cost too many actors."""

    def __init__(self, work: Work, attempts: Any, gpus: float) -> None:
        import cv2

        if not gpus:
            # Ray leaves an actor without a share of them all that the machine has.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._work, self._attempts = work, attempts
        if threads := os.environ.get("OMP_NUM_THREADS"):  # Ray's share for this actor
            cv2.setNumThreads(int(threads))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        outcomes = None
        if ray.get(self._attempts.begin.remote(row["group"])) <= _ATTEMPTS:
            outcomes = [self._work(task) for task in pickle.loads(row["tasks"])]
        return {"group": row["group"], "outcomes": pickle.dumps(outcomes)}
