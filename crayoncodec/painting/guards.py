"""What may go wrong where a network runs: memory, numbers that are not finite, forked processes."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from crayoncodec.machine import process

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch's error says that memory could not be had; it has no type for that on a CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "alloc" in text


def is_finite(values: NDArray[np.float32]) -> bool:
    """Whether there is no infinity and no NaN among them: their sum would be one, too."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(values.sum())


_inherited = False
"""Whether this process was forked from one that had imported torch, and has not been held to a thread yet."""


def in_one_thread_if_forked() -> None:
    """Have torch compute in one thread in a process that was forked from one that had imported it.

    OpenMP's threads are not there, and torch would wait for them for ever.
    """
    global _inherited  # noqa: PLW0603 - the setting is the process's
    if _inherited:
        import torch

        torch.set_num_threads(1)
        _inherited = False


def _forked() -> None:
    global _inherited  # noqa: PLW0603 - likewise
    _inherited = "torch" in sys.modules


process.in_children(_forked)
