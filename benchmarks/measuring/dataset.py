"""A folder of images as a dataset: every file that Pillow reads, whatever the layout."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crayoncodec import CrayError, ImageError
from crayoncodec.files import images


@dataclass(frozen=True)
class Dataset:
    """The pictures of a folder; names are paths within it."""

    folder: Path
    crop: int
    """Pixels that are cut from each side of every picture."""
    pictures: tuple[str, ...]
    skipped: dict[str, str]
    """Files that are not in the dataset -> why."""
    sha256: str
    """Of the pictures' files, one after the other."""

    @classmethod
    def scan(cls, folder: Path, crop: int = 0) -> Dataset:
        """Read every file below ``folder`` that looks like an image."""
        pictures, skipped, digest = [], {}, hashlib.sha256()
        Image.init()
        for path in sorted(Path(root, name) for root, _, names in os.walk(folder) for name in names):
            if path.suffix.lower() not in Image.EXTENSION:
                continue
            name = path.relative_to(folder).as_posix()
            try:
                data = path.read_bytes()
                _decoded(data, crop)
                digest.update(data)
            except (CrayError, OSError) as error:
                skipped[name] = str(error)
            else:
                pictures.append(name)
        return cls(folder, crop, tuple(pictures), skipped, digest.hexdigest())

    def describe(self) -> dict[str, Any]:
        """What a results file says of it."""
        return {
            "folder": self.folder.resolve().name,
            "crop": self.crop,
            "sha256": self.sha256,
            "pictures": list(self.pictures),
            "skipped": self.skipped,
        }


@lru_cache(2)
def read(folder: Path, name: str, crop: int) -> np.ndarray:
    """u8[H,W,3], orientation tags not applied, alpha dropped. Raises ImageError, LimitError, OSError."""
    return _decoded((folder / name).read_bytes(), crop)


def shape(megapixels: float) -> tuple[int, int]:
    """Height and width of a 4:3 picture."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    return round(megapixels * 1e6 / width), width


def tiled(pictures: list[np.ndarray], megapixels: float) -> np.ndarray:
    """Pictures u8[h,w,3], side by side and repeated in another order on each row, cut to a size."""
    height, width = shape(megapixels)
    side = min(min(picture.shape[:2]) for picture in pictures)
    tiles = [picture[:side, :side] for picture in pictures]
    rows = [
        np.hstack([tiles[(3 * row + column) % len(tiles)] for column in range(-(-width // side))])
        for row in range(-(-height // side))
    ]
    return np.ascontiguousarray(np.vstack(rows)[:height, :width])


def _decoded(data: bytes, crop: int) -> np.ndarray:
    rgb = images.open_rgb(data)
    height, width = rgb.shape[:2]
    if min(height, width) <= 2 * crop:
        raise ImageError(f"{width} x {height} pixels, nothing is left when {crop} are cut off each side")
    return np.ascontiguousarray(rgb[crop : height - crop, crop : width - crop])
