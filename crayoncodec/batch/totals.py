"""What a batch tells: totals, and one line of JSON for each file that failed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from crayoncodec.batch.state import Record
from crayoncodec.files.jobs import Outcome


@dataclass
class Totals:
    """Counts. Bytes and pixels are of all files that are done, now or before."""

    done: int = 0
    skipped: int = 0
    """Done before."""
    failed: int = 0
    left_out: int = 0
    """Of a tree: what is nobody's picture."""
    warned: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    pixels: int = 0
    new_pixels: int = 0
    """Of the files done now."""
    started: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        """Count a file."""
        record: Record | None = outcome.report.get("record")
        if record is None:
            self.failed += 1
            return
        self.warned += bool(record.warnings)
        self.input_bytes += record.size
        self.output_bytes += record.output_size
        self.pixels += record.pixels
        if outcome.report.get("as_before"):
            self.skipped += 1
        else:
            self.done += 1
            self.new_pixels += record.pixels

    def summary(self) -> dict[str, Any]:
        """The same, with the ratio of output to input bytes, and the rates of the files done now."""
        seconds = time.monotonic() - self.started
        return {
            "done": self.done,
            "skipped": self.skipped,
            "failed": self.failed,
            "left_out": self.left_out,
            "warned": self.warned,
            "input_bytes": self.input_bytes,
            "output_bytes": self.output_bytes,
            "ratio": round(self.output_bytes / max(1, self.input_bytes), 6),
            "pixels": self.pixels,
            "seconds": round(seconds, 3),
            "files_per_s": round(self.done / seconds, 3),
            "megapixels_per_s": round(self.new_pixels / 1e6 / seconds, 3),
        }


class Report:
    """The file, begun anew. Its last line has the totals; without it the batch was cut short."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def failure(self, outcome: Outcome) -> None:
        """Add a line."""
        self._append(
            {
                "source": outcome.job.source,
                "reason": outcome.error,
                "code": outcome.code,
                "seconds": round(outcome.seconds, 3),
                "warnings": outcome.warnings,
            }
        )

    def totals(self, totals: Totals) -> None:
        """Add the last line."""
        self._append({"totals": totals.summary()})

    def _append(self, content: dict[str, Any]) -> None:
        self._stream.write(json.dumps(content) + "\n")
        self._stream.flush()


@contextmanager
def opened(path: Path) -> Iterator[Report]:
    """Begin a report. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        yield Report(stream)
