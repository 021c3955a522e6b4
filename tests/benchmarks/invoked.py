"""The command ``python -m benchmarks``, run in this process."""

from __future__ import annotations

from click.testing import CliRunner

from benchmarks.__main__ import main


def invoke(*arguments, code=0):
    """Run it -> what it printed, as ``stdout`` and ``stderr``. What it should not raise is raised here."""
    done = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done
