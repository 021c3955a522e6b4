"""Pictures that are no photographs: flat shapes, text, ramps. They test what learnt from photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 512, 384
_WORDS = "The quick brown fox jumps over the lazy dog 0123456789"
_SEED = 1


def _shapes(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    for _ in range(40):
        x, y = rng.integers(-20, WIDTH), rng.integers(-20, HEIGHT)
        width, height = rng.integers(10, 160, 2)
        shape = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        shape((int(x), int(y), int(x + width), int(y + height)), fill=_color(rng, 256))


def _text(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    for line, size in enumerate(range(9, 29, 2)):
        font = ImageFont.load_default(size)
        draw.text((8, 4 + 37 * line), f"{_WORDS} {_WORDS}", fill=_color(rng, 200), font=font)


def _chart(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    for y in range(40, HEIGHT, 40):
        draw.line((40, y, WIDTH, y), fill=(210, 210, 210))
    for _ in range(6):
        heights = 200 + np.cumsum(rng.normal(0, 12, 40))
        points = [(40 + 12 * index, float(height)) for index, height in enumerate(heights)]
        draw.line(points, fill=_color(rng, 220), width=int(rng.integers(1, 5)))


def _color(rng: np.random.Generator, below: int) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, below, 3))
    return red, green, blue


def _drawn(paper: str, draw: Callable[[ImageDraw.ImageDraw, np.random.Generator], None]) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), paper)
    draw(ImageDraw.Draw(image), np.random.default_rng(_SEED))
    return image


def _ramp(mode: str, *channels: np.ndarray | int) -> Image.Image:
    planes = [np.broadcast_to(np.uint8(channel), (HEIGHT, WIDTH)) for channel in channels]
    return Image.fromarray(np.stack(planes, axis=-1), mode).convert("RGB")


def pictures() -> dict[str, Image.Image]:
    """Name -> picture, the same each time."""
    across, down = np.arange(WIDTH)[None] // 2, np.arange(HEIGHT)[:, None] * 255 // (HEIGHT - 1)
    distance = np.hypot(np.arange(WIDTH)[None] - WIDTH / 2, np.arange(HEIGHT)[:, None] - HEIGHT / 2)
    round_ = (255 * distance / distance.max()).astype(int)
    return {
        "shapes on white": _drawn("white", _shapes),
        "shapes on navy": _drawn("navy", _shapes),
        "text on white": _drawn("white", _text),
        "text on yellow": _drawn("khaki", _text),
        "chart": _drawn("white", _chart),
        "ramp of red, green and blue": _ramp("RGB", across, down, 255 - across),
        "ramp of hue and brightness": _ramp("HSV", across, 255, down),
        "ramp of saturation": _ramp("HSV", 20, across, 128 + down // 2),
        "ramp of one colour": _ramp("HSV", 150, 200, across),
        "ramp around a point": _ramp("RGB", round_, 255 - round_, 128),
    }


def write(folder: Path) -> None:
    """All of them as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in pictures().items():
        image.save(folder / f"{name}.png")
