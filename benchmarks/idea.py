"""Draws docs/idea.png: a painted scene, what a .cray file keeps of it, and what comes back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

import crayoncodec
from crayoncodec import codec, color, container

OUT = Path("docs/idea.png")
SPACING = 20
HEIGHT, WIDTH = 320, 440
_CAPTION = 22


def scene() -> np.ndarray:
    """Balloons over hills: u8[HEIGHT,WIDTH,3]."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    sky = np.stack([120 + 0.42 * y, 170 + 0.2 * y, 235 - 0.1 * y], axis=-1)
    haze = np.exp(-(((x - 330) / 130) ** 2 + ((y - 130) / 90) ** 2))[..., None]
    canvas = sky + haze * np.array([70, 30, -60])
    texture = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.2) * 40
    for height, wave, tint in (
        (200, 0.013, (110, 130, 170)), (235, 0.021, (90, 130, 90)), (270, 0.033, (150, 140, 60)),
    ):  # fmt: skip
        ridge = height + 18 * np.sin(wave * x * 2 + height) + 6 * np.sin(wave * x * 7)
        cover = np.clip(y - ridge, 0, 1)[..., None]
        hill = np.array(tint) + texture[..., None] * 0.5 - (y - ridge)[..., None] * 0.25
        canvas = canvas * (1 - cover) + hill * cover
    for cx, cy, radius, first, second in (
        (120, 105, 58, (205, 40, 45), (250, 205, 60)),
        (300, 80, 36, (30, 95, 180), (240, 240, 235)),
        (385, 150, 20, (130, 50, 140), (240, 130, 40)),
    ):
        dx, dy = (x - cx) / radius, (y - cy) / (radius * 1.15)
        inside = np.clip((1 - np.hypot(dx, dy)) * radius, 0, 1)[..., None]
        angle = np.arcsin(np.clip(dx / np.sqrt(np.maximum(1 - dy**2, 0.05)), -1, 1))
        stripe = (np.sin(angle * 5) > 0)[..., None]
        shade = (0.75 + 0.3 * np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1)) - 0.25 * dx)[..., None]
        canvas = canvas * (1 - inside) + np.where(stripe, first, second) * shade * inside
        left, right = cx - radius // 8, cx + radius // 8
        top, bottom = int(cy + radius * 1.4), int(cy + radius * 1.6)
        cv2.rectangle(canvas, (left, top), (right, bottom), (95, 60, 35), -1, cv2.LINE_AA)
    return np.clip(canvas + texture[..., None] * 0.1, 0, 255).astype(np.uint8)


def main() -> None:
    """Write the picture."""
    picture = scene()
    data = crayoncodec.encode(picture, n=SPACING)
    file = container.unpack(data)
    grid = codec.decode_grid(file)
    assert grid is not None
    samples = color.lab_to_rgb(np.full(grid.samples.shape[1:], 65, np.float32), grid.ab())
    cells = samples.repeat(SPACING, 0).repeat(SPACING, 1)[:HEIGHT, :WIDTH]
    cells[::SPACING], cells[:, ::SPACING] = 255, 255
    panels = {
        f"a picture: {picture.size:,} bytes raw": picture,
        f"its lightness: {len(file.lightness.payload):,} bytes": crayoncodec.decode(data, color="gray"),
        f"a colour for every {SPACING} x {SPACING} pixels: {len(file.grids[0].payload):,} bytes": cells,
        "painted back": crayoncodec.decode(data),
    }
    sheet = Image.new("RGB", (2 * WIDTH + 8, 2 * (HEIGHT + _CAPTION)), "white")
    for index, (caption, panel) in enumerate(panels.items()):
        left, top = index % 2 * (WIDTH + 8), index // 2 * (HEIGHT + _CAPTION)
        sheet.paste(Image.fromarray(panel), (left, top + _CAPTION))
        ImageDraw.Draw(sheet).text((left + 2, top + 4), caption, fill="black", font_size=14)
    sheet.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
