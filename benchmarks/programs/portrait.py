"""README's picture: cuts of one photograph, as JPEG, AVIF and .cray files of as many bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw
from skimage import data as pictures

import crayoncodec
from benchmarks.codecs import CODECS, Codec
from benchmarks.measuring import distortion

QUALITY, EFFORT = 30, 7
"""A small file, as previews are. From effort 7 on lightness is coded at the speed that AVIF has here."""
RIVALS = ("JPEG 4:2:0", "AVIF 4:2:0")
CUTS = ((136, 354, 54), (164, 64, 108))
"""Left, top and side in pixels: a patch on the suit, and the face."""
_SIDE, _GAP, _CAPTION = 216, 4, 38


def portrait(rivals: Iterable[str] = RIVALS) -> Image.Image:
    """NASA's portrait of Eileen Collins (public domain): the original, each rival by its name, and ours."""
    photo = pictures.astronaut()
    ours = crayoncodec.encode(photo, quality=QUALITY, effort=EFFORT)
    panels = [("original", f"{photo.size:,} bytes raw", photo)]
    for name in rivals:
        quality, file = at_least(CODECS[name], photo, len(ours))
        panels.append(panel(f"{name}, quality {quality}", photo, file, CODECS[name].decode(file)))
    panels.append(panel(f"cray -q {QUALITY} --effort {EFFORT}", photo, ours, crayoncodec.decode(ours)))
    return drawn(panels)


def at_least(codec: Codec, rgb: np.ndarray, size: int) -> tuple[int, bytes]:
    """The least quality whose file of u8[H,W,3] has ``size`` bytes or more, and that file."""
    qualities = range(1, 101)
    index = bisect_left(qualities, size, key=lambda quality: len(codec.encode(rgb, {"quality": quality})))
    return qualities[index], codec.encode(rgb, {"quality": qualities[index]})


def panel(title: str, photo: np.ndarray, file: bytes, decoded: np.ndarray) -> tuple[str, str, np.ndarray]:
    """Two lines of caption, the errors being those of the whole picture, and the picture."""
    found = distortion.of_picture(photo, decoded)
    errors = f"SSIMULACRA2 {found['ssimulacra2']:.0f}, CIEDE2000 {found['ciede2000_mean']:.2f}"
    return f"{title}: {len(file):,} bytes", errors, decoded


def drawn(panels: list[tuple[str, str, np.ndarray]]) -> Image.Image:
    """A column for each panel, a row for each cut."""
    size = (len(panels) * (_SIDE + _GAP) - _GAP, _CAPTION + len(CUTS) * (_SIDE + _GAP) - _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, (title, errors, picture) in enumerate(panels):
        left = column * (_SIDE + _GAP)
        draw.text((left + 2, 2), title, fill="black", font_size=13)
        draw.text((left + 2, 19), errors, fill="black", font_size=12)
        for row, (x, y, side) in enumerate(CUTS):
            cut = Image.fromarray(picture[y : y + side, x : x + side])
            cut = cut.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            sheet.paste(cut, (left, _CAPTION + row * (_SIDE + _GAP)))
    return sheet
