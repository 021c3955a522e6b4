"""What may go wrong where a network runs: memory, numbers that are not finite, forked processes."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from crayoncodec.errors import DeviceError
from crayoncodec.machine import process

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a runtime's error says that memory could not be had; none of them has a type for it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in text for words in ("out of memory", "insufficient memory", "alloc")
    )


def is_finite(values: NDArray[np.float32]) -> bool:
    """Whether there is no infinity and no NaN among them: their sum would be one, too."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(values.sum())


_inherited: set[str] = set()
"""Of torch and openvino, those that this process has not imported, but the one that it was forked from."""


def in_one_thread_if_forked() -> None:
    """Have torch compute in one thread in a process that was forked from one that had imported it.

    OpenMP's threads are not there, and torch would wait for them for ever.
    """
    if "torch" in _inherited:
        import torch

        torch.set_num_threads(1)
        _inherited.discard("torch")


def check_forked(name: str) -> None:
    """Raise DeviceError for a backend that does not run here (``runs_here``)."""
    if not runs_here(name):
        raise DeviceError(
            f"backend {name} cannot run in a process that was forked from one that had loaded it, "
            "expected another backend, or processes that are spawned"
        )


def runs_here(name: str) -> bool:
    """False for OpenVINO in a process that was forked from one that had loaded it.

    It waits there for ever for the threads of that one, in a new network, too.
    """
    return not (name == "openvino" and name in _inherited)


def _forked() -> None:
    _inherited.clear()
    _inherited.update({"torch", "openvino"} & sys.modules.keys())


process.in_children(_forked)
