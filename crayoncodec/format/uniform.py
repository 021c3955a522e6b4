"""Colour grids i16[2,h,w] <-> bytes (docs/format.md, section 5)."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crayoncodec.format import planes, residuals
from crayoncodec.format.chunks import GridCoder

_ZSTD_LEVEL: Final = 19
_WEBP_METHOD: Final = 6
_WEBP_OFFSET: Final = 128

I16 = NDArray[np.int16]


def encode(samples: I16) -> tuple[bytes, GridCoder]:
    """i16[2,h,w] -> the smaller of the two codestreams, and which it is."""
    streams: list[tuple[bytes, GridCoder]] = [(residuals.compress(samples, _ZSTD_LEVEL), "zstd")]
    shifted = samples + _WEBP_OFFSET
    if planes.fits("webp", samples.shape[1:]) and shifted.min() >= 0 and shifted.max() <= 255:
        streams.append((_encode_webp(shifted.astype(np.uint8)), "webp"))
    return min(streams, key=lambda stream: len(stream[0]))


def decode(data: bytes, coder: GridCoder, shape: tuple[int, int], what: str) -> I16:
    """Codestream -> i16[2,h,w], (h, w) = shape. Raises FormatError with ``what`` named."""
    if coder == "zstd":
        return residuals.decompress(data, (2, *shape), np.int16, what)
    picture = planes.decode_picture(data, "webp", shape, what).astype(np.int16) - _WEBP_OFFSET
    return np.stack([picture[..., 1], picture[..., 0]])


def _encode_webp(samples: NDArray[np.uint8]) -> bytes:
    # WebP predicts red from green, so b* goes there: 3 % smaller than the other way round.
    a, b = samples
    stream = io.BytesIO()
    picture = Image.fromarray(np.stack([b, a, np.zeros_like(a)], axis=-1))
    picture.save(stream, "WEBP", lossless=True, quality=100, method=_WEBP_METHOD)
    return stream.getvalue()
