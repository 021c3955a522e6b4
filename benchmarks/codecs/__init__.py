"""Codecs as adapters, in ``CODECS``: ours and their rivals, each bytes in memory to array in memory and back.

Nothing that only one codec needs is imported before that codec is used, so that start-up times are its own.
"""

from __future__ import annotations

from benchmarks.codecs.adapter import Codec
from benchmarks.codecs.ours import OURS
from benchmarks.codecs.rivals import RIVALS

CODECS: dict[str, Codec] = {codec.name: codec for codec in (*RIVALS, *OURS)}
