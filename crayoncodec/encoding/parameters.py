"""The encoder's options: which values they may have, and which exclude each other. Loads no numpy."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Final

from crayoncodec.color.geometry import MAX_SPACING, MIN_SPACING, SAMPLINGS
from crayoncodec.format.chunks import PLANE_CODERS

DEFAULT_QUALITY: Final = 80
DEFAULT_EFFORT: Final = 5
_EXCLUDES: Final = {
    "n": ("color_quality", "max_delta_e", "target_size"),
    "max_delta_e": ("color_quality", "target_size"),
    "target_size": ("quality", "color_quality", "lossless"),
}
"""Options of ``encode`` and those that they take the place of."""
_RANGES: Final = (
    ("quality", 0, 100),
    ("color_quality", 0, 100),
    ("effort", 1, 9),
    ("n", MIN_SPACING, MAX_SPACING),
)


def check_options(**given: Any) -> None:
    """Raise ValueError for an option of ``encode`` that is out of range, or beside one that it excludes."""
    _check_numbers(given)
    if given.get("lossless", False) not in (True, False):
        raise ValueError(f"lossless is {given['lossless']!r}, expected True or False")
    if given.get("lightness") not in (None, *PLANE_CODERS):
        raise ValueError(f"lightness is {given['lightness']!r}, expected one of {', '.join(PLANE_CODERS)}")
    if given.get("sampling", "mean") not in SAMPLINGS:
        raise ValueError(f"sampling is {given['sampling']!r}, expected one of {', '.join(SAMPLINGS)}")
    if given.get("n") is None:
        for name, default in (("sampling", "mean"), ("step", None)):
            if given.get(name, default) != default:
                raise ValueError(f"{name} is of one grid, expected n with it")
    for one, others in _EXCLUDES.items():
        if given.get(one) is not None:
            for other in others:
                if given.get(other) is not None and given[other] is not False:
                    raise ValueError(f"{one} does not go with {other}, expected one of them")


def _check_numbers(given: dict[str, Any]) -> None:
    """The part of ``check_options`` that is of numbers; numpy's are taken, True and False are none."""
    for name, least, most in _RANGES:
        value = given.get(name)
        if value is None and name == "effort" and name in given:
            raise ValueError("effort is None, expected a whole number of 1 to 9")
        if value is not None and not (is_number(value, Integral) and least <= value <= most):
            raise ValueError(f"{name} is {value}, expected a whole number of {least} to {most}")
    for name, kind, what in (
        ("max_delta_e", Real, "more than 0"), ("step", Real, "more than 0"),
        ("target_size", Integral, "more than 0 bytes, a whole number"),
    ):  # fmt: skip
        value = given.get(name)
        if value is not None and not (is_number(value, kind) and value > 0):
            raise ValueError(f"{name} is {value}, expected {what}")


def is_number(value: object, kind: type) -> bool:
    """Whether it is a number of a kind of ``numbers``; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)
