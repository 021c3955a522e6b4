"""Memory that has been given up, but not to the system."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_LARGE: Final = 2**24
"""Pixels of a picture, up to which little is kept."""


def trim(pixels: int) -> None:
    """After a step on a large picture have C's allocator give back what it keeps: hundreds of MB.

    Only glibc has that (malloc_trim(3)); elsewhere nothing happens.
    """
    if pixels > _LARGE and sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:
            give_back(0)
