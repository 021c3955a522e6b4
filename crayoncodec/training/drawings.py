"""Pictures that are no photographs, drawn at random: smooth ramps, flat shapes, lines and text.

A network that has seen photographs only finds texture in a ramp, and edges beside a flat shape.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from crayoncodec.color import cielab

_FINE: Final = 2
"""Shapes are drawn this much larger, so that their edges are soft."""
_MOST_SHAPES: Final = 24
_MOST_COLORS: Final = 8
_WHITE: Final = 0.3
"""How often the ground is white."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789"


def ramps(count: int, side: int, rng: np.random.Generator) -> Tensor:
    """L*, a*, b* of smooth pictures, f32[count,3,side,side]: a few random values, enlarged.

    Half of them in CIELAB without a bend, half in RGB along straight lines.
    """
    size = int(rng.integers(2, 6))
    straight = rng.random() < 0.5
    low, high = ([0, 0, 0], [255, 255, 255]) if straight else ([0, -60, -60], [100, 60, 60])
    values = rng.uniform(low, high, (count, size, size, 3)).transpose(0, 3, 1, 2)
    small = torch.from_numpy(values.astype(np.float32))
    mode = "bilinear" if straight else "bicubic"
    planes = F.interpolate(small, (side, side), mode=mode, align_corners=straight)
    if straight:
        return _lab(list(planes.round().byte().permute(0, 2, 3, 1).contiguous().numpy()))
    lightness = cielab.lightness_from_u8(cielab.lightness_to_u8(planes[:, 0].clamp(0, 100).numpy()))
    return torch.cat([torch.from_numpy(lightness)[:, None], planes[:, 1:]], dim=1)


def shapes(count: int, side: int, rng: np.random.Generator) -> Tensor:
    """L*, a*, b* of flat shapes, lines and words on a flat ground, f32[count,3,side,side]."""
    return _lab([_drawn(side, rng) for _ in range(count)])


def _lab(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """RGB u8[H,W,3] of each -> L* as files have it, a*, b*, f32[count,3,H,W]."""
    planes = []
    for rgb in pictures:
        lightness, ab = cielab.rgb_to_lab(rgb)
        rounded = cielab.lightness_from_u8(cielab.lightness_to_u8(lightness))
        planes.append(np.concatenate([rounded[None], ab]))
    return torch.from_numpy(np.stack(planes))


def _drawn(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    colors = [tuple(map(int, rng.integers(0, 256, 3))) for _ in range(rng.integers(2, _MOST_COLORS))]
    if rng.random() < _WHITE:
        colors[0] = (255, 255, 255)
    large = _FINE * side
    image = Image.new("RGB", (large, large), colors[0])
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, _MOST_SHAPES)):
        left, top = map(int, rng.integers(-large // 4, large, 2))
        width, height = (int(large * share) for share in rng.beta(1, 3, 2))
        corners = [(left + int(x), top + int(y)) for x, y in rng.integers(0, large // 2, (3, 2))]
        line = int(rng.integers(1, 8))
        letters = "".join(rng.choice(list(_LETTERS), 12))
        kinds = (
            partial(draw.rectangle, (left, top, left + width, top + height)),
            partial(draw.ellipse, (left, top, left + width, top + height)),
            partial(draw.polygon, corners),
            partial(draw.line, corners, width=line),
            partial(draw.text, (left, top), letters, font=ImageFont.load_default(_FINE * (6 + 3 * line))),
        )
        kinds[rng.integers(len(kinds))](fill=colors[rng.integers(len(colors))])
    return np.asarray(image.reduce(_FINE))
