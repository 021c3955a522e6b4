"""Integer planes <-> bytes: median-edge prediction, then zstd (docs/format.md, section 6).

The predictor is that of JPEG-LS (ITU-T T.87, A.4.2) with zeros outside the plane.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

import numpy as np
import zstandard
from numpy.typing import NDArray

from crayoncodec.errors import FormatError
from crayoncodec.machine import kernels

Integers = TypeVar("Integers", bound=np.integer[Any])
Plane = NDArray[np.int32]

_MAX_WINDOW: Final = 2**27
_THIN: Final = 40
"""Rows from which on samples are restored diagonal by diagonal."""


def compress(planes: NDArray[Integers], level: int) -> bytes:
    """u8 or i16 planes [..., H, W] -> one zstd frame of their zigzag residuals, low bytes before high."""
    bits = planes.itemsize * 8
    signed = np.dtype(f"i{planes.itemsize}")
    residuals = np.stack([predict(plane) for plane in _planes(planes)]).astype(signed)
    zigzag = ((residuals << 1) ^ (residuals >> (bits - 1))).astype(f"<u{planes.itemsize}")
    split = zigzag[..., None].view(np.uint8)
    return zstandard.ZstdCompressor(level=level).compress(np.moveaxis(split, -1, 0).tobytes())


def decompress(data: bytes, shape: tuple[int, ...], dtype: type[Integers], what: str) -> NDArray[Integers]:
    """Inverse of compress for planes of ``shape`` and ``dtype``; never allocates more than they need.

    Raises FormatError with ``what`` named.
    """
    itemsize = np.dtype(dtype).itemsize
    raw = decompress_frame(data, int(np.prod(shape)) * itemsize, what)
    split = np.frombuffer(raw, np.uint8).reshape(itemsize, *shape)
    zigzag = np.ascontiguousarray(np.moveaxis(split, 0, -1)).view(f"<u{itemsize}")[..., 0]
    residuals = (zigzag >> 1).astype(np.int32) ^ -(zigzag & 1).astype(np.int32)
    planes = [restore(plane, dtype) for plane in _planes(residuals)]
    return np.stack(planes).reshape(shape)


def decompress_frame(data: bytes, size: int, what: str) -> bytes:
    """A zstd frame of ``size`` bytes, and no other. Raises FormatError with ``what`` named."""
    try:
        declared = zstandard.frame_content_size(data)
        if declared != size:
            raise FormatError(f"{what}: zstd frame holds {declared} bytes, expected {size}")
        # Into a buffer of that size, and no further.
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        raw = decompressor.decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"{what}: damaged zstd frame ({error})") from error
    if len(raw) != size:
        raise FormatError(f"{what}: zstd frame ends after {len(raw)} bytes, expected {size}")
    return raw


def _planes(array: NDArray[Integers]) -> NDArray[Integers]:
    return array.reshape(-1, *array.shape[-2:])


def predict(plane: NDArray[Integers]) -> Plane:
    """What the median-edge prediction leaves of a plane [h,w]."""
    padded = np.pad(plane, ((1, 0), (1, 0))).astype(np.int32)
    return padded[1:, 1:] - _median_edge(padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1])


def restore(residual: Plane, dtype: type[Integers]) -> NDArray[Integers]:
    """Inverse of predict, modulo the dtype's range."""
    return kernels.restore(residual, dtype) if kernels.are_there() else _restored(residual, dtype)


def _restored(residual: Plane, dtype: type[Integers]) -> NDArray[Integers]:
    """The same without kernels."""
    height, width = residual.shape
    if height > width:  # the prediction is the same in both directions
        return _restored(residual.T, dtype).T
    if height == 1:  # each sample is predicted by the one before
        return residual.cumsum(axis=1, dtype=dtype)
    return _by_rows(residual, dtype) if height < _THIN else _by_diagonals(residual, dtype)


def _by_rows(residual: Plane, dtype: type[Integers]) -> NDArray[Integers]:
    """Sample by sample: a plane with few rows has a diagonal for every column, and hardly a sample on it."""
    low, last = int(np.iinfo(dtype).min), 2 ** (8 * np.dtype(dtype).itemsize) - 1
    out = np.empty(residual.shape, dtype)
    row = [0] * residual.shape[1]
    for y, given in enumerate(residual):
        left = corner = 0
        found = []
        for step, above in zip(given.tolist(), row, strict=True):
            predicted = left + above - corner
            if left < above:
                predicted = left if predicted < left else above if predicted > above else predicted
            else:
                predicted = above if predicted < above else left if predicted > left else predicted
            left = (step + predicted - low & last) + low
            corner = above
            found.append(left)
        out[y] = row = found
    return out


def _by_diagonals(residual: Plane, dtype: type[Integers]) -> NDArray[Integers]:
    """Pixels of one anti-diagonal are independent."""
    height, width = residual.shape
    stride = width + 1
    padded = np.zeros((height + 1) * stride, dtype)
    source = residual.ravel()
    for diagonal in range(height + width - 1):
        first, last = max(0, diagonal - width + 1), min(height - 1, diagonal)
        count = last - first + 1
        at = (first + 1) * stride + diagonal - first + 1
        left, above, corner, here = (
            padded[start :: stride - 1][:count] for start in (at - 1, at - stride, at - stride - 1, at)
        )
        values = source[first * width + diagonal - first :: width - 1][:count]
        predicted = _median_edge(left.astype(np.int32), above.astype(np.int32), corner.astype(np.int32))
        here[:] = (values + predicted).astype(dtype)
    return padded.reshape(height + 1, stride)[1:, 1:]


def _median_edge(left: Plane, above: Plane, corner: Plane) -> Plane:
    low, high = np.minimum(left, above), np.maximum(left, above)
    return cast(Plane, np.clip(left + above - corner, low, high))
