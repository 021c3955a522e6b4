"""The compact network as an ONNX graph, written operation by operation.

PyTorch's own exporter computes shapes all along where sides are not known; this graph has nothing but planes
in it, and OpenCV, ONNX Runtime and OpenVINO read it. It is given windows whose sides are multiples of the
network's ``multiple``.
"""

from __future__ import annotations

import math
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from crayoncodec.errors import TrainingError
from crayoncodec.networks import compact
from crayoncodec.networks.compact import Compact

_OPSET: Final = 13
_IR_VERSION: Final = 8
_CHANNELS: Final = {"lightness": 1, "cell_lightness": 1, "bicubic": 2, "base": 2}
_OUTPUT: Final = "residual"


def graph(network: nn.Module) -> bytes | None:
    """The bytes of an ONNX file, the same for the same weights; None for a network that runs without one.

    Those are all but the compact ones, and of these any whose windows may be smaller than the squares that
    texture is averaged over. Raises TrainingError if onnx is not installed.
    """
    if not isinstance(network, Compact) or network.multiple // network.shuffle < compact.MEAN:
        return None
    writer = _Writer(network)
    writer.write()
    return writer.serialized()


class _Writer:
    """Collects nodes; a value is known by the name of the node that it comes from."""

    def __init__(self, network: Compact) -> None:
        try:
            import onnx
        except ImportError as error:
            raise TrainingError(
                "writing a graph needs onnx, expected pip install crayoncodec[export]"
            ) from error
        self._onnx = onnx
        self._network = network
        self._weights = {name: values.cpu().numpy() for name, values in network.state_dict().items()}
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def serialized(self) -> bytes:
        onnx, helper = self._onnx, self._onnx.helper

        def planes(name: str, channels: int, height: str, width: str) -> Any:
            return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, height, width])

        inputs = [planes(name, channels, "height", "width") for name, channels in _CHANNELS.items()]
        inputs.append(helper.make_tensor_value_info("coarseness", onnx.TensorProto.FLOAT, [1]))
        output = planes(_OUTPUT, 2 * self._network.shuffle**2, "rows", "columns")
        made = helper.make_graph(self._nodes, "compact", inputs, [output], list(self._constants.values()))
        model = helper.make_model(
            made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION,
            producer_name="crayoncodec",
        )  # fmt: skip
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def write(self) -> None:
        """What Compact.forward does, but for padding, and for what it does last: arrange and add."""
        network, shuffle = self._network, self._network.shuffle
        fine = self._add("AveragePool", "lightness", kernel_shape=[shuffle] * 2, strides=[shuffle] * 2)
        x = self._relu(self._conv("stem", self._unshuffled()))
        skips = []
        for level in range(len(network.down)):
            encoder = f"encoders.{level}"
            skips.append(self._conv(encoder, x) if level == 0 else self._residual(encoder, x))
            x = self._relu(self._conv(f"down.{level}", skips[-1]))
        x = self._residual("bottom", x)
        for level in reversed(range(len(network.up))):
            up = self._add("Add", self._conv(f"up.{level}", x, "ConvTranspose"), skips.pop())
            x = self._residual(f"decoders.{level}", self._relu(up))
        heard = self._add("Mul", self._heard(fine), self._number(compact.SCALE))
        self._add("Mul", self._conv("head", x), heard, name=_OUTPUT)

    def _unshuffled(self) -> str:
        """The planes scaled and rearranged, by a convolution whose kernels do not overlap, and coarseness.

        It is the cheapest way for all of the runtimes: one of their fast operations.
        """
        shuffle = self._network.shuffle
        # A row for each plane that the network is given, a column for each that the graph is.
        scale = np.zeros((6, 7), np.float32)
        scale[0, 0] = 1 / 50
        scale[1, :2] = 1 / 16, -1 / 16
        for channel in (2, 3):
            scale[channel, channel + 2] = 1 / 32
            scale[channel + 2, channel : channel + 3 : 2] = -1 / 8, 1 / 8
        kernels = np.zeros((6, shuffle, shuffle, 7, shuffle, shuffle), np.float32)
        for row in range(shuffle):
            for column in range(shuffle):
                kernels[:, row, column, :, row, column] = scale
        once = np.zeros((1, 7, shuffle, shuffle), np.float32)
        once[0, 6, 0, 0] = 1
        bias = np.repeat(np.array([-1, 0, 0, 0, 0, 0], np.float32), shuffle**2)
        self._constant("unshuffle.weight", np.concatenate([kernels.reshape(-1, 7, shuffle, shuffle), once]))
        self._constant("unshuffle.bias", np.append(bias, np.float32(0)))
        planes = self._add("Concat", *_CHANNELS, self._scale("lightness"), axis=1)
        return self._add(
            "Conv", planes, "unshuffle.weight", "unshuffle.bias", name="unshuffle",
            kernel_shape=[shuffle] * 2, strides=[shuffle] * 2,
        )  # fmt: skip

    def _scale(self, like: str) -> str:
        """The coarseness, scaled, as a plane of the size of another."""
        scale = self._add("Mul", self._add("Log", "coarseness"), self._number(1 / (3 * math.log(2))))
        zeros = self._add("Mul", like, self._number(0))
        return self._add("Add", zeros, self._add("Sub", scale, self._number(1)))

    def _heard(self, fine: str) -> str:
        """compact.gate."""
        edge, stride = compact.MEAN // 2, self._network.multiple // self._network.shuffle
        around: dict[str, Any] = {"kernel_shape": [compact.MEAN] * 2, "strides": [1, 1]}
        inner = self._cropped(fine, edge)
        texture = self._add("Sub", inner, self._add("AveragePool", fine, **around))
        texture = self._add("Mul", texture, texture)
        texture = self._add("Pad", texture, self._indices(*[0, 0, edge, edge] * 2))
        texture = self._add("AveragePool", texture, kernel_shape=[stride] * 2, strides=[stride] * 2)
        texture = self._add("AveragePool", texture, pads=[edge] * 4, count_include_pad=0, **around)
        heard = self._relu(self._add("Sub", texture, self._number(compact.QUIET)))
        heard = self._add("Div", heard, self._add("Add", heard, self._number(compact.HALF_HEARD)))
        # OpenCV 5.0 interpolates a single row with what lies behind it in memory, so there are always three.
        heard = self._add("Pad", heard, self._indices(*[0, 0, 1, 1] * 2), mode="edge")
        scales = self._constant("scales", np.array([1, 1, stride, stride], np.float32))
        heard = self._add(
            "Resize", heard, "", scales, mode="linear", coordinate_transformation_mode="half_pixel"
        )
        return self._cropped(heard, stride)

    def _cropped(self, x: str, edge: int) -> str:
        first, last = (self._indices(sign * edge, sign * edge) for sign in (1, -1))
        return self._add("Slice", x, first, last, self._indices(2, 3))

    def _residual(self, name: str, x: str) -> str:
        inner = self._conv(f"{name}.second", self._relu(self._conv(f"{name}.first", x)))
        return self._relu(self._add("Add", inner, x))

    def _conv(self, name: str, x: str, operation: str = "Conv") -> str:
        """The network's convolution of that name."""
        layer = cast(nn.Conv2d, self._network.get_submodule(name))
        names = [f"{name}.weight", f"{name}.bias"]
        weights = [self._constant(each, self._weights[each]) for each in names]
        return self._add(
            operation, x, *weights, name=name, kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride), pads=2 * [int(side) for side in layer.padding],
        )  # fmt: skip

    def _relu(self, x: str) -> str:
        return self._add("Relu", x)

    def _add(self, operation: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{operation.lower()}.{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operation, inputs, [name], name, **attributes))
        return name

    def _number(self, value: float) -> str:
        return self._constant(f"{value:g}", np.array(value, np.float32))

    def _indices(self, *values: int) -> str:
        return self._constant(", ".join(map(str, values)), np.array(values, np.int64))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self._constants[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name
