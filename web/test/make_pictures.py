"""A folder for `cray view` to show: make_pictures.py FOLDER."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

import crayoncodec

NAMES = ("astronaut", "coffee", "cat", "rocket", "hubble_deep_field", "retina")
TILE = (536, 356)


def main(folder: Path) -> None:
    """Photographs, one of 1 kB, of 12 megapixels, exact, two that are broken; many/ with three thousand."""
    (folder / "shown").mkdir(parents=True)
    (folder / "many").mkdir()
    pictures = {name: np.asarray(getattr(skimage.data, name)()) for name in NAMES}
    for name, rgb in pictures.items():
        Image.fromarray(rgb).save(folder / "shown" / f"{name}.jpg", quality=95)
        crayoncodec.write(folder / "shown" / f"{name}.cray", rgb, effort=4)
    small = Image.fromarray(pictures["coffee"]).resize((96, 64))
    crayoncodec.write(folder / "shown" / "small.cray", small, target_size=1000)
    crayoncodec.write(folder / "shown" / "exact.cray", small, lossless=True, lightness="zstd")
    tiles = [Image.fromarray(rgb).resize(TILE) for rgb in pictures.values()]
    large = Image.new("RGB", (8 * TILE[0], 8 * TILE[1]))
    for k in range(64):
        large.paste(tiles[(k + k // 8) % len(tiles)], (k % 8 * TILE[0], k // 8 * TILE[1]))
    crayoncodec.write(folder / "shown" / "large.cray", large, effort=4)
    damaged = bytearray((folder / "shown" / "coffee.cray").read_bytes())
    damaged[3000] ^= 1
    (folder / "shown" / "damaged.cray").write_bytes(damaged)
    (folder / "shown" / "empty.png").touch()
    for k in range(3000):
        os.link(folder / "shown" / "small.cray", folder / "many" / f"{k:04}.cray")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
