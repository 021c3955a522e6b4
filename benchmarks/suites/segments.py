"""One colour for every segment (Fatima, Hussain and Rasool, "Grey is the new RGB", 2021), made stronger.

Segments are those of the *decoded* lightness, which the decoder finds again: no position is stored. Their
mean colours are coded as those of one grid are, laid out in rows as they lie in the picture. Finding segments
is floating-point work (scikit-image), so this is an experiment: a format would have to define it in integers.
"""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.suites.spacings import STEP
from crayoncodec.color.cielab import as_lightness
from crayoncodec.format import uniform
from crayoncodec.format.chunks import GridCoder

_TIGHT = 0.3
"""SLIC's weight of distance against lightness 0..1; 0.1 and 0.03 are worse."""
_EPSILON = 10.0
"""Regulariser of the filter's slopes, in squared L* units."""


def slic(plane: np.ndarray, side: int) -> np.ndarray:
    """Lightness as stored, u8[H,W] -> i32[H,W]: which segment each pixel is of, side x side pixels or so."""
    from skimage.segmentation import slic as clustered

    wanted = max(1, round(plane.size / side**2))
    labels = clustered(as_lightness(plane), wanted, _TIGHT, channel_axis=None, start_label=0)
    return np.unique(labels, return_inverse=True)[1].reshape(plane.shape)


def felzenszwalb(plane: np.ndarray, side: int) -> np.ndarray:
    """The same by merging across weak edges; none is smaller than a quarter of side x side pixels."""
    from skimage.segmentation import felzenszwalb as merged

    labels = merged(as_lightness(plane) / 100, side / 2, sigma=0.8, min_size=max(1, side**2 // 4))
    return np.unique(labels, return_inverse=True)[1].reshape(plane.shape)


def means(ab: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """AB f32[2,H,W] -> the colour of every segment, i16[2,K] in units of STEP."""
    counts = np.bincount(labels.ravel())
    sums = np.stack([np.bincount(labels.ravel(), plane.ravel()) for plane in ab])
    return np.rint(sums / counts / STEP).astype(np.int16)


def encode(samples: np.ndarray, labels: np.ndarray) -> tuple[bytes, GridCoder]:
    """Colours i16[2,K] -> a codestream of one grid, and its coder."""
    order, columns = _layout(labels)
    padded = np.pad(samples[:, order], ((0, 0), (0, -len(order) % columns)), mode="edge")
    return uniform.encode(padded.reshape(2, -1, columns))


def decode(data: bytes, coder: GridCoder, labels: np.ndarray) -> np.ndarray:
    """The colours again, i16[2,K]. Raises FormatError."""
    order, columns = _layout(labels)
    cells = uniform.decode(data, coder, (-(-len(order) // columns), columns), "segments")
    samples = np.empty((2, len(order)), np.int16)
    samples[:, order] = cells.reshape(2, -1)[:, : len(order)]
    return samples


def _layout(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Segments row by row, from left to right, and how many a row has, as the picture's shape says."""
    counts = np.bincount(labels.ravel())
    height, width = labels.shape
    y, x = (
        np.bincount(labels.ravel(), np.broadcast_to(at, labels.shape).ravel()) / counts
        for at in (np.arange(height)[:, None], np.arange(width))
    )
    columns = max(1, round((len(counts) * width / height) ** 0.5))
    row = np.empty(len(counts), np.intp)
    row[np.argsort(y, kind="stable")] = np.arange(len(counts)) // columns
    return np.lexsort((x, row)), columns


def flat(samples: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colours i16[2,K] -> AB f32[2,H,W], each segment in its own."""
    return (samples * np.float32(STEP))[:, labels]


def filtered(painted: np.ndarray, plane: np.ndarray, side: int) -> np.ndarray:
    """The guided filter (He, Sun and Tang, PAMI 2013) of flat colours, f32[2,H,W], lightness as its guide.

    Its windows are half as wide as segments are meant to be.
    """
    lightness = as_lightness(plane)
    mean = _box(lightness, side)
    spread = np.maximum(_box(lightness**2, side) - mean**2, 0) + np.float32(_EPSILON)
    shown = []
    for colors in painted:
        around = _box(colors, side)
        slope = (_box(colors * lightness, side) - around * mean) / spread
        shown.append(_box(slope, side) * lightness + _box(around - slope * mean, side))
    return np.stack(shown)


def _box(plane: np.ndarray, side: int) -> np.ndarray:
    width = side // 2 | 1
    return cv2.blur(plane, (width, width), borderType=cv2.BORDER_REFLECT)
