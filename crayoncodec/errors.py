"""Every error and warning that crayoncodec raises on purpose. Anything else that escapes is a bug."""

from __future__ import annotations


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
