"""Behind nested grids: cells are continued down to pixels, and a network refines what they are.

Continued by guided details alone, as the levels that are not coded; then a small U-Net at half of the
resolution, told the lightness of four pixels and the colour of their cell, adds to the colours of each. All
is in whole numbers, the same on every machine (docs/format.md, section 14).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.blocks import MAX_CELL, details_there, mask_like
from crayoncodec.color.features import (
    Array,
    Lightness,
    bicubic_details,
    binomial,
    blocks,
    children,
    details,
    guided_details,
    namespace,
    pyramid,
    small,
    wide,
)
from crayoncodec.color.layers import U8, Integers, Layer, Layers, named, read
from crayoncodec.machine import kernels, refine_kernels, threads
from crayoncodec.machine.process import models_folder

VERSION: Final = 1
SHA256: Final = "eb1038e9c9e276b975313e9363d08f7edaf8ab8cafa10c35d7659e1fa316c0c5"
"""Of models/refiner-V.safetensors."""
PLANES: Final = 17
"""That the network is given."""
OUTPUTS: Final = 8
"""a* of four pixels, row by row, then b*."""
STRIDE: Final = 8
"""Of the deepest level, in cells of 2 x 2 pixels."""
UNIT: Final = 32
"""Of an output in a CIELAB unit."""
FULL: Final = 256
"""The gate where an output would count as much as in training, which was behind means."""
LOUDEST: Final = 224
"""The gate where the network is heard most: fitted cells lack less than means."""
_LARGEST: Final = 4095
_LOUDNESS: Final = 65
_MOST_TEXTURE: Final = 1023
_QUIET: Final = 4000
"""Mean square of texture that rounding to 8 bits makes of a ramp, doubled, in squared units of lightness."""
_HALF_HEARD: Final = 3000
"""How much more makes the network count half."""
_SUMMED: Final = 256 * STRIDE**2
"""Of what weights a sum of texture is."""
_REACH: Final = 32
"""Cells of 2 x 2 pixels around that an output may depend on."""
_STRIP: Final = 2**22
"""Cells of 2 x 2 pixels that the network is computed for at once."""

I32 = NDArray[np.int32]
Whole = TypeVar("Whole", bound=np.integer[Any])


@runtime_checkable
class Network(Protocol):
    """What refines: a Refiner, or one that computes the same elsewhere."""

    def outputs(self, given: Integers) -> I32:
        """Planes int8[PLANES,h,w], sides multiples of STRIDE -> int32[OUTPUTS,h,w], not clipped."""
        ...


class Refiner(Layers):
    """crayoncodec.networks.behind_loop.Refiner as whole numbers."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        super().__init__(layers)
        self._depth = sum(name.startswith("down.") for name in layers)

    def outputs(self, given: Integers) -> I32:
        """As of Network."""
        x, skips = self.layer("stem", (given,)), []
        for k in range(self._depth):
            skips.append(x)
            x = self._down(f"down.{k}", x)
            x = self.layer(f"before.{k}", (x,), added=x)
        x = self.layer("bottom", (x,), added=x)
        for k in reversed(range(self._depth)):
            x = self._up(f"up.{k}", x, skips.pop())
            x = self.layer(f"after.{k}", (x,), added=x)
        return self._head(x)

    @cached_property
    def packed(self) -> dict[str, kernels.Packed]:
        """As of Layers; of four pixels that are one kernels take the planes of the first, then the next."""
        found = {}
        for name, (weights, bias, shift) in self.layers.items():
            taken: Any = slice(None)
            given: Any = slice(None)
            if name.startswith("down."):
                taken = _by_pixel(weights.shape[1])
            elif name.startswith("up."):
                given = _by_pixel(len(weights))
            found[name] = kernels.pack(weights[given][:, taken], bias[given], shift[given])
        return found

    def _down(self, name: str, x: U8) -> U8:
        """A layer of four pixels at a time."""
        if not self.has_kernels(x):
            return self.layer(name, (folded(x),))
        _, height, width = x.shape
        out = kernels.interleaved(len(self.layers[name].bias), height // 2, width // 2)
        threads.each(
            lambda rows: kernels.convolve(self.packed[name], (x,), rows, out, folded=True),
            threads.bands(height // 2, width // 2),
        )
        return out

    def _up(self, name: str, x: U8, skip: U8) -> U8:
        """A layer that gives four pixels at a time, to which ``skip`` is added."""
        if not self.has_kernels(x):
            return unfolded(self.layer(name, (x,), added=folded(skip)))
        out = kernels.interleaved(*skip.shape)
        threads.each(
            lambda rows: kernels.convolve(self.packed[name], (x,), rows, out, added=skip, unfolded=True),
            threads.bands(*x.shape[1:]),
        )
        return out

    def _head(self, x: U8) -> I32:
        _, height, width = x.shape
        out = np.empty((OUTPUTS, height, width), np.int32)
        if self.has_kernels(x):
            threads.each(
                lambda rows: kernels.convolve(self.packed["head"], (x,), rows, out),
                threads.bands(height, width),
            )
            return out

        def part(window: threads.Window) -> None:
            near, inner = threads.around(window, 1, height, width)
            out[:, *window] = self.convolve("head", x[:, *near])[:, *inner]

        threads.each(part, threads.windows(height, width), products=True)
        return out


@cache
def load() -> Refiner:
    """The network that ships. Raises CheckpointError."""
    return Refiner(named(read(models_folder() / f"refiner-{VERSION}.safetensors", SHA256)))


class Painting:
    """The colours of a picture behind nested grids, as whole numbers.

    lightness: the stored plane, u8[H,W]. samples: cells of ``spacing``, i16[2,h,w] in 1/256 of a CIELAB unit.
    step: quantiser step of a cell of one pixel, in the same units. Without a network colours are continued
    from the cells by guided details alone.
    """

    def __init__(
        self, lightness: U8, samples: NDArray[np.int16], spacing: int, step: int, network: Network | None
    ) -> None:
        self._lightness, self._samples, self._spacing = lightness, samples, spacing
        self._network, self._loudness = network, (step**8).bit_length() - _LOUDNESS

    def strips(self) -> Iterator[tuple[slice, Callable[[slice], I32]]]:
        """Rows of pixels that cover the picture, and what gives colours int32[2,rows,W] of some of those.

        In 1/256 of a CIELAB unit; rows begin at even numbers, or where the picture does.
        """
        height, width = self._lightness.shape
        whole = max(2 * STRIDE, self._spacing)  # strips begin where cells and gates do
        size = max(1, 2 * max(_REACH, 2 * _STRIP // width) // whole) * whole
        for top in range(0, height, size):
            rows = slice(top, min(height, top + size))
            yield rows, self._colors(rows, whole)

    def _colors(self, rows: slice, whole: int) -> Callable[[slice], I32]:
        n, height = self._spacing, len(self._lightness)
        if n == 1:
            return lambda part: self._samples[:, part].astype(np.int32)
        # All levels above see less than four cells far.
        reach = -(-(2 * _REACH + 4 * n) // whole) * whole
        near = slice(max(0, rows.start - reach), min(height, rows.stop + reach))
        cells = self._samples[:, near.start // n : -(-near.stop // n)].astype(np.int32)
        strip = _Strip(self._lightness[near], cells, n)
        added = None
        if self._network is not None:
            first, last = (rows.start - near.start) // 2, -(-(rows.stop - near.start) // 2)
            added = strip.added(self._network, self._loudness, slice(first, last))
        return lambda part: strip.colors(slice(part.start - near.start, part.stop - near.start), added)


class _Strip:
    """Rows of a picture as of ``Painting``, with what is around those that are meant."""

    def __init__(self, lightness: U8, samples: I32, spacing: int) -> None:
        self._spacing, self._levels = spacing, pyramid(lightness[None], spacing)
        self._parents = continued(samples, self._levels, spacing, 2)

    def added(self, network: Network, loudness: int, rows: slice) -> refine_kernels.Added:
        """What a network adds to rows of cells of 2 x 2 pixels. loudness: as for ``planes``."""
        near = slice(max(0, rows.start - _REACH), min(self._parents.shape[1], rows.stop + _REACH))
        heard = gate(self._levels)[0].astype(np.uint16)
        return refine_kernels.Added(network.outputs(self._given(near, loudness)), heard, near.start)

    def _given(self, near: slice, loudness: int) -> Integers:
        """What the network is given of rows of cells, filled up with zeros to multiples of STRIDE."""
        _, _, width = self._parents.shape
        size = near.stop - near.start
        out = np.zeros((PLANES, size + -size % STRIDE, width + -width % STRIDE), np.int8)

        def band(rows: slice) -> None:
            own = slice(near.start + rows.start, near.start + rows.stop)
            if kernels.are_there():
                numbers = loudness, _octave(self._spacing)
                refine_kernels.given(_compiled(self._parents, self._levels, 1), numbers, out, near.start, own)
                return
            cells, inner = threads.around((own, slice(0, width)), 2, *self._parents.shape[1:])
            levels = _cut(self._levels, cells, 1)
            parents = wide(self._parents[:, *cells])
            guided = guided_details(parents, levels[2], levels[1])[0]
            found = planes(parents, guided, levels, np.array(loudness), self._spacing)
            out[:, rows, :width] = found[:, *inner]

        threads.each(band, threads.bands(size, width))
        return out

    def colors(self, rows: slice, added: refine_kernels.Added | None) -> I32:
        """Of rows of pixels."""
        own = slice(rows.start // 2, -(-rows.stop // 2))
        if kernels.are_there():
            out = np.empty((2, rows.stop - 2 * own.start, self._levels[1].means.shape[-1]), np.int32)
            given = _compiled(self._parents, self._levels, 1)
            refine_kernels.continued(given, added, MAX_CELL, out, own.start, own)
            return out
        found = _children(self._parents, self._levels, 1, (own, slice(0, self._parents.shape[2])))
        if added is not None:
            inside = slice(own.start - added.first, own.stop - added.first)
            values = added.values[:, inside, : self._parents.shape[2]].clip(-_LARGEST, _LARGEST)
            heard = added.gate[np.arange(own.start, own.stop)[:, None] // STRIDE]
            heard = heard[:, 0].repeat(STRIDE, axis=1)[:, : values.shape[2]].astype(np.int32)
            more = unfolded((values * heard) >> (UNIT.bit_length() - 1))
            found = (found + more[:, : found.shape[1], : found.shape[2]]).clip(-MAX_CELL, MAX_CELL)
        return found[:, : rows.stop - 2 * own.start].astype(np.int32)


def continued(cells: Array, levels: dict[int, Lightness], spacing: int, finest: int) -> Array:
    """Cells [...,2,h,w] of ``spacing`` -> those of ``finest``, by guided details."""
    while spacing > finest:
        spacing //= 2
        if isinstance(cells, np.ndarray):
            cells = _continued(cells, levels, spacing)
        else:
            fine = levels[spacing]
            found = guided_details(cells, levels[2 * spacing], fine)[0]
            cells = divided(cells, found, fine.means.shape[-2:])
    return cells


def _continued(parents: I32, levels: dict[int, Lightness], spacing: int) -> I32:
    """One level, of one picture."""
    _, height, width = parents.shape
    out = np.empty((2, *levels[spacing].means.shape[-2:]), np.int32)
    if kernels.are_there():
        given = _compiled(parents, levels, spacing)
        threads.each(
            lambda rows: refine_kernels.continued(given, None, MAX_CELL, out, 0, rows),
            threads.bands(height, width),
        )
        return out

    def part(window: threads.Window) -> None:
        inside = tuple(slice(2 * span.start, 2 * span.stop) for span in window)
        out[:, *inside] = _children(parents, levels, spacing, window)

    threads.each(part, threads.windows(height, width))
    return out


def _children(
    parents: I32, levels: dict[int, Lightness], spacing: int, window: threads.Window
) -> NDArray[np.int64]:  # fmt: skip
    """Cells of ``spacing`` of some of their parents, with NumPy."""
    near, inner = threads.around(window, 2, *parents.shape[1:])
    light = _cut(levels, near, spacing)
    fine = light[spacing]
    guided = guided_details(parents[:, *near], light[2 * spacing], fine)[0]
    cells = divided(parents[:, *near], guided, fine.means.shape[-2:])
    found: NDArray[np.int64] = cells[:, *(slice(2 * span.start, 2 * span.stop) for span in inner)]
    return found


def divided(parents: Array, found: Array, shape: tuple[int, int]) -> Array:
    """Parents and their details -> cells of a level of ``shape``."""
    rows, columns = shape
    there = details_there(rows, columns)
    meant = mask_like(np.stack([there, there], 1).reshape(6, *there.shape[1:]), parents)
    return children(wide(parents), found * meant).clip(-MAX_CELL, MAX_CELL)[..., :rows, :columns]


def planes(
    parents: Array, guided: Array, levels: dict[int, Lightness], loudness: Array, spacing: int
) -> Array:  # fmt: skip
    """What the network is given: int8[...,PLANES,h,w].

    parents: cells of 2 x 2 pixels, [...,2,h,w]. guided: their details, [...,6,h,w]. loudness: of the step
    of a pixel, in 1/8 of an octave. spacing: of the finest cells that were decoded.
    """
    coarse, fine = levels[2].means, levels[1].means
    ones = namespace(parents).ones_like(coarse)
    given = (
        *((part - coarse) >> 5 for part in blocks(fine)),
        (coarse >> 6) - 128,
        parents >> 8,
        (parents * 256 - binomial(parents)) >> 14,
        guided >> 6,
        loudness * ones,
        _octave(spacing) * ones,
    )
    return namespace(parents).concat([small(plane) for plane in given], -3)


def gate(levels: dict[int, Lightness]) -> Array:
    """Where the network is heard, 0 to LOUDEST, of every STRIDE x STRIDE cells of 2 x 2 pixels: [...,1,h,w].

    Not where all around there is no texture but that of rounding: in a sky, on a ramp guided details are
    right, and whatever is added is noise.
    """
    sums = _texture(levels[2].means, levels[1].means)
    for _ in range(STRIDE.bit_length() - 1):
        sums = sum(blocks(sums))
    heard = (binomial(sums) - _SUMMED * _QUIET).clip(0)
    return LOUDEST * heard // (heard + _SUMMED * _HALF_HEARD)


def _texture(coarse: Array, fine: Array) -> Array:
    """Squares of the details of lightness less those of bicubic interpolation, summed, [...,1,h,w]."""
    if isinstance(coarse, np.ndarray) and kernels.are_there():
        sums = np.empty(coarse.shape, np.int32)
        given = np.ascontiguousarray(coarse[0]), np.ascontiguousarray(fine[0])
        threads.each(
            lambda rows: refine_kernels.texture(*given, sums[0], rows), threads.bands(*coarse.shape[1:])
        )
        return sums.astype(np.int64)
    texture = (details(wide(fine)) >> 1) - bicubic_details(wide(coarse))
    return (texture.clip(-_MOST_TEXTURE, _MOST_TEXTURE) ** 2).sum(-3)[..., None, :, :]


def _octave(spacing: int) -> int:
    return min(16 * (spacing.bit_length() - 1) - 16, 127)


def folded(x: NDArray[Whole]) -> NDArray[Whole]:
    """Planes [C,2h,2w] -> [4C,h,w], of each the four pixels row by row."""
    channels, height, width = x.shape
    parts = x.reshape(channels, height // 2, 2, width // 2, 2).transpose(0, 2, 4, 1, 3)
    return parts.reshape(4 * channels, height // 2, width // 2)


def unfolded(x: NDArray[Whole]) -> NDArray[Whole]:
    """The reverse of ``folded``."""
    channels, height, width = x.shape
    parts = x.reshape(channels // 4, 2, 2, height, width).transpose(0, 3, 1, 4, 2)
    return parts.reshape(channels // 4, 2 * height, 2 * width)


def _by_pixel(channels: int) -> NDArray[np.intp]:
    """The order of ``folded`` planes in which all of a pixel follow each other."""
    return np.arange(channels).reshape(-1, 4).T.ravel()


def _compiled(parents: I32, levels: dict[int, Lightness], spacing: int) -> refine_kernels.Parents:
    """What kernels make the level of ``spacing`` of."""
    coarse, fine = (np.ascontiguousarray(levels[n].means[0]) for n in (2 * spacing, spacing))
    return refine_kernels.Parents(np.ascontiguousarray(parents, np.int32), coarse, fine)


def _cut(levels: dict[int, Lightness], cells: threads.Window, spacing: int) -> dict[int, Lightness]:
    """Lightness of some cells, and of their children, whose spacing is given."""
    inside = [slice(2 * span.start, 2 * span.stop) for span in cells]
    return {
        n: Lightness(*(each[..., *span] for each in levels[n]))
        for n, span in ((2 * spacing, cells), (spacing, inside))
    }
