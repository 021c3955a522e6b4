"""A contact sheet of one picture over the spacing, as in the paper's Figure 3."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

import crayoncodec
from benchmarks.grids import FIGURE_2
from crayoncodec import metrics

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
    height, width = rgb.shape[0] + _CAPTION, rgb.shape[1]
    sheet = Image.new("RGB", (width * _COLUMNS, height * -(-len(panels) // _COLUMNS)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (caption, panel) in enumerate(panels):
        left, top = index % _COLUMNS * width, index // _COLUMNS * height
        sheet.paste(Image.fromarray(panel), (left, top + _CAPTION))
        draw.text((left + 4, top + 3), caption, fill="black")
    return sheet
