"""Kernels in C (kernels.h), where they were built: NumPy computes the same integers where they were not.

``CRAYONCODEC_NATIVE=0`` in the environment leaves them out.
"""

from __future__ import annotations

import os
import zlib
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

_LANES: Final = 8
"""Outputs are filled up to a multiple of this, and inputs to one of 2."""
_TILED: Final = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int16)
"""Twice the transform of three weights of Winograd's filtering."""
_WHOLE, _BYTES, _INTERLEAVED, _UNFOLDED = range(4)
_CHECKED: Final = 0x22EB3144
"""CRC-32 of what the convolution of the check gives."""

Integers = NDArray[np.integer[Any]]
Sample = TypeVar("Sample", bound=np.integer[Any])


class Packed(NamedTuple):
    """A convolution as the kernel wants it."""

    weights: NDArray[np.int16]
    """[k, k * inputs / 2, outputs, 2]."""
    tiled: NDArray[np.int16]
    """[4, 4, inputs / 2, outputs, 2] if k is 3, for two by two sums at once; else of no size."""
    bias: NDArray[np.int32]
    shift: NDArray[np.uint8]
    side: int
    inputs: int
    """Filled up with zeros, as the outputs are."""
    outputs: int
    """Those that are meant."""


def pack(weights: NDArray[np.int8], bias: NDArray[np.int32], shift: NDArray[np.uint8]) -> Packed:
    """Weights [outputs, inputs, k, k], k 1 or 3, bias and shift [outputs]."""
    outputs, inputs, side, _ = weights.shape
    more_outputs, more_inputs = -outputs % _LANES, -inputs % 2
    filled = np.pad(weights, ((0, more_outputs), (0, more_inputs), (0, 0), (0, 0))).astype(np.int16)
    tiled = _TILED @ filled @ _TILED.T if side == 3 else filled[..., :0, :0]
    return Packed(
        _in_pairs(filled),
        _in_pairs(tiled),
        np.pad(bias, (0, more_outputs)),
        np.pad(shift, (0, more_outputs)),
        side,
        inputs + more_inputs,
        outputs,
    )


def _in_pairs(weights: NDArray[np.int16]) -> NDArray[np.int16]:
    """[outputs, inputs, k, k] -> [k, k, inputs / 2, outputs, 2]."""
    outputs, inputs, side, _ = weights.shape
    pairs = weights.reshape(outputs, inputs // 2, 2, side, side).transpose(3, 4, 1, 0, 2)
    return np.ascontiguousarray(pairs)


def interleaved(channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """Planes u8[C,h,w] that lie in memory pixel by pixel, which is what kernels are quickest with."""
    return np.empty((height, width, channels), np.uint8).transpose(2, 0, 1)


def convolve(
    layer: Packed, planes: tuple[Integers, ...], rows: slice, out: Integers, top: int = 0,
    half: int | None = None, which: int | None = None, *, added: NDArray[np.uint8] | None = None,
    folded: bool = False, unfolded: bool = False,
) -> None:  # fmt: skip
    """Rows of the convolution of planes [C,h,w], int8 or uint8, zeros beyond the border, into ``out``.

    out: [outputs, ..., w], uint8 (clamped to 0 to 255) or int32; its first row is row ``top`` of the planes.
    It is floor((sum of products + bias) / 2^shift). half: compute only pixels whose row and column have an
    even (0) or odd (1) sum. which: a version of the kernel, by default ``version()``. added: as ``out``, both
    pixel by pixel: is added before clamping. folded: the planes are one, uint8[C/4,2h,2w] pixel by pixel, of
    which 2 x 2 pixels are one with C planes. unfolded: so is ``out``.
    """
    from crayoncodec.machine import _native

    data, is_interleaved = _in_memory(out)
    kind = _WHOLE if out.dtype == np.int32 else _INTERLEAVED if is_interleaved else _BYTES
    more = None if added is None else _in_memory(added)[0]
    _native.convolve(
        (_given(layer),), *_work(planes, rows, half, folded), data, more, _UNFOLDED if unfolded else kind,
        layer.outputs, out.shape[1] >> unfolded, top, version() if which is None else which,
    )  # fmt: skip


def head(
    layers: tuple[Packed, ...], planes: tuple[Integers, ...], rows: slice, half: int,
    shifts: NDArray[np.int16], spreads: NDArray[np.uint8], largest: tuple[int, int], which: int | None = None,
) -> None:  # fmt: skip
    """One or two layers of 1 x 1, of one half of the pixels, into shifts and spreads [3,h,w].

    The first of two layers is clamped to 0 to 255, the last one's first three outputs to the first of
    ``largest`` and its negative, the other three to 0 and the second. Arguments else as for ``convolve``.
    """
    from crayoncodec.machine import _native

    _native.head(
        tuple(_given(layer) for layer in layers), *_work(planes, rows, half),
        shifts, spreads, *largest, version() if which is None else which,
    )  # fmt: skip


def _given(layer: Packed) -> tuple[Any, ...]:
    return (*layer[:6], len(layer.bias))


def _work(
    planes: tuple[Integers, ...], rows: slice, half: int | None, folded: bool = False
) -> tuple[Any, ...]:
    given = []
    for each in planes:
        data, is_interleaved = _in_memory(each)
        given.append((data, len(each) << 2 * folded, each.dtype == np.int8, is_interleaved, folded))
    height, width = (side >> folded for side in planes[0].shape[1:])
    return tuple(given), height, width, rows.start, rows.stop, -1 if half is None else half


def _in_memory(planes: Integers) -> tuple[Integers, bool]:
    """Planes [C,h,w] as they lie in memory, copied if need be, and whether that is pixel by pixel."""
    turned = planes.transpose(1, 2, 0)
    if turned.flags.c_contiguous:
        return turned, True
    return np.ascontiguousarray(planes), False


def restore(residual: NDArray[np.int32], dtype: type[Sample]) -> NDArray[Sample]:
    """Undo median-edge prediction: residual [h,w] -> plane, modulo the range of ``dtype``, uint8 or int16."""
    from crayoncodec.machine import _native

    plane = np.empty(residual.shape, dtype)
    height, width = residual.shape
    _native.restore(np.ascontiguousarray(residual), plane, height, width, plane.itemsize)
    return plane


def are_there() -> bool:
    """Whether there are kernels to use."""
    return version() is not None


@cache
def version() -> int | None:
    """Which version of the kernels computes here, the fastest that the processor has; None for none.

    Only one that gives the integers of the day it was written.
    """
    if os.environ.get("CRAYONCODEC_NATIVE") == "0":
        return None
    try:
        from crayoncodec.machine import _native
    except ImportError:
        return None
    best: int = _native.best_version()
    return next((each for each in range(best, -1, -1) if _checksum(each) == _CHECKED), None)


def _checksum(which: int) -> int:
    """CRC-32 of convolutions of signed and unsigned planes, with all borders and every kind of block."""
    outputs, inputs, height, width = 46, 13, 5, 101
    weights = (np.arange(outputs * inputs * 9) * 37 % 255 - 127).astype(np.int8)
    layer = pack(
        weights.reshape(outputs, inputs, 3, 3),
        (np.arange(outputs, dtype=np.int32) * 1009 - 20000),
        (np.arange(outputs) % 9).astype(np.uint8),
    )
    values = (np.arange(inputs * height * width) * 73 % 256).astype(np.uint8).reshape(inputs, height, width)
    out = np.zeros((2, outputs, height, width), np.int32)
    for half, whole in zip((None, 1), out, strict=True):
        convolve(
            layer, (values[:4], values[4:].view(np.int8)), slice(0, height), whole, half=half, which=which
        )
    return zlib.crc32(out.astype("<i4").tobytes())
