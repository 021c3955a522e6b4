"""A batch: what is done is left as it is, the rest goes to an engine, and what comes back is written down.

Only this process writes the manifest and the report. It may be killed at any time: outputs appear
whole, and those that the manifest does not have are done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

import crayoncodec
from crayoncodec import errors
from crayoncodec.batch import state
from crayoncodec.batch.places import STATE, Place, Stat
from crayoncodec.batch.sources import Sources
from crayoncodec.batch.state import Manifest
from crayoncodec.batch.totals import Report, Totals, opened
from crayoncodec.batch.work import Task, Work
from crayoncodec.errors import BatchError, CheckpointError
from crayoncodec.files import jobs, pool
from crayoncodec.files.jobs import Job, Outcome

_SCRATCH: Final = f"{STATE}/tmp"
_LOOKED_AT: Final = 256
"""Files whose sizes and times are asked for at once, which is what object stores are quick at."""
_OWN: Final = "is what the batch itself keeps or reads"
REPORT: Final = "report.jsonl"

Engine = Callable[[Iterable[Task], Work], Generator[Outcome, None, None]]
"""Does tasks, which it takes as it needs them, and yields their outcomes in any order."""


@dataclass(frozen=True)
class Batch:
    """What is asked for."""

    sources: Sources
    destination: Place
    convert: jobs.Convert
    about: dict[str, Any]
    """All that the outputs depend on besides their sources; JSON."""
    state: Path | None = None
    """Folder of manifest and lock; by default DESTINATION/.cray-batch, which has to be on this machine."""
    report: Path | None = None
    """By default in that folder."""
    overwrite: bool = False
    """Whether outputs that are there and not this batch's are replaced."""
    verify: bool = False
    """Whether outputs are known by their content rather than their size."""

    @property
    def fingerprint(self) -> str:
        """Of ``about`` and this version."""
        text = json.dumps(self.about | {"version": crayoncodec.__version__}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Of manifest and lock. Raises BatchError."""
        if self.state is not None:
            return self.state
        if self.destination.folder is None:
            raise BatchError("lines cannot be added to objects in a store, expected --state FOLDER")
        return self.destination.folder / STATE

    @property
    def report_path(self) -> Path:
        """Of the report. Raises BatchError."""
        return self.report or self.folder / REPORT

    @property
    def locks(self) -> list[Path]:
        """Folders that no other batch may have meanwhile: that of the state, and the destination's."""
        own = self.destination.folder
        return sorted({self.folder.resolve()} | ({(own / STATE).resolve()} if own is not None else set()))


def local(workers: int) -> Engine:
    """The engine of this machine: so many processes."""

    def engine(tasks: Iterable[Task], work: Work) -> Generator[Outcome, None, None]:
        with closing(pool.run(tasks, work, workers, jobs.lost)) as results:
            for _, outcome in results:
                yield outcome

    return engine


def run(batch: Batch, engine: Engine, watch: Callable[[Outcome], None]) -> Totals:
    """Do a batch; ``watch`` is told of every file.

    Raises BatchError, CheckpointError and OSError for what stops all of it.
    """
    scratch = f"{_SCRATCH}/{os.urandom(8).hex()}"
    totals = Totals()
    with ExitStack() as stack:
        for folder in batch.locks:
            stack.enter_context(state.locked(folder))
        manifest = stack.enter_context(state.opened(batch.folder))
        lines = stack.enter_context(opened(batch.report_path))
        run = _Run(batch, manifest, lines, totals, watch)
        manifest.note(batch.about | {"version": crayoncodec.__version__, "fingerprint": batch.fingerprint})
        batch.destination.clear(_SCRATCH)
        batch.destination.prepare(scratch)
        work = Work(
            batch.convert, batch.sources.place, batch.destination, scratch, batch.fingerprint, batch.verify
        )
        try:
            with closing(engine(run.tasks(), work)) as outcomes:
                for outcome in outcomes:
                    run.settle(outcome)
        finally:
            batch.destination.clear(_SCRATCH)
        lines.totals(totals)
    return totals


class _Real(NamedTuple):
    """Where the places of a batch are when all links are followed, those that are on this machine."""

    destination: Path | None
    source: Path | None
    own: list[Path]
    """What the batch keeps, and the list that it reads."""


@dataclass(frozen=True)
class _Run:
    """A batch that is under way."""

    batch: Batch
    manifest: Manifest
    report: Report
    totals: Totals
    watch: Callable[[Outcome], None]

    def tasks(self) -> Iterator[Task]:
        """What is to be done; what is not is settled here."""
        waiting = self.batch.sources.jobs()
        while listed := list(islice(waiting, _LOOKED_AT)):
            chunk = [job for job in listed if job is not None]
            self.totals.left_out += len(listed) - len(chunk)
            possible = [job for job in chunk if job.error is None]
            sources = self.batch.sources.place.stats([job.source for job in possible])
            outputs = self.batch.destination.stats([job.target for job in possible])
            for job in chunk:
                if job.error is not None:
                    self.settle(Outcome(job, 0.0, errors.EXIT_SOME_FAILED, job.error))
            for job, source, output in zip(possible, sources, outputs, strict=True):
                found = self._looked_at(job, source, output)
                if isinstance(found, Task):
                    self.manifest.begin(found.target)
                    yield found
                else:
                    self.settle(found)

    def _looked_at(self, job: Job, source: Stat | None, output: Stat | None) -> Task | Outcome:
        """What is known of a file without reading it."""
        if source is None:
            return Outcome(job, 0.0, errors.EXIT_SOME_FAILED, "there is no such file")
        if (refusal := self._refusal(job, source, output)) is not None:
            return Outcome(job, 0.0, errors.EXIT_SOME_FAILED, f"its output {job.target} {refusal}")
        record = self.manifest.get(job.target)
        if (
            record is not None
            and output is not None
            and (record.source, record.job) == (job.source, self.batch.fingerprint)
            and (record.size, record.output_size) == (source.size, output.size)
        ):
            if record.mtime_ns == source.mtime_ns and not self.batch.verify:
                return Outcome(job, 0.0, report={"record": record, "as_before": True})
            return Task(job.source, job.target, None, source.size, source.mtime_ns, record)
        there = output is not None or self._is_link(job.target)
        if there and not self.batch.overwrite and not self.manifest.owns(job.target):
            reason = f"its output {job.target} was there before, use --overwrite to replace it"
            return Outcome(job, 0.0, errors.EXIT_SOME_FAILED, reason)
        return Task(job.source, job.target, None, source.size, source.mtime_ns)

    def _is_link(self, target: str) -> bool:
        """Whether there is a link, to nothing perhaps."""
        top = self._real.destination
        # As Path.is_symlink, but False too for a name that is too long: writing it will tell.
        return top is not None and os.path.islink(top / target)  # noqa: PTH114

    def _refusal(self, job: Job, source: Stat, output: Stat | None) -> str | None:
        """Why an output is not to be written, whatever is asked for."""
        if STATE in (part.casefold() for part in PurePosixPath(job.target).parts):
            return _OWN
        if (top := self._real.destination) is None:
            return None
        try:
            place = (top / job.target).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a null byte, links that go round
            return f"is no place for a file ({errors.one_line(error)})"
        if not place.is_relative_to(top):
            return "is not below the destination: a link leads out of it"
        if any(place.is_relative_to(path) for path in self._real.own):
            return _OWN
        if output is not None and output.file is not None and output.file == source.file:
            return "is its source"
        # What --overwrite would take for an output of before.
        if output is not None and not self.manifest.owns(job.target):
            folder = self._real.source
            if folder is not None and place.is_relative_to(folder) and self.batch.sources.accepts(place):
                return "is another source"
        return None

    @cached_property
    def _real(self) -> _Real:
        batch = self.batch
        destination, source = (
            None if place.folder is None else place.folder.resolve()
            for place in (batch.destination, batch.sources.place)
        )
        own = [batch.folder / name for name in (state.MANIFEST, state.LOCK)]
        own += [batch.report_path, *([] if batch.sources.listing is None else [batch.sources.listing])]
        own += [] if destination is None else [destination / STATE]
        return _Real(destination, source, [path.resolve() for path in own])

    def settle(self, outcome: Outcome) -> None:
        """Write down what became of a file. Raises what is not that file's fault."""
        if outcome.code == errors.EXIT_CHECKPOINT:
            raise CheckpointError(f"{outcome.job.source}: {outcome.error}")
        if outcome.code == errors.EXIT_USAGE:
            raise BatchError(f"{outcome.job.source}: {outcome.error}")
        if outcome.error is not None:
            self.report.failure(outcome)
        elif isinstance(outcome.job, Task):  # one that an engine has had
            self.manifest.add(outcome.report["record"])
        self.totals.add(outcome)
        self.watch(outcome)
