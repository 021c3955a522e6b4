"""What commands print, and how they end."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any, Final, NoReturn

from crayoncodec import errors
from crayoncodec.files import jobs, streams

_BAR_DELAY: Final = 1.0
"""Seconds."""


def say_all(lines: str) -> None:
    """Print lines to standard output."""
    for line in lines.splitlines():
        streams.say(line)


def warn(line: str) -> None:
    """Print a line to standard error."""
    streams.say(f"cray: {line}", err=True)


def finish(
    outcomes: Generator[jobs.Outcome, None, None], planned: Sequence[jobs.Job], as_json: bool, quiet: bool,
    left_out: int = 0,
) -> None:  # fmt: skip
    """Print outcomes as they come, under a progress bar where a person watches, and exit."""
    codes = []
    # Lines never mix with a picture on standard output.
    to_stderr = any(job.target == jobs.STREAM for job in planned)
    watched = not quiet and sys.stderr.isatty()
    with closing(outcomes), _bar(len(planned)) if watched else nullcontext(nullcontext) as passed:
        for outcome in outcomes:
            codes.append(outcome.code)
            with passed():
                _print(outcome, as_json, quiet, to_stderr)
    if left_out and not quiet:
        streams.say(f"cray: {left_out} left out: {jobs.CLUTTER}", err=True)
    sys.exit(errors.exit_code(codes))


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """A progress bar, and what to print in when one more of ``total`` is done."""
    from tqdm import tqdm

    @contextmanager
    def passed() -> Iterator[None]:
        bar.update()
        with tqdm.external_write_mode():
            yield

    delay = _BAR_DELAY if total == 1 else 0
    with tqdm(total=total, delay=delay, leave=False, unit=" files") as bar, _alive(bar):
        yield passed


@contextmanager
def _alive(bar: Any) -> Iterator[None]:
    """Redraw a progress bar every second, so that its clock runs while one file takes long."""
    done = threading.Event()

    def redraw() -> None:
        while not done.wait(_BAR_DELAY):
            bar.refresh()

    thread = threading.Thread(target=redraw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _print(outcome: jobs.Outcome, as_json: bool, quiet: bool, to_stderr: bool) -> None:
    job = outcome.job
    for warning in outcome.warnings:
        streams.say(f"cray: {job.source}: warning: {warning}", err=True)
    if outcome.error is not None and not (job.target == jobs.STREAM and streams.reader_left()):
        streams.say(f"cray: {job.source}: {outcome.error}", err=True)
    if quiet or (outcome.error is not None and not as_json):
        return
    if as_json:
        line = {
            "input": job.source,
            **({"output": job.target} if job.target else {}),
            "code": outcome.code,
            "error": outcome.error,
            "warnings": outcome.warnings,
            "seconds": round(outcome.seconds, 4),
            **outcome.report,
        }
        streams.say(json_line(line), err=to_stderr)
    elif not outcome.report:
        streams.say(f"{job.source}: ok")
    else:
        report = outcome.report
        share = 100 * report["output_bytes"] / max(1, report["input_bytes"])
        streams.say(
            f"{job.source} -> {job.target}: {report['width']} x {report['height']}, "
            f"{report['input_bytes']:,} -> {report['output_bytes']:,} bytes ({share:.0f} %), "
            f"{outcome.seconds:.2f} s",
            err=to_stderr,
        )


def json_line(values: dict[str, Any]) -> str:
    """An object of JSON Lines."""
    return json.dumps(_finite(values))


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def fail(name: str, error: BaseException) -> NoReturn:
    """Print what is wrong with an input in one line, and exit with the code for it."""
    errors.give_way(error)
    streams.say(f"cray: {name}: {errors.one_line(error)}", err=True)
    sys.exit(errors.code_of(error))
