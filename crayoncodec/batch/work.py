"""What a process or an actor does: one file after another, with a network that it loads once."""

from __future__ import annotations

import hashlib
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from crayoncodec import errors
from crayoncodec.batch.places import Place
from crayoncodec.batch.state import Record
from crayoncodec.files import jobs
from crayoncodec.files.jobs import Job, Outcome


@dataclass(frozen=True)
class Task(Job):
    """A file that is to be done, or that has to be looked at."""

    size: int = 0
    mtime_ns: int = 0
    """Of the source before it is read: if it changes later, it is looked at again next time."""
    known: Record | None = None
    """What the manifest says, if only contents can tell whether that still holds."""


@dataclass(frozen=True)
class Work:
    """Tasks -> outcomes. Picklable.

    The report of an outcome has the Record, and ``as_before`` if nothing had to be done.
    """

    convert: jobs.Convert
    source: Place
    destination: Place
    scratch: str
    """A folder of the destination. What an earlier batch left behind cannot finish: its folder is gone."""
    fingerprint: str
    verify: bool
    """Whether outputs are known by their content rather than their size."""

    def __call__(self, task: Task) -> Outcome:
        """Whatever goes wrong is in the outcome."""
        start = time.perf_counter()
        collected: list[warnings.WarningMessage] = []
        report: dict[str, Record | bool] = {}
        code, error = errors.EXIT_DONE, None
        try:
            if task.known is not None and self._holds(task, task.known):
                report = {"record": replace(task.known, mtime_ns=task.mtime_ns), "as_before": True}
            else:
                with jobs.collected_warnings() as collected:
                    record = self._record(task)
                report = {"record": replace(record, warnings=_texts(collected))}
        except Exception as failure:  # whatever it is, the other files are still to be done
            code, error = errors.code_of(failure), errors.one_line(failure)
        return Outcome(task, time.perf_counter() - start, code, error, _texts(collected), report)

    def _holds(self, task: Task, known: Record) -> bool:
        if self.verify and _sha256(self.destination.read(known.target)) != known.output_sha256:
            return False
        return task.mtime_ns == known.mtime_ns or _sha256(self.source.read(task.source)) == known.sha256

    def _record(self, task: Task) -> Record:
        data = self.source.read(task.source)
        result, report = self.convert(lambda: data, Path(task.target).suffix)
        self.destination.write(task.target, result, self.scratch)
        return Record(
            source=task.source,
            size=len(data),
            mtime_ns=task.mtime_ns,
            sha256=_sha256(data),
            job=self.fingerprint,
            target=task.target,
            output_size=len(result),
            output_sha256=_sha256(result),
            pixels=report["width"] * report["height"],
        )


def _texts(collected: list[warnings.WarningMessage]) -> tuple[str, ...]:
    return tuple(str(warning.message) for warning in collected)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
