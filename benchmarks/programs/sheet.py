"""Contact sheets: one picture over the spacing, as the paper's Figure 3, or with colours stored otherwise."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

import crayoncodec
from benchmarks.suites import samples
from benchmarks.suites.spacings import FIGURE_2
from crayoncodec.encoding import metrics

_CAPTION = 18
_COLUMNS = 3
_NESTED = "nested grids, guided"


def contact_sheet(rgb: np.ndarray, decoder: crayoncodec.Decoder) -> Image.Image:
    """u8[H,W,3] -> the picture and what comes back of it at every spacing, lightness lossless."""
    panels = [("original", rgb)]
    for n in FIGURE_2:
        data = crayoncodec.encode(rgb, n=n, lossless=True)
        decoded = decoder.decode(data)
        psnr = metrics.compare(rgb, decoded).psnr_rgb
        panels.append((f"n = {n}: {psnr:.1f} dB, {len(data) / rgb.size:.3f} of raw", decoded))
    return arranged(panels, _COLUMNS)


def stored_sheet(rgb: np.ndarray, setting: str) -> Image.Image:
    """u8[H,W,3] -> what comes back of it where colour takes about the bytes of nested grids at a setting."""
    budget, nested = samples.shown(_NESTED, setting, rgb)
    panels = [("original", rgb)]
    for codec in (samples.ONE_GRID, "segments, guided", samples.CHOSEN):
        tried = (samples.shown(codec, setting, rgb) for setting in samples.SETTINGS[codec])
        size, decoded = min(tried, key=lambda pair: abs(math.log(pair[0] / budget)))
        panels.append((f"{codec}: {size} bytes", decoded))
    panels.append((f"{_NESTED}: {budget} bytes", nested))
    return arranged(panels, len(panels))


def arranged(panels: list[tuple[str, np.ndarray]], columns: int) -> Image.Image:
    """Captions and pictures u8[H,W,3] of one size, row by row."""
    height, width = panels[0][1].shape[0] + _CAPTION, panels[0][1].shape[1]
    sheet = Image.new("RGB", (width * columns, height * -(-len(panels) // columns)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (caption, panel) in enumerate(panels):
        left, top = index % columns * width, index // columns * height
        sheet.paste(Image.fromarray(panel), (left, top + _CAPTION))
        draw.text((left + 4, top + 3), caption, fill="black")
    return sheet
