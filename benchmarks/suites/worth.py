"""What a network is worth: files decoded with it and without, by spacing and step (docs/design.md)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.codecs import CODECS
from benchmarks.codecs.ours import ONE_GRID
from benchmarks.measuring.results import Values
from crayoncodec import codec
from crayoncodec.color import cielab, refiner
from crayoncodec.format import container, decoding
from crayoncodec.painting import backends, checkpoints
from crayoncodec.painting.recolorize import recolorize

_FINE, _TIED, _CUT, _MEANS, _POINTS = (
    "nested, lightness q=80", "nested, both qualities", "nested, levels left out", "one grid",
    "one grid, points",
)  # fmt: skip
_OPTIONS: dict[str, dict[str, Any]] = {
    _FINE: {"quality": 80}, _TIED: {}, _CUT: {"quality": 80},
    _MEANS: {"quality": 80}, _POINTS: {"quality": 80, "sampling": "point"},
}  # fmt: skip
_QUALITIES = (10, 20, 30, 40, 50, 60, 65, 70, 75, 80, 85, 90)
"""Above them the finest cells are pixels, and nothing is painted."""
_SPACINGS = (2, 3, 4, 6, 10, 20, 40, 100)

SETTINGS: dict[str, tuple[str, ...]] = {
    _FINE: tuple(f"color_quality={quality}" for quality in _QUALITIES),
    _TIED: tuple(f"quality={quality}" for quality in (10, 30, 50, 70, 80, 90)),
    _CUT: tuple(
        f"color_quality={quality} levels={levels}" for quality, levels in ((50, 5), (80, 6), (80, 5), (95, 7))
    ),
    _MEANS: tuple(f"n={n}" for n in _SPACINGS),
    _POINTS: tuple(f"n={n}" for n in (2, 10)),
}


def measure(name: str, setting: str, rgb: np.ndarray) -> Values:
    """Spacing and step that are decoded, and AB MSE of the 8-bit picture with and without the network."""
    options = {key: int(value) for key, value in (part.split("=") for part in setting.split())}
    levels = options.pop("levels", None)
    file = container.unpack(codec.encode(rgb, **_OPTIONS[name], **options))
    lightness = decoding.decode_lightness(file)
    grid = decoding.decode_grid(file, lightness, levels)
    assert grid is not None
    network = refiner.load() if grid.is_nested else _network(checkpoints.DEFAULT)
    _, ab = cielab.rgb_to_lab(rgb)
    errors = {
        f"ab_mse_{kind}": float(np.square(cielab.rgb_to_lab(decoded)[1].astype(np.float64) - ab).mean())
        for kind, decoded in (
            ("guided", recolorize(lightness, grid)),
            ("neural", recolorize(lightness, grid, network)),
        )
    }
    return {"spacing": grid.spacing, "step": grid.nested_step or grid.step} | errors


@cache
def _network(name: str) -> Any:
    return backends.load(name, device="cpu")


def versions(name: str) -> dict[str, str]:
    """The libraries behind each of them. Raises Unavailable."""
    one = name in (_MEANS, _POINTS)
    return CODECS[ONE_GRID if one else "cray"].versions()
