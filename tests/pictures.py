"""Pictures that tests make for themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth colours, an edge and some noise: u8[height, width, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    shade = 0.5 + 0.3 * np.sin(7 * x + 3 * y + seed) + 0.2 * (x + y > 0.9)
    channels = [shade * (0.6 + 0.4 * np.cos(3 * x * k + 2 * y + k + seed)) for k in range(3)]
    noise = rng.normal(0, 0.02, (height, width, 3))
    return (np.clip(np.stack(channels, axis=-1) + noise, 0, 1) * 255).astype(np.uint8)
