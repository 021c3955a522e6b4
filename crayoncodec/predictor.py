"""The network in the loop of nested grids, in integers: the same on every machine (docs/format.md).

Weights are 8 bits, inputs -127 to 255, sums of products below 2^24, and sums are divided by powers of two: so
float32 holds every number exactly, in whatever order a library adds (Ballé, Johnston and Minnen, "Integer
Networks for Data Compression with Latent-Variable Models", ICLR 2019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from crayoncodec.errors import CheckpointError

VERSION: Final = 1
"""What files call the network below."""
SHA256: Final = "ea64ea2a5634436d9aedcadfe45074635f4ad6efc45b6e5ed150f50eb8df4bd2"
"""Of models/predictor-1.safetensors, which holds its weights and the frequency tables."""
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

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


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
    """crayoncodec.networks.nested.Predictor as integers. Planes are whole numbers as f32[C,h,w]."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        self.layers = layers
        self._folded = {name: _folded(layer) for name, layer in layers.items()}

    def trunk(self, features: I64) -> F32:
        """Features of a level [FEATURES,h,w] -> what its first half is predicted from."""
        return self._hidden("first", features.astype(np.float32))

    def second(self, hidden: F32, known: I64) -> F32:
        """... and, with what is known of the first half [KNOWN,h,w], its second half."""
        return self._hidden("later", np.concatenate([hidden, known.astype(np.float32)]))

    def head(self, half: int, plane: int, hidden: F32, symbols: I64, corrections: I64) -> tuple[I64, I64]:
        """Shifts, -MAX_SHIFT to MAX_SHIFT in 1/16 of a step, and spreads, of a plane's details [3,h,w]."""
        if plane == 0:
            out = convolve(*self._folded[f"one.{half}"], hidden)
        else:
            own = np.concatenate([hidden, symbols.astype(np.float32), corrections.astype(np.float32)])
            between = convolve(*self._folded[f"both.{half}"], own).clip(0, TOP)
            out = convolve(*self._folded[f"other.{half}"], between)
        whole = out.astype(np.int64)
        return whole[:3].clip(-MAX_SHIFT, MAX_SHIFT), whole[3:].clip(0, SPREADS - 1)

    @staticmethod
    def integers(shifts: I64) -> I64:
        """The shifts as they are: training rounds here."""
        return shifts

    def _hidden(self, name: str, planes: F32) -> F32:
        for k in range(sum(key.startswith(f"{name}.") for key in self._folded)):
            planes = convolve(*self._folded[f"{name}.{k}"], planes)
            np.clip(planes, 0, TOP, out=planes)
        return planes


def convolve(matrix: F32, bias: F32, planes: F32) -> F32:
    """Convolution and floor: weights f32[outputs, k*k*inputs], bias f32[outputs], f32[inputs,h,w]."""
    inputs, height, width = planes.shape
    side = 1 if matrix.shape[1] == inputs else 3
    out = np.empty((len(matrix), height, width), np.float32)
    if side == 1:
        np.matmul(matrix, planes.reshape(inputs, -1), out=out.reshape(len(matrix), -1))
        out += bias[:, None, None]
        return cast(F32, np.floor(out, out=out))
    wide = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    rows = min(height, max(1, _STRIP // width))
    columns = np.empty((side, side, inputs, rows, width), np.float32)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        for y in range(side):
            for x in range(side):
                columns[y, x, :, :count] = wide[:, top + y : top + y + count, x : x + width]
        sums = (matrix @ columns.reshape(-1, rows * width)).reshape(-1, rows, width)[:, :count]
        sums += bias[:, None, None]
        np.floor(sums, out=out[:, top : top + count])
    return out


def _folded(layer: Layer) -> tuple[F32, F32]:
    """Weights, as ``convolve`` wants them, and bias, both divided by 2^shift: float32 holds them still."""
    scale = np.exp2(-layer.shift.astype(np.float64))
    outputs = len(layer.weights)
    matrix = layer.weights.transpose(0, 2, 3, 1).reshape(outputs, -1) * scale[:, None]
    return matrix.astype(np.float32), (layer.bias * scale).astype(np.float32)


class Shipped(NamedTuple):
    """What models/predictor-1.safetensors holds."""

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
def load() -> Shipped:
    """The networks of VERSION and their tables. Raises CheckpointError if the file is not the format's."""
    from safetensors.numpy import load as load_tensors

    path = resources.files("crayoncodec.models") / f"predictor-{VERSION}.safetensors"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise CheckpointError(f"{path}: SHA-256 is {found}, the format says {SHA256}")
    tensors = load_tensors(data)
    frequencies = tensors.pop("frequencies")
    parts: dict[str, dict[str, Layer]] = {"coarse": {}, "fine": {}}
    for name in sorted({name.rsplit(".", 1)[0] for name in tensors}):
        part, layer = name.split(".", 1)
        parts[part][layer] = Layer(*(tensors[f"{name}.{field}"] for field in Layer._fields))
    return Shipped(Predictor(parts["coarse"]), Predictor(parts["fine"]), frequencies)
