"""Pictures that are smaller on the way out: means of lightness, and the colours that fit them. No network."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crayoncodec.color.grid import ColorGrid, reduce_to_cells, sample_rendered
from crayoncodec.color.srgb import lab_to_rgb, shades
from crayoncodec.painting.recolorize import painter

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def means(plane: U8, scale: int) -> U8:
    """A plane u8[H,W] -> the means of its blocks of scale x scale pixels, u8[ceil(H/scale),ceil(W/scale)].

    As Pillow's Image.reduce rounds: to the nearest integer, halves up; in the smaller blocks at the ends, of
    3 pixels or more, it may be the next one, off by 2/3 at most.
    """
    return np.asarray(Image.fromarray(plane).reduce(scale))


def recolorize(lightness: U8, grid: ColorGrid | None, scale: int) -> U8:
    """Stored lightness u8[H,W] and its grid -> sRGB u8[ceil(H/scale),ceil(W/scale),3].

    Without a grid the picture is grey.
    """
    small = means(lightness, scale)
    return shades(small) if grid is None else lab_to_rgb(small, _colors(lightness, grid, scale))


def _colors(lightness: U8, grid: ColorGrid, scale: int) -> F32:
    """AB of the reduced picture, f32[2,h,w].

    Cell means are those of a picture reduced by what their spacing and ``scale`` have in common, too, be
    they pixels of that or larger: there they are painted, and what is left of ``scale`` is means. Points have
    no place among the pixels of a reduced picture.
    """
    common = gcd(grid.spacing, scale) if grid.sampling == "mean" else 1
    cells, rest = replace(grid, spacing=grid.spacing // common), scale // common
    if cells.spacing == 1:
        return reduce_to_cells(cells.ab(), rest, "mean")
    guide = means(lightness, common)
    paint, columns = painter(guide, cells), slice(0, guide.shape[1])
    return sample_rendered(guide.shape, rest, "mean", lambda rows: paint((rows, columns)))
