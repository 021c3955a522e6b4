"""Processes that are forked: they have what there is, but of the threads only the one that forked."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable


def in_children(renew: Callable[[], None]) -> None:
    """Have ``renew`` called in every process that is forked from now on.

    What another thread was in the middle of is in the middle for ever there, a lock that it held, too.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


def keep_for_ever(value: object) -> None:
    """Never free it: that may mean to wait for threads that are not there."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
