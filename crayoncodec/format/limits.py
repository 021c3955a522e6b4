"""What a file may ask for. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crayoncodec.errors import LimitError


@dataclass(frozen=True)
class Limits:
    """What a file may ask for; checked before anything of that size is allocated."""

    pixels: int = 178_956_970
    """Pixels of the picture (``--max-pixels``). The default is Pillow's own limit, in whose place this one is
    when pictures of other formats are read."""
    side: int = 2**18
    """Pixels of the longer side; the lossless coder's time grows with it."""
    metadata: int = 64 * 2**20
    """Bytes of all ancillary chunks together: their payloads, and the framing of those of unknown types."""
    ancillary: int = 1000
    """Ancillary chunks; encoders write three at most."""

    def __post_init__(self) -> None:
        """Raise ValueError for what nothing can be compared with; infinity is no limit."""
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"{name} is {value!r}, expected a number from 0 on")

    def check_size(self, width: int, height: int) -> None:
        """Raise LimitError for a picture that is too large."""
        if width * height > self.pixels:
            raise LimitError(
                f"picture is {width} x {height} = {width * height} pixels, the limit is {self.pixels} "
                "(--max-pixels, Limits.pixels)"
            )
        if max(width, height) > self.side:
            raise LimitError(f"picture is {width} x {height}, the limit of a side is {self.side}")


DEFAULT_LIMITS: Final = Limits()


def check_limits(limits: Limits) -> None:
    """Raise TypeError for anything else."""
    if not isinstance(limits, Limits):
        raise TypeError(f"limits is {limits!r}, expected Limits(...)")
