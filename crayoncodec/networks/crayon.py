"""The Crayon network, tables 1 and 2 of "Convolutional Deep Colorization for Image Compression".

A 4-stage U-net (layers 2 to 50), then a residual network (layers 51 to 78). Layers carry the paper's
numbers. Its misprints are resolved so: layer 51 joins 1 + 2 + 2 = 5 channels (3 printed), layer 77 has
256 channels (64 printed), and layer 60 adds layer 54 as it is before its ReLU.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Operation = Literal["input", "conv", "relu", "pool", "transposed", "concat", "add"]

_LIGHTNESS_SCALE: Final = 100.0
_AB_SCALE: Final = 128.0
_COLORS: Final = 78
"""The layer that gives AB."""


class Layer(NamedTuple):
    """One row of the tables: what a layer does with the outputs of its sources ("Data From")."""

    operation: Operation
    channels_in: int
    channels_out: int
    sources: tuple[int, ...] = ()
    kernel: int = 0
    stride: int = 0
    padding: int = 0
    dilation: int = 0


class Crayon(nn.Module):
    """24,109,572 parameters, 1351 k multiply-accumulates per pixel at any size.

    width: channels of the first layer, 64 in the paper; all others are in proportion.
    residual: not the paper's. AB comes as the guided base instead of sparse samples, and what layer 78 gives
    is added to it, nothing before training.
    mask: not the paper's, but of XiaoNet, which it comes from. A third channel beside the sparse samples says
    where they are; without it a pixel between them looks like a grey sample.
    """

    architecture: Final = "crayon"
    multiple: Final = 8
    """Heights and widths are padded to multiples of this (three poolings)."""
    reach: Final = 168
    """How many pixels away an input may be and still change an output pixel; a multiple of ``multiple``."""

    def __init__(self, width: int = 64, residual: bool = False, mask: bool = False) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width is {width}, expected at least 1")
        if residual and mask:
            raise ValueError("residual and mask are both true, but the guided base has no empty pixels")
        self.config = {"width": width, "residual": residual, "mask": mask}
        """The keywords that build this network again."""
        self.residual, self.mask = residual, mask
        self.inputs = ("lightness", "base" if residual else "sparse")
        """What forward takes, in this order: names of guided.Planes, or the sparse samples."""
        self.table = _table(width, 3 if mask else 2)
        self.weights = nn.ModuleDict()
        for index, layer in enumerate(self.table):
            channels = layer.channels_in, layer.channels_out
            if layer.operation == "conv":
                self.weights[str(index)] = nn.Conv2d(
                    *channels, layer.kernel, layer.stride, layer.padding, layer.dilation
                )
            elif layer.operation == "transposed":
                self.weights[str(index)] = nn.ConvTranspose2d(*channels, layer.kernel, layer.stride)
        self._last_use = {source: i for i, layer in enumerate(self.table) for source in layer.sources}
        if residual:
            for parameter in self.weights[str(_COLORS)].parameters():
                nn.init.zeros_(parameter)

    def forward(self, lightness: Tensor, ab: Tensor) -> Tensor:
        """L* f32[B,1,H,W] 0..100 and the guided base f32[B,2,H,W] or sparse samples f32[B,3,H,W]
        (grid.scatter_samples) -> AB f32[B,2,H,W].
        """
        height, width = lightness.shape[-2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        given = [ab[:, :2] / _AB_SCALE]
        if self.mask:
            given.append(ab[:, 2:])
        lab = self.layers(
            F.pad(lightness / _LIGHTNESS_SCALE, padding, mode="replicate"),
            F.pad(torch.cat(given, dim=1), padding),
        )
        colors = lab[:, 1:, :height, :width] * _AB_SCALE
        return ab + colors if self.residual else colors

    def layers(self, lightness: Tensor, ab: Tensor) -> Tensor:
        """Layers 0 to 79: inputs scaled to about -1..1 (AB with its mask), sides multiples of 8 -> LAB."""
        outputs = {0: lightness, 1: ab}
        for index, layer in enumerate(self.table[2:], start=2):
            inputs = [outputs[source] for source in layer.sources]
            outputs[index] = self._output(index, layer, inputs)
            for source in layer.sources:
                if self._last_use[source] == index:
                    del outputs[source]
        return outputs[len(self.table) - 1]

    def _output(self, index: int, layer: Layer, inputs: list[Tensor]) -> Tensor:
        if layer.operation == "relu":
            return F.relu(inputs[0])
        if layer.operation == "pool":
            return F.max_pool2d(inputs[0], layer.kernel, layer.stride)
        if layer.operation == "add":
            return inputs[0] + inputs[1]
        joined = torch.cat(inputs, dim=1) if len(inputs) > 1 else inputs[0]
        if layer.operation == "concat":
            return joined
        output: Tensor = self.weights[str(index)](joined)
        return output


def _table(width: int, given: int) -> tuple[Layer, ...]:
    """Layers 0 to 79; the paper's for a width of 64 and 2 given channels of colour."""
    table = [Layer("input", 0, 1), Layer("input", 0, given)]

    def add(operation: Operation, channels: int, sources: tuple[int, ...] = (), *geometry: int) -> int:
        sources = sources or (len(table) - 1,)
        channels_in = sum(table[source].channels_out for source in sources)
        if operation == "add":
            channels_in //= 2
        table.append(Layer(operation, channels_in, channels, sources, *geometry))
        return len(table) - 1

    def conv_relu(channels: int, sources: tuple[int, ...] = (), dilation: int = 1) -> int:
        add("conv", channels, sources, 3, 1, dilation, dilation)
        return add("relu", channels)

    # Table 1: the U-net.
    skips = []
    conv_relu(width, (0, 1))
    for channels in (width, 2 * width, 4 * width):
        skips.append(conv_relu(channels))
        add("pool", channels, (), 2, 2, 0, 1)
        conv_relu(2 * channels)
    conv_relu(8 * width)
    for _ in range(6):
        conv_relu(8 * width, dilation=2)
    conv_relu(8 * width)
    for channels, skip_channels in ((4 * width, 4 * width), (2 * width, 2 * width), (2 * width, width)):
        add("transposed", channels, (), 2, 2, 0, 1)
        upsampled = add("relu", channels)
        add("concat", skip_channels + channels, (skips.pop(), upsampled))
        conv_relu(channels)
    colors = add("conv", 2, (), 1, 1, 0, 1)
    # Table 2: the residual network.
    add("concat", 1 + given + 2, (0, 1, colors))
    conv_relu(width)
    running = add("conv", width, (), 3, 1, 1, 1)
    add("relu", width)
    for _ in range(4):
        conv_relu(width)
        running = add("add", width, (running, conv_relu(width)))
    conv_relu(4 * width)
    colors = add("conv", 2, (), 3, 1, 1, 1)
    add("concat", 3, (0, colors))
    return tuple(table)
