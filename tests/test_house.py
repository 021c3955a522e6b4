"""The house: where things are can be told from their names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES = 400
SOURCES = [path for room in ("crayoncodec", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
STANDARD_LIBRARY_ONLY = (
    "color/geometry",
    "format/chunks",
    "format/container",
    "format/information",
    "format/limits",
)


def test_every_name_is_said_once():
    names = Counter(path.stem for path in SOURCES if not path.stem.startswith("__"))
    assert {name for name, count in names.items() if count > 1} == set()


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_longer_than_can_be_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
