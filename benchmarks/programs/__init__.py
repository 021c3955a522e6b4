"""What the commands of ``python -m benchmarks`` do, a module each."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes one line for the user."""
