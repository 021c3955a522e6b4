"""The ``cray`` command, run in this process or in one of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from click.testing import CliRunner
from pictures import photo

from crayoncodec.commands.cray import main

PHOTO = photo(40, 60)
"""What the files of the fixture ``folder`` show."""
GUIDED = ("decode", "--color", "guided")


def invoke(*arguments, code=0, stdin=b""):
    """Run the command in this process -> what it printed; it ends with this code."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def cray(*arguments, code=0, stdin=b""):
    """The same, and errors are one line each."""
    result = invoke(*arguments, code=code, stdin=stdin)
    if not result.stderr.startswith("Usage: ") and "bench" not in arguments:  # which says how far it is
        assert all(
            re.match(r"cray: |.* -> -: |.* -> .*\.cray: |\{", line) for line in result.stderr.splitlines()
        )
    return result


def names(folder="."):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def process(*arguments, **options):
    return subprocess.run([*arguments], capture_output=True, timeout=60, check=False, **options)
