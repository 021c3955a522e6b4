"""Which way of painting nested grids is closer to the picture: what an encoder, which can decode, may say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import differences, refiner
from crayoncodec.color.grid import ColorGrid
from crayoncodec.color.means import mean_ab
from crayoncodec.painting.recolorize import painter, pays, whole

_WORTH_ITS_TIME: Final = 10**-0.005
"""What of guided upsampling's error the network has to come to: 0.05 dB less."""
_SIDE: Final = 256
_WINDOWS: Final = 4
"""Along either side of pictures that are larger; they are looked at there only."""

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def network_is(
    rgb: U8, visible: NDArray[np.bool_] | None, lightness: U8, grid: ColorGrid, word: float
) -> bool:
    """Whether the network is closer by so much that it is worth its time, and, where it takes that, a word.

    Squared errors of a* and b* are weighted by chroma. rgb: the picture, u8[H,W,3], of whose pixels those
    count that are ``visible``. lightness, grid: nested grids as a decoder has them. word: what it costs to
    tell decoders of another choice than theirs, as a sum of squared errors.
    """
    network, errors, looked_at = refiner.load(), [0.0, 0.0], 0
    for window in _windows(lightness.shape, max(16, grid.spacing)):
        part = lightness[window]
        cells = tuple(slice(s.start // grid.spacing, -(-s.stop // grid.spacing)) for s in window)
        cut = replace(grid, samples=grid.samples[:, *cells])
        truth = mean_ab(rgb[window], 1)
        weight = differences.along(np.sqrt(np.square(truth).sum(axis=0)))
        if visible is not None:
            weight *= visible[window]
        for k, way in enumerate((None, network)):
            missing = painter(part, cut, way)(whole(part)) - truth
            errors[k] += float((weight * np.square(missing)).sum(dtype=np.float64))
        looked_at += part.size
    told = word * looked_at / lightness.size
    if pays(grid.spacing, grid.nested_step):
        told = -told
    return errors[1] + told < _WORTH_ITS_TIME * errors[0]


def _windows(shape: tuple[int, ...], multiple: int) -> Iterator[tuple[slice, slice]]:
    """All of a small picture, or windows that are spread over it and begin at multiples."""
    spans = []
    for length in shape:
        if length <= _WINDOWS * _SIDE:
            spans.append([slice(0, length)])
        else:
            starts = [k * (length - _SIDE) // (_WINDOWS - 1) // multiple * multiple for k in range(_WINDOWS)]
            spans.append([slice(start, start + _SIDE) for start in starts])
    return ((rows, columns) for rows in spans[0] for columns in spans[1])
