"""What a codec is here: RGB array in memory <-> bytes in memory, as a user of its library gets it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

Options = dict[str, Any]


class Unavailable(Exception):
    """A codec that cannot run here; the message says what is missing."""


def label(options: Options) -> str:
    """What a setting is called in results and tables."""
    return " ".join(f"{name}={value}" for name, value in options.items()) or "lossless"


def labelled(settings: tuple[Options, ...], name: str) -> Options:
    """The one of ``settings`` whose label is ``name``."""
    return next(options for options in settings if label(options) == name)


def varied(name: str, values: Iterable[Any]) -> tuple[Options, ...]:
    """Settings that differ in one option."""
    return tuple({name: value} for value in values)


@dataclass(frozen=True, eq=False)
class Codec:
    """A codec under the name that tables use, with the settings that it is measured at."""

    name: str
    files: tuple[Options, ...] = ()
    """Settings of the whole-file curve, from small files to large ones."""
    colors: tuple[Options, ...] = ()
    """Settings of the colour curve."""
    typical: Options | None = None
    """The setting that is timed at several sizes; None for codecs that are not."""

    def versions(self) -> dict[str, str]:
        """Library -> version. Raises Unavailable."""
        raise NotImplementedError

    def encode(self, rgb: np.ndarray, options: Options) -> bytes:
        """u8[H,W,3] sRGB -> a file."""
        raise NotImplementedError

    def decode(self, data: bytes) -> np.ndarray:
        """A file -> u8[H,W,3] sRGB."""
        raise NotImplementedError

    def color_bytes(self, rgb: np.ndarray, data: bytes, options: Options) -> int:
        """How many bytes of ``data``, the file of ``rgb`` at ``options``, are there for its colour."""
        raise NotImplementedError


def installed(distribution: str) -> dict[str, str]:
    """Its version. Raises Unavailable."""
    try:
        return {distribution: metadata.version(distribution)}
    except metadata.PackageNotFoundError as error:
        raise Unavailable(f"{distribution} is not installed") from error
