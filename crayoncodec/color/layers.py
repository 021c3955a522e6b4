"""Convolutions in whole numbers: the same on every machine (docs/format.md, section 12).

Weights are 8 bits, inputs -127 to 255, sums of products below 2^24, and sums are divided by powers of two: so
float32 holds every number exactly, in whatever order a library adds (Ballé, Johnston and Minnen, "Integer
Networks for Data Compression with Latent-Variable Models", ICLR 2019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.errors import CheckpointError
from crayoncodec.machine import kernels, threads

TOP: Final = 255
"""Hidden planes are 0 to 255."""
EXACT: Final = 2**24
"""Whole numbers up to this are float32."""
_STRIP: Final = 2**12
"""Pixels that are convolved at once, so that what is between stays in the cache."""

Planes = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
U8 = NDArray[np.uint8]


class Layer(NamedTuple):
    """A convolution: floor((sum of products + bias) / 2^shift) for each output, zeros beyond the border."""

    weights: NDArray[np.int8]
    """[outputs, inputs, k, k], k odd."""
    bias: NDArray[np.int32]
    shift: NDArray[np.uint8]

    def largest_sum(self, largest: NDArray[np.int64]) -> int:
        """The largest absolute sum there can be, if no input is larger than ``largest`` [inputs]."""
        weights = np.abs(self.weights.astype(np.int64)).sum(axis=(2, 3))
        return int((weights @ largest + np.abs(self.bias.astype(np.int64))).max())


class Layers:
    """Layers by name. Hidden planes are u8[C,h,w]."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        self.layers = layers

    @cached_property
    def packed(self) -> dict[str, kernels.Packed]:
        """Layers as kernels want them."""
        return {name: kernels.pack(*layer) for name, layer in self.layers.items()}

    @cached_property
    def _folded(self) -> dict[str, tuple[Planes, Planes]]:
        """Layers as NumPy wants them."""
        dtype = np.float32 if float32_is_exact() else np.float64
        return {name: folded(layer, dtype) for name, layer in self.layers.items()}

    def layer(
        self, name: str, planes: tuple[Integers, ...], half: int | None = None, added: U8 | None = None
    ) -> U8:
        """A layer of planes [C,h,w], and ``added`` u8[outputs,h,w] if it is given, clamped to 0 to TOP.

        half: the pixels of a checkerboard that are meant, of all by default.
        """
        height, width = planes[0].shape[1:]
        outputs = len(self.layers[name].bias)
        if self.has_kernels(*planes):
            layer, out = self.packed[name], kernels.interleaved(outputs, height, width)
            threads.each(
                lambda rows: kernels.convolve(layer, planes, rows, out, half=half, added=added),
                threads.bands(height, width),
            )
            return out
        out = np.empty((outputs, height, width), np.uint8)

        def part(window: threads.Window) -> None:
            near, inner = threads.around(window, 1, height, width)
            found = self.convolve(name, *(given[:, *near] for given in planes))[:, *inner]
            out[:, *window] = (found if added is None else found + added[:, *window]).clip(0, TOP)

        threads.each(part, threads.windows(height, width), products=True)
        return out

    @staticmethod
    def has_kernels(*planes: Integers) -> bool:
        """Whether layers of these planes can be computed by kernels: of bytes, as levels have them."""
        return kernels.are_there() and all(each.itemsize == 1 for each in planes)

    def convolve(self, name: str, *planes: Any) -> Planes:
        """A layer's sums, floored, by NumPy."""
        return convolve(*self._folded[name], *planes)


@cache
def float32_is_exact() -> bool:
    """Whether this machine's matrix products in float32 are right for the largest sums there may be.

    They are wherever nothing is rounded to fewer bits on the way (TensorFloat-32, bfloat16). Elsewhere the
    networks are computed in float64, which takes twice as long.
    """
    rng = np.random.default_rng(0)
    weights, values = rng.integers(120, 128, (48, 512)), rng.integers(250, 256, (512, 64))
    found = weights.astype(np.float32) @ values.astype(np.float32)
    return bool((found == weights @ values).all())


def convolve(matrix: Planes, bias: Planes, *planes: Any) -> Planes:
    """Convolution and floor: weights [k*k*outputs, inputs] and bias [outputs] as ``folded``; planes [C,h,w].

    One product gives what every pixel adds to its neighbours, which are then added up shifted (kn2row:
    Vasudevan, Anderson and Gregg, "Parallel multi channel convolution using general matrix multiplication",
    ASAP 2017): where a layer has fewer outputs than inputs, much less is moved than by gathering patches.
    """
    height, width = planes[0].shape[1:]
    inputs, outputs = matrix.shape[1], len(bias)
    out = np.empty((outputs, height, width), matrix.dtype)
    if len(matrix) == outputs:
        flat = np.concatenate(planes, dtype=matrix.dtype, casting="unsafe").reshape(inputs, -1)
        np.matmul(matrix, flat, out=out.reshape(outputs, -1))
        out += bias[:, None, None]
        np.floor(out, out=out)
        return out
    side = 3
    if width == 1 < height:  # a column as a row: rows are what is quick
        turned = matrix.reshape(side, side, outputs, inputs).swapaxes(0, 1).reshape(-1, inputs)
        row_planes = (given.reshape(len(given), 1, height) for given in planes)
        return convolve(turned, bias, *row_planes).reshape(outputs, height, 1)
    taps = [(y, x) for y in range(side) for x in range(side)]
    if height == 1:  # what is added to the rows beside it is never looked at
        taps, matrix = taps[side : 2 * side], matrix[side * outputs : 2 * side * outputs]
    # In rows one longer, which follow each other in memory, a neighbour is at the same distance everywhere.
    row = width + 1
    sums = np.empty((outputs, (height + 2) * row + 2), matrix.dtype)
    sums[:] = bias[:, None]
    # Strips are whole rows, or parts of one.
    rows, columns = (min(height, _STRIP // row), row) if row <= _STRIP else (1, _STRIP)
    strip = np.zeros((inputs, rows, columns), matrix.dtype)
    products = np.empty((len(matrix), rows * columns), matrix.dtype)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            near = slice(top, min(top + rows, height)), slice(left, min(left + columns, width))
            count, across = (span.stop - span.start for span in near)
            size = count * columns if columns == row else across
            np.concatenate(
                [given[:, *near] for given in planes], out=strip[:, :count, :across], casting="unsafe"
            )
            np.matmul(matrix, strip.reshape(inputs, -1)[:, :size], out=products[:, :size])
            parts = products[:, :size].reshape(len(taps), outputs, size)
            for (y, x), product in zip(taps, parts, strict=True):
                start = (top + side - 1 - y) * row + left + side - 1 - x
                sums[:, start : start + size] += product
    inner = sums[:, row + 1 : (height + 1) * row + 1].reshape(outputs, height, row)[..., :width]
    np.floor(inner, out=out)
    return out


def folded(layer: Layer, dtype: type[np.floating[Any]]) -> tuple[Planes, Planes]:
    """Weights, as ``convolve`` wants them, and bias, both divided by 2^shift: floats hold them still."""
    scale = np.exp2(-layer.shift.astype(np.float64))
    inputs = layer.weights.shape[1]
    matrix = (layer.weights * scale[:, None, None, None]).transpose(2, 3, 0, 1).reshape(-1, inputs)
    return np.ascontiguousarray(matrix, dtype), (layer.bias * scale).astype(dtype)


def read(path: Path, sha256: str) -> dict[str, Any]:
    """The tensors of a file. Raises CheckpointError if it is not there, or another one."""
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise CheckpointError(f"{path}: SHA-256 is {found}, the format says {sha256}")
    return load(data)


def named(tensors: Mapping[str, Any], before: str = "") -> dict[str, Layer]:
    """The layers whose names begin like that, by the rest of their names."""
    names = sorted({name.rsplit(".", 1)[0] for name in tensors if name.startswith(before)})
    return {
        name.removeprefix(before): Layer(*(tensors[f"{name}.{field}"] for field in Layer._fields))
        for name in names
    }
