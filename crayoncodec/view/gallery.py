"""Thumbnails: .cray by reduced decoding, other pictures by what their format has for it."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image

from crayoncodec import codec
from crayoncodec.color import geometry
from crayoncodec.errors import ImageError
from crayoncodec.files.picture import Picture, in_srgb, stripped, to_pil, upright
from crayoncodec.format.limits import DEFAULT_LIMITS, Limits

SIDE: Final = 320
"""Pixels of the longer side: two for each of a card's, for screens that are dense."""
LIMITS: Final = Limits(pixels=2**28)
"""More than elsewhere: what is shown is reduced."""
_QUALITY: Final = 78


def thumbnail(data: bytes) -> bytes:
    """A file's bytes -> a WebP picture of at most SIDE x SIDE pixels, upright, in sRGB.

    Raises CrayError, and what Pillow raises.
    """
    image = of_cray(data, SIDE, LIMITS) if is_cray(data) else _of_other(data, SIDE)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY, method=1)
    return stream.getvalue()


def is_cray(data: bytes) -> bool:
    """Whether a file is .cray and no other picture. Raises ImageError for an empty one."""
    if not data:
        raise ImageError("file is empty")
    return codec.is_cray(data)


def of_cray(data: bytes, size: int, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """A .cray file, of at most size x size pixels, upright, in sRGB. Raises FormatError, LimitError."""
    found = codec.info(data, limits)
    picture = decoded(data, max(found.width, found.height) // size, limits)
    image = to_pil(stripped(picture, "all"))
    image.thumbnail((size, size))
    return image


def decoded(data: bytes, reduction: int, limits: Limits) -> Picture:
    """A .cray file, without a network, at the smallest of the scales that is not below 1 / ``reduction``."""
    scale = geometry.scale_within(reduction)
    return codec.Decoder(color="guided", scale=scale, limits=limits).picture(data)


def _of_other(data: bytes, size: int) -> Image.Image:
    from crayoncodec.files import images  # and OpenCV, which `cray thumbnail` does without

    picture = images.open_picture(data, LIMITS, least=size)
    image = Image.fromarray(picture.array())
    image.thumbnail((size, size), reducing_gap=2)
    small = replace(images.from_any(np.asarray(image)), metadata=picture.metadata)
    return to_pil(in_srgb(upright(small)))
