"""Contact sheets: pictures with captions, and one picture over the spacing as in the paper's Figure 3."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

import crayoncodec
from benchmarks.suites.spacings import FIGURE_2
from crayoncodec.encoding import metrics

_CAPTION = 18
_COLUMNS = 3


def contact_sheet(rgb: np.ndarray, decoder: crayoncodec.Decoder) -> Image.Image:
    """u8[H,W,3] -> the picture and what comes back of it at every spacing, lightness lossless."""
    panels = [("original", rgb)]
    for n in FIGURE_2:
        data = crayoncodec.encode(rgb, n=n, lossless=True)
        decoded = decoder.decode(data)
        psnr = metrics.compare(rgb, decoded).psnr_rgb
        panels.append((f"n = {n}: {psnr:.1f} dB, {len(data) / rgb.size:.3f} of raw", decoded))
    return arranged(panels, _COLUMNS)


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
