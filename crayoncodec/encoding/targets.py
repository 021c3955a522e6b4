"""Which qualities meet a target: a largest difference, or a number of bytes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final

from crayoncodec.encoding.encoder import Encoder, Qualities
from crayoncodec.errors import CrayWarning, ImageError

_LIGHTNESS_WEIGHT: Final = 4.0
"""Of squared errors of L* beside those of a* and b*, where bytes are shared out between them."""
_SHARED: Final = tuple(range(0, 101, 10))
_MIDDLE: Final = 50
"""Lightness quality beside which colour qualities are compared."""
_WHOLE: Final = 101


def for_error(coder: Encoder, quality: int, largest: float) -> Qualities:
    """The least colour quality with which CIEDE2000 is at most ``largest`` for 95 % of the pixels.

    Measured on what guided upsampling makes of it. Where no colour quality will do, the lightness quality
    is raised; where no quality will do, a CrayWarning says so.
    """
    if coder.difference(Qualities(quality, 100)) > largest:
        quality = (
            _WHOLE if coder.lossless  # every quality is the same plane
            else least(quality, lambda q: coder.difference(Qualities(q, 100)) <= largest)
        )  # fmt: skip
        if quality == _WHOLE:
            warnings.warn(
                f"no quality brings CIEDE2000 down to {largest:g} for 95 % of the pixels, "
                "both qualities are 100",
                CrayWarning,
                stacklevel=3,
            )
            return Qualities(100, 100)
    return Qualities(quality, least(0, lambda q: coder.difference(Qualities(quality, q)) <= largest))


def for_size(coder: Encoder, target: int, rest: int, framing: int) -> Qualities:
    """The best qualities with which a file has at most ``target`` bytes.

    rest: what it has besides lightness and colour; framing: a chunk besides its payload. Both are given
    bytes where the next ones take most off the squared error. Raises ImageError where even the least
    quality takes more.
    """

    def size_of(quality: int) -> int:
        return len(coder.lightness(quality).chunk.payload)

    def size(qualities: Qualities) -> int:
        return sum(len(chunk.payload) + framing for chunk in coder.nested_chunks(qualities))

    def left(quality: int) -> int:
        return room - size_of(quality)

    def fits(quality: int) -> bool:
        return size(Qualities(quality, 0)) <= left(quality)

    room = target - rest
    light = [(size_of(quality), coder.lightness_error(quality)) for quality in _SHARED]
    pairs = [Qualities(_MIDDLE, quality) for quality in _SHARED]
    paint = [(size(pair), coder.color_error(pair)) for pair in pairs]
    best = min(
        ((one + _LIGHTNESS_WEIGHT * other, i, j)
         for i, (bytes_i, other) in enumerate(light)
         for j, (bytes_j, one) in enumerate(paint) if bytes_i + bytes_j <= room),
        default=None,
    )  # fmt: skip
    if best is None or not fits(0):
        needed = target - left(0) + size(Qualities(0, 0))
        if needed > target:
            raise ImageError(f"the file cannot have {target} bytes, expected at least {needed}")
        return Qualities(0, 0)
    _, i, j = best
    beside = room - paint[j][0]
    finer = _last(_SHARED[i], lambda q: size_of(q) <= beside)
    if not fits(finer):  # colours were measured beside another lightness
        finer = _last(0, fits)
    return Qualities(finer, _last(0, lambda q: size(Qualities(finer, q)) <= left(finer)))


def least(first: int, good: Callable[[int], bool]) -> int:
    """The least of first to 100 that is good, if all above a good one are; 101 if none is."""
    low, high = first, _WHOLE
    while low < high:
        middle = (low + high) // 2
        if good(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _last(first: int, good: Callable[[int], bool]) -> int:
    """The largest of first to 100 that is good, if all below a good one are; ``first`` is taken to be."""
    return least(first + 1, lambda quality: not good(quality)) - 1
