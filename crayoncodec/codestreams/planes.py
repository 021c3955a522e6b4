"""8-bit planes, lightness and alpha, <-> bytes (docs/format.md, section 4).

AVIF 4:0:0 is the lossy coder, WebP does both, zstd over the median-edge predictor is the fast
lossless one and the only one without a limit on sides. All decode to the same integers everywhere.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.WebPImagePlugin import WebPImageFile

from crayoncodec.codestreams import residuals
from crayoncodec.container import PlaneCoder
from crayoncodec.errors import FormatError, ImageError

LOSSY_CODERS: Final[tuple[PlaneCoder, ...]] = ("avif", "webp")
LOSSLESS_CODERS: Final[tuple[PlaneCoder, ...]] = ("webp", "zstd")
_MAX_SIDE: Final[dict[PlaneCoder, int]] = {"webp": 16383, "avif": 65535}

_AVIF_SPEEDS: Final = ((9, 4), (7, 6), (0, 8))
"""From which effort on which speed of libaom (docs/design.md)."""
_WEBP_METHOD: Final = 4
_ZSTD_LEVEL: Final = 12

U8 = NDArray[np.uint8]


def fits(coder: PlaneCoder, shape: tuple[int, int]) -> bool:
    """Whether the coder takes planes with sides as long as these."""
    return max(shape) <= _MAX_SIDE.get(coder, max(shape))


def encode(plane: U8, coder: PlaneCoder, quality: int | None, effort: int = 5) -> bytes:
    """u8[H,W] -> codestream. ``quality`` is the coder's own, 0..100; None keeps the plane exactly.

    effort: 1 to 9; AVIF takes longer and fewer bytes from 7 on, and again at 9.

    Raises ImageError for sides that the coder cannot take or a Pillow without it, ValueError for a
    quality that it does not have.
    """
    if not fits(coder, plane.shape):
        raise ImageError(
            f"plane coder {coder} takes sides up to {_MAX_SIDE[coder]} pixels, "
            f"found {plane.shape[1]} x {plane.shape[0]}; zstd takes any"
        )
    if coder not in (LOSSLESS_CODERS if quality is None else LOSSY_CODERS):
        raise ValueError(f"plane coder {coder} is not {'lossless' if quality is None else 'lossy'}")
    if coder == "zstd":
        return residuals.compress(plane, _ZSTD_LEVEL)
    options: dict[str, Any] = {"quality": quality}
    if coder == "avif":
        speed = next(speed for least, speed in _AVIF_SPEEDS if effort >= least)
        options |= {"subsampling": "4:0:0", "speed": speed}
    else:
        options |= {"method": _WEBP_METHOD, **({"lossless": True, "quality": 75} if quality is None else {})}
    if not features.check(coder):
        raise ImageError(f"the installed Pillow has no {coder} support, expected one with it")
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, coder.upper(), **options)
    return stream.getvalue()


def decode(data: bytes, coder: PlaneCoder, shape: tuple[int, int], what: str) -> U8:
    """Codestream -> u8[H,W] of the given shape. Raises FormatError, with ``what`` named, otherwise."""
    if coder == "zstd":
        return residuals.decompress(data, shape, np.uint8, what)
    return np.asarray(_picture(data, coder, shape, what).getchannel(0))


def decode_picture(data: bytes, coder: PlaneCoder, shape: tuple[int, int], what: str) -> U8:
    """A WebP or AVIF codestream -> u8[H,W,3]; its size is checked before it is decoded."""
    return np.asarray(_picture(data, coder, shape, what).convert("RGB"))


def _picture(data: bytes, coder: PlaneCoder, shape: tuple[int, int], what: str) -> Image.Image:
    # Image.open would warn of sizes that the container's limits have passed already, and to have it silent
    # for a while is nothing for threads.
    opened = AvifImageFile if coder == "avif" else WebPImageFile
    try:
        with opened(io.BytesIO(data)) as image:
            if (image.height, image.width) != shape:
                raise FormatError(
                    f"{what}: {coder} codestream is {image.width} x {image.height}, "
                    f"expected {shape[1]} x {shape[0]}"
                )
            image.load()
            return image
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever their library gave them
        raise FormatError(f"{what}: damaged {coder} codestream ({error})") from error
