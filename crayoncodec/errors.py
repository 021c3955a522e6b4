"""Every error and warning that crayoncodec raises on purpose, and the exit codes for them.

Anything else that escapes is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final


class CrayError(Exception):
    """Base of all errors about data; its text is one line: what, where, what was expected."""


class FormatError(CrayError):
    """The bytes are not a .cray file that this version can read: damaged, cut off, or too new."""


class LimitError(CrayError):
    """The file or picture is larger than the limits in force allow."""


class ImageError(CrayError):
    """The picture handed to the encoder cannot be read or encoded, or not be written as asked."""


class CheckpointError(CrayError):
    """A checkpoint is missing, damaged, not what its model card describes, or for files of another kind."""


class TrainingError(CrayError):
    """A recipe, its data or the folder of a run cannot be used as asked."""


class BatchError(CrayError):
    """The source, the destination or the state of a batch cannot be used as asked."""


class DeviceError(CrayError):
    """The device or backend asked for is not there, or cannot run the network."""


class CrayWarning(UserWarning):
    """Something was left out or assumed; the result is still what was asked for."""


EXIT_DONE: Final = 0
EXIT_SOME_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREADABLE: Final = 3
EXIT_CHECKPOINT: Final = 4
EXIT_INTERRUPTED: Final = 130


def give_way(error: BaseException) -> None:
    """Raise KeyboardInterrupt if it is what an error comes from, as it may where Ctrl-C stops an import."""
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        reason = reason.__cause__ or reason.__context__


def code_of(error: BaseException) -> int:
    """The exit code that stands for an error."""
    if isinstance(error, CheckpointError):
        return EXIT_CHECKPOINT
    if isinstance(error, BatchError | DeviceError | TrainingError):
        return EXIT_USAGE
    return EXIT_UNREADABLE if isinstance(error, CrayError) else EXIT_SOME_FAILED


def exit_code(codes: Sequence[int]) -> int:
    """0 if all went well, 1 if some failed, the worst code if all did."""
    failed = [code for code in codes if code != EXIT_DONE]
    if not failed:
        return EXIT_DONE
    return max(failed) if len(failed) == len(codes) else EXIT_SOME_FAILED


def one_line(error: BaseException) -> str:
    """An error's text on one line, without the path that OSError repeats."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "out of memory"
    text = " ".join(str(error).split())
    return text if isinstance(error, CrayError | OSError) else f"{type(error).__name__} {text}".strip()
