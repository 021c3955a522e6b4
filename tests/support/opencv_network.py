"""The networks in the loop on OpenCV's dnn, for arrays: one ONNX model of one convolution for each layer."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from crayoncodec.color.layers import Layer, Planes
from crayoncodec.color.predictor import Predictor


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer: a varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """An unsigned whole number, seven bits a byte."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def tensor(name: str, values: np.ndarray) -> bytes:
    """TensorProto: dims, data_type 1 (float), name, raw_data."""
    dims = b"".join(field(1, size) for size in values.shape)
    return dims + field(2, 1) + field(8, name) + field(9, values.astype("<f4").tobytes())


def value(name: str, shape: tuple[int, ...]) -> bytes:
    """ValueInfoProto of a float tensor."""
    dims = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def attribute(name: str, values: list[int]) -> bytes:
    """AttributeProto of type 7 (whole numbers)."""
    return field(1, name) + b"".join(field(8, one) for one in values) + field(20, 7)


def convolution(weights: np.ndarray, bias: np.ndarray, shape: tuple[int, int]) -> bytes:
    """ModelProto: y = Conv(x, w, b) for planes of that shape."""
    outputs, inputs, side, _ = weights.shape
    node = (
        field(1, "x") + field(1, "w") + field(1, "b") + field(2, "y") + field(3, "c") + field(4, "Conv")
        + field(5, attribute("kernel_shape", [side, side])) + field(5, attribute("pads", 4 * [side // 2]))
    )  # fmt: skip
    graph = (
        field(1, node) + field(2, "g") + field(5, tensor("w", weights)) + field(5, tensor("b", bias))
        + field(11, value("x", (1, inputs, *shape))) + field(12, value("y", (1, outputs, *shape)))
    )  # fmt: skip
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


class OpenCv(Predictor):
    """The same network, its convolutions by OpenCV."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        super().__init__(layers)
        self.calls = 0

    @staticmethod
    def has_kernels(*planes: Any) -> bool:
        return False

    def convolve(self, name: str, *planes: Any) -> Planes:
        self.calls += 1
        layer, given = self.layers[name], np.concatenate(planes)
        scale = np.exp2(-layer.shift.astype(np.float64))
        model = convolution(layer.weights * scale[:, None, None, None], layer.bias * scale, given.shape[1:])
        network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
        # Winograd's transform divides by 6.
        network.enableWinograd(False)
        network.setInput(np.asarray(given, np.float32)[None])
        return np.floor(network.forward()[0])
