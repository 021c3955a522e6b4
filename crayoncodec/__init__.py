"""crayoncodec: pictures as a lightness plane and sparse grids of their colours, in .cray files.

Importing this package loads nothing heavy; numpy, OpenCV and torch come with the first call that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from crayoncodec.codec import Decoder, decode, encode, is_cray, read, verify, write
    from crayoncodec.errors import (
        BatchError,
        CheckpointError,
        CrayError,
        CrayWarning,
        DeviceError,
        FormatError,
        ImageError,
        LimitError,
        TrainingError,
    )
    from crayoncodec.format.information import Info, info
    from crayoncodec.format.limits import Limits

__version__ = "0.1.0"

_HOMES: Final = {
    "codec": ("Decoder", "decode", "encode", "is_cray", "read", "verify", "write"),
    "errors": (
        "BatchError",
        "CheckpointError",
        "CrayError",
        "CrayWarning",
        "DeviceError",
        "FormatError",
        "ImageError",
        "LimitError",
        "TrainingError",
    ),
    "format.information": ("Info", "info"),
    "format.limits": ("Limits",),
}

__all__ = [
    "BatchError",
    "CheckpointError",
    "CrayError",
    "CrayWarning",
    "Decoder",
    "DeviceError",
    "FormatError",
    "ImageError",
    "Info",
    "LimitError",
    "Limits",
    "TrainingError",
    "decode",
    "encode",
    "info",
    "is_cray",
    "read",
    "verify",
    "write",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"crayoncodec.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
