"""Archives that tests make for themselves, and the commands that convert them."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from pictures import photo
from PIL import Image

from crayoncodec.commands.cray import main


def batch(*arguments, code=0):
    """Run ``cray batch`` in this process -> its totals."""
    result = CliRunner().invoke(main, ["batch", *map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return json.loads(result.stdout) if result.stdout else result.stderr


def counts(totals):
    """Files done now, done before, and failed."""
    return totals["done"], totals["skipped"], totals["failed"]


def tree(folder):
    """Paths and contents of all files, but the batch's own."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and ".cray-batch" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def failures(destination):
    """Source -> reason, as the report has them."""
    *lines, _ = map(json.loads, Path(destination, ".cray-batch/report.jsonl").read_text().splitlines())
    return {line["source"]: line["reason"] for line in lines}


def draw(path, seed=0, height=24, width=32):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo(height, width, seed)).save(path)
