"""The network in the loop of nested grids, in integers: the same on every machine (docs/format.md).

Weights are 8 bits, inputs -127 to 255, sums of products below 2^24, and sums are divided by powers of two: so
float32 holds every number exactly, in whatever order a library adds (Ballé, Johnston and Minnen, "Integer
Networks for Data Compression with Latent-Variable Models", ICLR 2019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.errors import CheckpointError
from crayoncodec.machine import kernels, threads
from crayoncodec.machine.process import models_folder

SHA256: Final = {
    3: "6e6a15f8365c3bb901b13c2f7957d516cbcd023198af4faeb3fb327e5acb69fa",
}
"""Of models/predictor-V.safetensors: weights and frequency tables of the version V that files name."""
VERSION: Final = max(SHA256)
"""What encoders write."""
COARSE: Final = 4
"""Spacing from which on the coarse network predicts."""
SPREADS: Final = 64
"""Distributions that a symbol may have."""
TOP: Final = 255
"""Hidden planes are 0 to 255."""
MAX_SHIFT: Final = 4095
EXACT: Final = 2**24
"""Whole numbers up to this are float32."""
_STRIP: Final = 2**12
"""Pixels that are convolved at once, so that what is between stays in the cache."""

Planes = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
I16 = NDArray[np.int16]
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


class Predictor:
    """crayoncodec.networks.in_loop.Predictor as integers. Hidden planes are u8[C,h,w]."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        self.layers = layers

    @cached_property
    def _packed(self) -> dict[str, kernels.Packed]:
        """Layers as kernels want them."""
        return {name: kernels.pack(*layer) for name, layer in self.layers.items()}

    @cached_property
    def _folded(self) -> dict[str, tuple[Planes, Planes]]:
        """Layers as NumPy wants them."""
        dtype = np.float32 if float32_is_exact() else np.float64
        return {name: folded(layer, dtype) for name, layer in self.layers.items()}

    def trunk(self, features: Integers) -> U8:
        """Features of a level [FEATURES,h,w] -> what its first half is predicted from."""
        return self._hidden("first", features)

    def second(self, hidden: U8, known: Integers) -> U8:
        """... and, with what is known of the first half [KNOWN,h,w], its second half: only that is meant."""
        return self._hidden("later", hidden, known, half=1)

    def head(self, half: int, plane: int, hidden: U8, *first: Integers) -> tuple[I16, U8]:
        """Shifts, -MAX_SHIFT to MAX_SHIFT in 1/16 of a step, and spreads, of a plane's details [3,h,w].

        Only those of the half are meant. first: of the second plane, symbols and corrections of the first one
        [3,h,w], as of features.seen.
        """
        height, width = hidden.shape[1:]
        shifts, spreads = np.zeros((3, height, width), np.int16), np.zeros((3, height, width), np.uint8)
        names: tuple[str, ...] = (f"both.{half}", f"other.{half}") if plane else (f"one.{half}",)
        given = (hidden, *first) if plane else (hidden,)
        if self._has_kernels(*given):
            layers = tuple(self._packed[name] for name in names)
            threads.each(
                lambda rows: kernels.head(
                    layers, given, rows, half, shifts, spreads, (MAX_SHIFT, SPREADS - 1)
                ),
                threads.bands(height, width),
            )
            return shifts, spreads

        def part(window: threads.Window) -> None:
            out = self._convolve(names[0], *(planes[:, *window] for planes in given))
            for name in names[1:]:
                out = self._convolve(name, out.clip(0, TOP))
            shifts[:, *window] = out[:3].clip(-MAX_SHIFT, MAX_SHIFT)
            spreads[:, *window] = out[3:].clip(0, SPREADS - 1)

        threads.each(part, threads.windows(height, width))
        return shifts, spreads

    @staticmethod
    def integers(shifts: I16) -> I16:
        """The shifts as they are: training rounds here."""
        return shifts

    def _hidden(self, name: str, *planes: Integers, half: int | None = None) -> U8:
        """Through all layers of this name, 3 x 3 each; half: the pixels that are meant, of all by default."""
        last = sum(key.startswith(f"{name}.") for key in self.layers) - 1
        for k in range(last):
            planes = (self._layer(f"{name}.{k}", planes),)
        return self._layer(f"{name}.{last}", planes, half)

    def _layer(self, name: str, planes: tuple[Integers, ...], half: int | None = None) -> U8:
        height, width = planes[0].shape[1:]
        outputs = len(self.layers[name].bias)
        if self._has_kernels(*planes):
            layer, out = self._packed[name], kernels.interleaved(outputs, height, width)
            threads.each(
                lambda rows: kernels.convolve(layer, planes, rows, out, half=half),
                threads.bands(height, width),
            )
            return out
        out = np.empty((outputs, height, width), np.uint8)

        def part(window: threads.Window) -> None:
            near, inner = threads.around(window, 1, height, width)
            found = self._convolve(name, *(given[:, *near] for given in planes))
            out[:, *window] = found[:, *inner].clip(0, TOP)

        threads.each(part, threads.windows(height, width))
        return out

    @staticmethod
    def _has_kernels(*planes: Integers) -> bool:
        """Whether layers of these planes can be computed by kernels: of bytes, as levels have them."""
        return kernels.are_there() and all(each.itemsize == 1 for each in planes)

    def _convolve(self, name: str, *planes: Any) -> Planes:
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


class Shipped(NamedTuple):
    """What models/predictor-V.safetensors holds."""

    coarse: Predictor
    """Of cells of 4 x 4 pixels and larger ones."""
    fine: Predictor
    """Of smaller cells, of which there are many: a smaller network."""
    frequencies: NDArray[np.uint32]
    """[SPREADS, n]: of symbol 0, of 1 and -1 each, of 2 and -2 each, ..., of the escape; see entropy."""

    def network(self, spacing: int) -> Predictor:
        """The one for a level."""
        return self.coarse if spacing >= COARSE else self.fine


@cache
def load(version: int) -> Shipped:
    """The networks of a version and their tables. Raises CheckpointError if the file is not the format's."""
    from safetensors.numpy import load as load_tensors

    path = models_folder() / f"predictor-{version}.safetensors"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[version]:
        raise CheckpointError(f"{path}: SHA-256 is {found}, the format says {SHA256[version]}")
    tensors = load_tensors(data)
    frequencies = tensors.pop("frequencies")
    parts: dict[str, dict[str, Layer]] = {"coarse": {}, "fine": {}}
    for name in sorted({name.rsplit(".", 1)[0] for name in tensors}):
        part, layer = name.split(".", 1)
        parts[part][layer] = Layer(*(tensors[f"{name}.{field}"] for field in Layer._fields))
    return Shipped(Predictor(parts["coarse"]), Predictor(parts["fine"]), frequencies)
