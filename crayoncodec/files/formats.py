"""Which picture formats there are: Pillow's and those of plugins for it that are installed."""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import IO, Final

from PIL import Image, ImageFile

from crayoncodec.errors import ImageError

_UNREADABLE: Final = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
"""What Pillow recognises but cannot decode, or only with a program that is not Pillow's."""
_HEIC_EXTRA: Final = "pip install crayoncodec[heif]"
_JXL_EXTRA: Final = "pip install crayoncodec[jxl]"
_EXTRAS: Final = dict.fromkeys((".heic", ".heif", ".hif"), _HEIC_EXTRA) | {".jxl": _JXL_EXTRA}
_HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_PREFIX: Final = 16
"""Bytes that Pillow's plugins know their files by."""


def reads(extension: str) -> bool:
    """Whether files with this extension are pictures that can be decoded."""
    kind = _kind(extension)
    return kind in Image.OPEN and kind not in _UNREADABLE


def written(extension: str) -> str:
    """Pillow's name of the format written under this extension. Raises ImageError if there is none."""
    kind = _kind(extension)
    if kind is None or kind not in Image.SAVE:
        extra = _EXTRAS.get(extension.lower())
        hint = f" by itself, expected {extra}" if extra else ""
        raise ImageError(f"extension {extension!r} is no format that Pillow writes{hint}")
    return kind


def opened(data: bytes) -> ImageFile.ImageFile:
    """As Image.open, without its limit of pixels, which is one for the whole process.

    Raises ImageError for what no plugin takes, and whatever plugins raise.
    """
    stream = io.BytesIO(data)
    refused: list[str] = []
    asked: set[str] = set()
    for _ in _loading():
        for kind in [each for each in Image.ID if each not in asked]:
            asked.add(kind)
            answer: bool | str = False
            factory, accept = Image.OPEN[kind]
            try:
                answer = accept(data[:_PREFIX]) if accept else True
                if isinstance(answer, str):  # the library that the plugin needs is missing
                    refused.append(answer)
                elif answer:
                    stream.seek(0)
                    return factory(stream, "")
            # What Image.open takes for "not mine" or "not one that I can read".
            except (SyntaxError, IndexError, TypeError, struct.error) as error:
                if accept and answer:
                    refused.append(f"{kind}: {error}")
    raise ImageError("; ".join(["not an image in a format that Pillow reads", *_hints(data), *refused[:1]]))


@contextmanager
def rewound(image: Image.Image) -> Iterator[IO[bytes]]:
    """The file of an image that is not loaded yet, at its beginning; left where it was.

    Nothing is in that of an image that is in memory only.
    """
    stream: IO[bytes] = getattr(image, "fp", None) or io.BytesIO()
    place = stream.tell()
    stream.seek(0)
    try:
        yield stream
    finally:
        stream.seek(place)


def allocate(image: Image.Image) -> None:
    """Pass Pillow's limit, where a picture is held to it once more as its pixels are allocated (TIFF)."""
    size = getattr(image, "_tile_size", None)
    if size is not None and Image.MAX_IMAGE_PIXELS and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        image.im = Image.core.new(image.mode, size)  # type: ignore[attr-defined]


def _kind(extension: str) -> str | None:
    for _ in _loading():
        if extension.lower() in Image.EXTENSION:
            break
    return Image.EXTENSION.get(extension.lower())


def _loading() -> Iterator[None]:
    """Step by step register what there is: Pillow's common formats, all of Pillow's, other projects'."""
    for load in (Image.preinit, Image.init, _load_plugins):
        load()
        yield


@cache
def _load_plugins() -> None:
    """Register other projects' plugins, once, when a file or a name asks for more than Pillow has."""
    # Not installed, or not one that goes with the others: then there is no such format.
    with suppress(Exception):
        importlib.import_module("pillow_heif").register_heif_opener()
    with suppress(Exception):
        importlib.import_module("pillow_jxl")


def _hints(data: bytes) -> Iterator[str]:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and "HEIF" not in Image.OPEN:
        yield f"HEIC needs {_HEIC_EXTRA}"
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")) and "JXL" not in Image.OPEN:
        yield f"JPEG XL needs {_JXL_EXTRA}"
