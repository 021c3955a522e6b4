"""Results: one row for each suite, codec, setting and picture; a journal, then one JSON file.

The file has one record for each suite, codec and setting, with a list of values, one for each picture, under
the name of each measure. What could not be measured is ``null`` there, and ``holes`` says why.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring.dataset import Dataset
from crayoncodec.files.atomic import atomic_write

SCHEMA = 1
_DIGITS = 6
_LIBRARIES = ("numpy", "opencv-python", "scipy", "ssimulacra2")
"""What distortions are computed with; codecs name their own."""

Key = tuple[str, str, str, str]
"""Suite, codec, setting, picture."""
Values = dict[str, float]


class OtherResults(Exception):
    """A file that is not one of results, or not of this version or dataset; the message says what it is."""


@dataclass(frozen=True)
class Row:
    """What one codec at one setting makes of one picture, or the reason why that is not known."""

    suite: str
    codec: str
    setting: str
    picture: str
    values: Values | None
    reason: str = ""

    @property
    def key(self) -> Key:
        """What there is one row of."""
        return self.suite, self.codec, self.setting, self.picture


@dataclass
class Results:
    """Rows, and what they were measured on and with."""

    dataset: dict[str, Any]
    """folder (its name), crop, pictures, skipped (file -> reason)."""
    environment: dict[str, Any]
    """The libraries that all measurements share, and the machine (MACHINE) that timings are of."""
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Codec -> library -> version."""
    rows: dict[Key, Row] = field(default_factory=dict)

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows over; one that is there already is replaced."""
        self.rows.update((row.key, row) for row in rows)

    def measured(self, key: Key) -> bool:
        """Whether there is a row with values for ``key``."""
        return key in self.rows and self.rows[key].values is not None

    def settings(self, suite: str, codec: str) -> list[str]:
        """The settings that a codec has rows for, in the order in which they were measured."""
        return list(dict.fromkeys(row.setting for row in self._of(suite) if row.codec == codec))

    def codecs(self, suite: str) -> list[str]:
        """The codecs of a suite, likewise."""
        return list(dict.fromkeys(row.codec for row in self._of(suite)))

    def pictures(self, suite: str) -> list[str]:
        """The pictures, or sizes, of a suite, likewise."""
        return list(dict.fromkeys(row.picture for row in self._of(suite)))

    def values(self, suite: str, codec: str, setting: str, measure: str) -> dict[str, float]:
        """Picture -> value, for those that have one."""
        found = {}
        for picture in self.pictures(suite):
            row = self.rows.get((suite, codec, setting, picture))
            if row is not None and row.values is not None and measure in row.values:
                found[picture] = row.values[measure]
        return found

    def mean(self, suite: str, codec: str, setting: str, measure: str) -> float | None:
        """Over all the suite's pictures; None if one has no value. What is exact has an infinite PSNR."""
        values = []
        for picture in self.pictures(suite):
            row = self.rows.get((suite, codec, setting, picture))
            if row is None or row.values is None:
                return None
            if measure not in row.values and not measure.startswith("psnr"):
                return None
            values.append(row.values.get(measure, math.inf))
        return sum(values) / len(values) if values else None

    def check_pictures(self, pictures: Dataset, path: Path) -> None:
        """Refuse (OtherResults) to add what is measured on other pictures to those of the file ``path``."""
        if (self.dataset["crop"], self.dataset["sha256"]) != (pictures.crop, pictures.sha256):
            raise OtherResults(f"{path} is of other pictures than those in {pictures.folder}")

    def holes(self, suite: str) -> Iterator[Row]:
        """The rows without values."""
        return (row for row in self._of(suite) if row.values is None)

    def _of(self, suite: str) -> Iterator[Row]:
        return (row for row in self.rows.values() if row.suite == suite)


MACHINE: Final = ("cpu", "cores")
"""What timings depend on; nothing else does, down to the last digits that are kept."""


def environment() -> dict[str, Any]:
    """What machine this is, and the libraries that all measurements share."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def save(results: Results, path: Path) -> None:
    """Write the JSON file, whole or not at all."""
    records: dict[tuple[str, str, str], list[Row]] = {}
    for row in results.rows.values():
        records.setdefault((row.suite, row.codec, row.setting), []).append(row)
    head = {"schema": SCHEMA, "dataset": results.dataset, "environment": results.environment}
    versions = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in results.versions.items()]
    lines = [
        json.dumps(_record(rows, results.dataset["pictures"]), ensure_ascii=False)
        for rows in records.values()
    ]
    text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    text += (
        ',\n "versions": {\n'
        + ",\n".join(versions)
        + '\n },\n "records": [\n'
        + ",\n".join(lines)
        + "\n ]\n}\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(text.encode("utf-8"))


def begun(path: Path, pictures: Dataset) -> Results:
    """What a file has of these pictures, or nothing yet. Raises OtherResults, OSError."""
    if not path.exists():
        return Results(pictures.describe(), environment())
    found = load(path)
    found.check_pictures(pictures, path)
    return found


def load(path: Path) -> Results:
    """Read the JSON file. Raises OtherResults if it is not one, OSError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check_schema(content, path)
        results = Results(content["dataset"], content["environment"], content["versions"])
        for record in content["records"]:
            results.add(_rows(record, results.dataset["pictures"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise OtherResults(f"{path} is not a results file ({type(error).__name__}: {error})") from error
    return results


def _check_schema(head: dict[str, Any], path: Path) -> None:
    if head["schema"] != SCHEMA:
        raise OtherResults(f"{path} has results of version {head['schema']}, expected {SCHEMA}")


def _record(rows: list[Row], pictures: list[str]) -> dict[str, Any]:
    names = [row.picture for row in rows]
    record: dict[str, Any] = {"suite": rows[0].suite, "codec": rows[0].codec, "setting": rows[0].setting}
    if names != pictures:
        record["pictures"] = names
    measures = dict.fromkeys(name for row in rows for name in row.values or {})
    record["values"] = {
        name: [_rounded(row.values[name]) if row.values and name in row.values else None for row in rows]
        for name in measures
    }
    if holes := {row.picture: row.reason for row in rows if row.values is None}:
        record["holes"] = holes
    return record


def _rows(record: dict[str, Any], pictures: list[str]) -> Iterator[Row]:
    holes = record.get("holes", {})
    for index, picture in enumerate(record.get("pictures", pictures)):
        values = None
        if picture not in holes:
            found = {name: column[index] for name, column in record["values"].items()}
            values = {name: value for name, value in found.items() if value is not None}
        yield Row(
            record["suite"], record["codec"], record["setting"], picture, values, holes.get(picture, "")
        )


def _rounded(value: float) -> float:
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() else short


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


@contextmanager
def journal(path: Path, results: Results) -> Iterator[Callable[[Iterable[Row]], None]]:
    """A file of JSON lines with ``results`` so far; what the function is given is added at once."""
    with atomic_write(path) as stream:
        head = {name: value for name, value in vars(results).items() if name != "rows"}
        for line in ({"schema": SCHEMA} | head, *map(vars, results.rows.values())):
            stream.write((json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8"))
    with path.open("a", encoding="utf-8") as stream:

        def append(rows: Iterable[Row]) -> None:
            stream.writelines(json.dumps(vars(row), ensure_ascii=False) + "\n" for row in rows)
            stream.flush()

        yield append


def load_journal(path: Path) -> Results:
    """Read a journal; a last line that was cut short is left out. Raises OtherResults, OSError."""
    lines = path.read_text(encoding="utf-8").split("\n")
    try:
        head, *rows = map(json.loads, lines[:-1])
        _check_schema(head, path)
        results = Results(head["dataset"], head["environment"], head["versions"])
        results.add(Row(**row) for row in rows)
    except (ValueError, LookupError, TypeError) as error:
        raise OtherResults(f"{path} is not a journal of results ({type(error).__name__}: {error})") from error
    return results
