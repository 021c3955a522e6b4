"""The house: where things are can be told from their names."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_LINES = 400
SOURCES = [path for room in ("crayoncodec", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
STANDARD_LIBRARY_ONLY = (
    "color.geometry", "format.chunks", "format.container", "format.information", "format.limits", "errors",
)  # fmt: skip


def test_every_name_is_said_once():
    names = Counter(path.stem for path in SOURCES if not path.stem.startswith("__"))
    assert {name for name, count in names.items() if count > 1} == set()


def test_no_module_is_longer_than_can_be_read():
    lines = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES + TESTS
    }
    assert len(lines) > 100
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_what_reads_headers_needs_the_standard_library_only():
    imports = "; ".join(f"import crayoncodec.{name}" for name in STANDARD_LIBRARY_ONLY)
    program = (
        f"import sys; before = {{*sys.modules}}; {imports}; found = {{*sys.modules}} - before; "
        "print(*{name.split('.')[0] for name in found} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "crayoncodec\n"
