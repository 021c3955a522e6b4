"""One picture in several codecs at the same bytes, and how far each is from it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crayoncodec import codec
from crayoncodec.color.cielab import rgb_to_lab
from crayoncodec.encoding import metrics, targets
from crayoncodec.files import images
from crayoncodec.files.picture import Picture, in_srgb, upright
from crayoncodec.view.gallery import LIMITS, decoded, is_cray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

Area = Literal["whole", "centre", "small", "reduced"]
AREAS: Final[tuple[Area, ...]] = get_args(Area)
WORKED: Final = 2**20
"""Pixels that are worked on unless all are asked for, and that SSIMULACRA2 is of at most."""
_SMALL: Final = 2**18
_WHOLE: Final = 2**24
"""Pixels of a picture that may be worked on as a whole."""
_PAINTED: Final = 2**26
"""Pixels of a .cray file that is decoded whole to have its centre."""
WHITE: Final = 10
"""CIEDE2000 that is white in a picture of differences."""
_BAND: Final = 2**18
RIVALS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "AVIF": ("AVIF", {"subsampling": "4:2:0"}),
    "WebP": ("WEBP", {}),
    "JPEG": ("JPEG", {"subsampling": "4:2:0", "optimize": True, "progressive": True}),
}
"""Pillow's names, and what is set besides quality: as in benchmarks/."""
_THOROUGH: Final = 5
"""Effort from which AVIF is coded at speed 6, as in benchmarks/; it is 8 below."""


@dataclass(frozen=True, eq=False)
class Work:
    """What of a picture is worked on."""

    rgb: U8
    """sRGB u8[H,W,3], upright."""
    area: Area
    areas: tuple[Area, ...]
    """Those that a picture of this size has."""
    width: int
    height: int
    """Of all of it, as it is stored."""


class Coded(NamedTuple):
    """A file in one of the codecs."""

    data: bytes
    quality: int
    rgb: U8
    """What it decodes to, u8[H,W,3]."""


def areas(width: int, height: int, ours: bool) -> tuple[Area, ...]:
    """What can be worked on of a picture of this size; the first by default."""
    pixels = width * height
    if pixels <= WORKED:
        return ("whole", "small") if pixels > _SMALL else ("whole",)
    if pixels <= _WHOLE:
        return ("small", "centre", "reduced", "whole")
    return ("reduced",) if ours and pixels > _PAINTED else ("small", "centre", "reduced")


def work(data: bytes, asked: str) -> Work:
    """A file's bytes -> what is worked on: an area, the first that it has if it has not the one asked for.

    Alpha is left out. Raises CrayError.
    """
    ours = is_cray(data)
    width, height = _size(data, ours)
    offered = areas(width, height, ours)
    area = next((each for each in offered if each == asked), offered[0])
    if area == "reduced":
        side = round(max(width, height) * math.sqrt(WORKED / (width * height)))
        reduction = max(width, height) // side
        picture = decoded(data, reduction, LIMITS) if ours else images.open_picture(data, LIMITS, least=side)
        image = Image.fromarray(picture.rgb)
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3)
        rgb = np.asarray(image)
    else:
        picture = codec.Decoder(limits=LIMITS).picture(data) if ours else images.open_picture(data, LIMITS)
        rgb = picture.rgb
        if area != "whole":
            rgb = _centre(rgb, _SMALL if area == "small" else WORKED)
    shown = in_srgb(upright(Picture(rgb, None, picture.metadata)))
    return Work(np.ascontiguousarray(shown.rgb), area, offered, width, height)


def cray(rgb: U8, quality: int, effort: int) -> Coded:
    """The picture as .cray. Raises CrayError."""
    data = codec.encode(rgb, quality=quality, effort=effort)
    return Coded(data, quality, codec.decode(data))


def rival(
    name: str, rgb: U8, most: int, effort: int, sized: Callable[[int, Callable[[], bytes]], bytes]
) -> Coded:
    """The largest file of another codec that has at most ``most`` bytes; its smallest if none has.

    sized: given a quality and what makes the file of it -> that file, made now or before.
    """
    kind, options = RIVALS[name]
    if kind == "AVIF":
        options = options | {"speed": 6 if effort >= _THOROUGH else 8}

    def saved(quality: int) -> bytes:
        return sized(quality, lambda: _saved(rgb, kind, options | {"quality": quality}))

    quality = max(1, targets.least(1, lambda q: len(saved(q)) > most) - 1)
    data = saved(quality)
    return Coded(data, quality, images.open_rgb(data))


def differences(first: U8, second: U8) -> F32:
    """CIEDE2000 of each pixel, f32[H,W], of two pictures u8[H,W,3]."""
    rows = max(1, _BAND // first.shape[1])
    bands = [slice(top, top + rows) for top in range(0, first.shape[0], rows)]
    found = [metrics.ciede2000(*rgb_to_lab(first[band]), *rgb_to_lab(second[band])) for band in bands]
    return np.concatenate([each.astype(np.float32) for each in found])


def as_picture(differences: F32) -> U8:
    """Differences as greys u8[H,W]: black is none, white is WHITE and more."""
    gray: U8 = np.clip(differences * np.float32(255 / WHITE), 0, 255).astype(np.uint8)
    return gray


def ssimulacra2(first: U8, second: U8) -> float | None:
    """SSIMULACRA2 of two pictures, of the centre of large ones; None where its package is not installed."""
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ModuleNotFoundError:
        return None
    score = float(compute_ssimulacra2(*(_file(_centre(picture, WORKED)) for picture in (first, second))))
    return score if math.isfinite(score) else None


def _size(data: bytes, ours: bool) -> tuple[int, int]:
    if ours:
        found = codec.info(data, LIMITS)
        return found.width, found.height
    return images.open_size(data)


def _centre(rgb: U8, pixels: int) -> U8:
    height, width = rgb.shape[:2]
    share = min(1.0, math.sqrt(pixels / (width * height)))
    high, wide = max(1, round(height * share)), max(1, round(width * share))
    top, left = (height - high) // 2, (width - wide) // 2
    return rgb[top : top + high, left : left + wide]


def _saved(rgb: U8, kind: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, kind, **options)
    return stream.getvalue()


def _file(rgb: U8) -> io.BytesIO:
    """What ssimulacra2 reads: any file that Pillow opens."""
    return io.BytesIO(_saved(rgb, "PPM", {}))
