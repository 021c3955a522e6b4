"""8-bit planes, lightness and alpha, <-> bytes (docs/format.md, section 4).

AVIF 4:0:0 is the lossy coder, WebP does both, zstd over the median-edge predictor is the fast
lossless one and the only one without a limit on sides. All decode to the same integers everywhere.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from PIL import AvifImagePlugin, Image, ImageFile, WebPImagePlugin, features

from crayoncodec.errors import FormatError, ImageError, LimitError
from crayoncodec.format import sizes
from crayoncodec.format.chunks import PlaneCoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    U8 = NDArray[np.uint8]

LOSSY_CODERS: Final[tuple[PlaneCoder, ...]] = ("avif", "webp")
LOSSLESS_CODERS: Final[tuple[PlaneCoder, ...]] = ("webp", "zstd")
_MOST: Final[dict[PlaneCoder, tuple[int, int]]] = {"webp": (16383, 178_956_970), "avif": (32768, 2**28)}
"""Pixels of a side and of a plane that can be decoded again: libwebp's and Pillow's limits; libavif's."""
_READERS: Final[dict[PlaneCoder, tuple[Callable[[bytes], tuple[int, int]], type[ImageFile.ImageFile]]]] = {
    "webp": (sizes.webp, WebPImagePlugin.WebPImageFile),
    "avif": (sizes.avif, AvifImagePlugin.AvifImageFile),
}
"""What reads a codestream's size, and what its picture."""

_AVIF_SPEEDS: Final = ((9, 4), (5, 6), (0, 8))
"""From which effort on which speed of libaom (docs/design.md)."""
_WEBP_METHOD: Final = 4
_ZSTD_LEVEL: Final = 12


def fits(coder: PlaneCoder, shape: tuple[int, int]) -> bool:
    """Whether the coder takes planes as large as these, and gives them back."""
    side, pixels = _MOST.get(coder, (max(shape), shape[0] * shape[1]))
    return max(shape) <= side and shape[0] * shape[1] <= pixels


def encode(plane: U8, coder: PlaneCoder, quality: int | None, effort: int = 5) -> bytes:
    """u8[H,W] -> codestream. ``quality`` is the coder's own, 0..100; None keeps the plane exactly.

    effort: 1 to 9; AVIF takes longer and fewer bytes from 5 on, and again at 9.

    Raises ImageError for sides that the coder cannot take or a Pillow without it, ValueError for a
    quality that it does not have.
    """
    if not fits(coder, plane.shape):
        side, pixels = _MOST[coder]
        raise ImageError(
            f"plane coder {coder} takes sides up to {side} and {pixels} pixels, "
            f"found {_sides(plane)}; zstd, which is lossless, takes any"
        )
    if coder not in (LOSSLESS_CODERS if quality is None else LOSSY_CODERS):
        raise ValueError(f"plane coder {coder} is not {'lossless' if quality is None else 'lossy'}")
    if coder == "zstd":
        from crayoncodec.format import residuals

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
    try:
        Image.fromarray(plane).save(stream, coder.upper(), **options)
    except MemoryError:
        raise
    except Exception as error:  # as when decoding
        raise ImageError(f"plane coder {coder} cannot code {_sides(plane)} ({error})") from error
    return stream.getvalue()


def decode(data: bytes, coder: PlaneCoder, shape: tuple[int, int], what: str) -> U8:
    """Codestream -> u8[H,W] of the given shape. Raises FormatError, with ``what`` named, otherwise."""
    if coder == "zstd":
        import numpy as np

        from crayoncodec.format import residuals

        return residuals.decompress(data, shape, np.uint8, what)
    picture = _picture(data, coder, shape, what)
    import numpy as np  # here, so that it may be loaded while the picture is decoded

    return np.asarray(picture if picture.mode == "L" else picture.getchannel(0))


def decode_picture(data: bytes, coder: PlaneCoder, shape: tuple[int, int], what: str) -> U8:
    """A WebP or AVIF codestream -> u8[H,W,3]; its size is checked before it is decoded."""
    import numpy as np

    return np.asarray(_picture(data, coder, shape, what).convert("RGB"))


def _picture(data: bytes, coder: PlaneCoder, shape: tuple[int, int], what: str) -> Image.Image:
    try:
        read_size, plugin = _READERS[coder]
        _check_size(read_size(data), coder, shape, what)
        # Not by Image.open: the container's limits have passed this size, Pillow's own is not ours, and to
        # silence its warnings for a while is nothing for threads.
        with plugin(io.BytesIO(data)) as image:
            _check_size(image.size, coder, shape, what)
            image.load()
            return image
    except (FormatError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(f"{what}: {error}") from error
    except Exception as error:  # Pillow's plugins raise whatever their library gave them
        raise FormatError(f"{what}: damaged {coder} codestream ({error})") from error


def _sides(plane: U8) -> str:
    return f"{plane.shape[1]} x {plane.shape[0]}"


def _check_size(size: tuple[int, int], coder: PlaneCoder, shape: tuple[int, int], what: str) -> None:
    if size != shape[::-1]:
        raise FormatError(
            f"{what}: {coder} codestream is {size[0]} x {size[1]}, expected {shape[1]} x {shape[0]}"
        )
