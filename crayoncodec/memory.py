"""Memory that has been given up, but not to the system."""

from __future__ import annotations

import ctypes
import sys


def trim() -> None:
    """Have C's allocator give back what it keeps between small arrays: hundreds of MB after a large picture.

    Only glibc has that (malloc_trim(3)); elsewhere nothing happens.
    """
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:
            give_back(0)
