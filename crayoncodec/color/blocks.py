"""The blocks of a level of nested grids, in part decoded: with NumPy and torch, or with kernels.

Tensors are int64, numpy arrays of as few bits as hold their values, computed in bands of rows by several
threads. Where a level's side is odd, its last row or column stands for the missing children of the last
blocks too (docs/format.md, "Nested grids").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.features import (
    FEATURES,
    KNOWN,
    Array,
    Lightness,
    children,
    doubled,
    features,
    guided_details,
    known,
    namespace,
    narrow,
    octave,
    seen,
    wide,
)
from crayoncodec.machine import kernels, level_kernels, threads

MAX_CELL: Final = 65535
"""Decoded cells are kept within this, so that nothing overflows whatever a file says."""
SHIFTS: Final = 16
"""Units of a predicted shift in a step."""
_AROUND: Final = 2
"""Rows of neighbours that filters reach."""


class Blocks(Protocol):
    """The blocks of a level. Halves are those of a checkerboard, planes the two of colour."""

    guided: Array
    """Details, [...,6,h,w]."""
    symbols: Array
    """[...,6,h,w], 0 where not decoded."""

    @classmethod
    def prepared(
        cls, parents: Array, above: Array | None, levels: dict[int, Lightness], spacing: int, step: Array,
        loudness: Array,
    ) -> tuple[Self, Array]:  # fmt: skip
        """Of which nothing is decoded, and their features [...,FEATURES,h,w].

        above: symbols of the blocks whose children the parents are. Arguments else as for ``features``.
        """
        ...

    def mask(self, half: int) -> Array:
        """The details of a half that tell children apart that are there: bool[3,h,w]."""
        ...

    def settle(self, half: int, plane: int, symbols: Array, shifts: Array) -> None:
        """Take in what is decoded, [...,3,h,w]: whole numbers, of which those in the mask are meant.

        Symbols are 0 elsewhere.
        """
        ...

    def known(self) -> Array:
        """As of features.known, when the first half is decoded."""
        ...

    def first_plane(self) -> tuple[Array, ...]:
        """As of features.seen, of the first colour plane."""
        ...

    def cells(self) -> Array:
        """All children, [...,2,rows,columns]."""
        ...


def kind(cells: Array) -> type[Blocks]:
    """What computes with such cells here: kernels, for arrays of one picture."""
    whole = isinstance(cells, np.ndarray) and cells.ndim == 3 and kernels.are_there()
    return Compiled if whole else Generic


class Generic:
    """Blocks of numpy or torch."""

    def __init__(self, parents: Array, guided: Array, cells: tuple[int, int], step: Array) -> None:
        self._parents, self.guided, self._step = parents, guided, step
        self.symbols = narrow(guided * 0)
        self._shifts = narrow(guided * 0)
        self._size = cells
        self._there = mask_like(details_there(*cells), guided)
        self._first = mask_like(_board(*guided.shape[-2:]), guided)

    @classmethod
    def prepared(
        cls, parents: Array, above: Array | None, levels: dict[int, Lightness], spacing: int, step: Array,
        loudness: Array,
    ) -> tuple[Self, Array]:  # fmt: skip
        """As Blocks says."""
        height, width = parents.shape[-2:]
        if above is None:
            above = narrow(namespace(parents).concat([parents * 0] * 3, -3))
        else:
            above = doubled(above)[..., :height, :width]
        guided, given = _empty(parents, 6, "int32"), _empty(parents, FEATURES, "int8")

        def part(window: threads.Window) -> None:
            near, inner = threads.around(window, _AROUND, height, width)
            light = {}
            for n in (2 * spacing, spacing, max(1, spacing // 2)):
                inside = [slice(span.start * 2 * spacing // n, span.stop * 2 * spacing // n) for span in near]
                light[n] = Lightness(*(planes[..., *inside] for planes in levels[n]))
            own = parents[..., *near]
            details, bicubic = guided_details(own, light[2 * spacing], light[spacing])
            planes = features(own, above[..., *near], details, bicubic, light, spacing, step, loudness)
            guided[..., *window], given[..., *window] = details[..., *inner], planes[..., *inner]

        _in_parts(part, parents)
        return cls(parents, guided, levels[spacing].means.shape[-2:], step), given

    def mask(self, half: int) -> Array:
        """As Blocks says."""
        return self._there & (~self._first if half else self._first)

    def settle(self, half: int, plane: int, symbols: Array, shifts: Array) -> None:
        """As Blocks says."""
        self.symbols[..., plane::2, :, :] += symbols
        self._shifts[..., plane::2, :, :] += shifts * self.mask(half)

    def _corrections(self, window: threads.Window) -> Array:
        """Of ``guided``."""
        shifts, symbols = (wide(planes[..., *window]) for planes in (self._shifts, self.symbols))
        return shifts * self._step // SHIFTS + symbols * self._step

    def known(self) -> Array:
        """As Blocks says."""
        out = _empty(self._parents, KNOWN, "int8")

        def part(window: threads.Window) -> None:
            out[..., *window] = known(
                self.symbols[..., *window], self._corrections(window), self._step, self._first[..., *window]
            )

        _in_parts(part, out)
        return out

    def first_plane(self) -> tuple[Array, Array]:
        """As Blocks says."""
        out = _empty(self._parents, 3, "int8"), _empty(self._parents, 3, "int8")

        def part(window: threads.Window) -> None:
            symbols, corrections = self.symbols[..., *window], self._corrections(window)
            both = seen(symbols[..., 0::2, :, :], corrections[..., 0::2, :, :], self._step)
            for planes, values in zip(out, both, strict=True):
                planes[..., *window] = values

        _in_parts(part, self._parents)
        return out

    def cells(self) -> Array:
        """As Blocks says."""
        height, width = self._parents.shape[-2:]
        rows, columns = self._size
        out = _empty(self._parents, 2, "int32", (2 * height, 2 * width))
        meant = namespace(self._there).stack([self._there, self._there], 1).reshape(6, height, width)

        def part(window: threads.Window) -> None:
            details = (self.guided[..., *window] + self._corrections(window)) * meant[:, *window]
            found = children(self._parents[..., *window], details).clip(-MAX_CELL, MAX_CELL)
            out[..., *(slice(2 * span.start, 2 * span.stop) for span in window)] = found

        _in_parts(part, self._parents)
        return out[..., :rows, :columns]


class Compiled:
    """Blocks of one picture, computed by kernels."""

    def __init__(self, parents: NDArray[np.int32], cells: tuple[int, int], step: int) -> None:
        height, width = parents.shape[1:]
        self._parents, self._step = parents, step
        self._shape = level_kernels.Shape(height, width, *cells)
        self.guided = np.empty((6, height, width), np.int32)
        self.symbols = np.zeros((6, height, width), np.int16)
        self._shifts = np.zeros((6, height, width), np.int16)
        self._known = np.zeros((height, width, KNOWN), np.int8)
        self._own = np.zeros((height, width, 6), np.int8)

    @classmethod
    def prepared(
        cls, parents: Array, above: Array | None, levels: dict[int, Lightness], spacing: int, step: Array,
        loudness: Array,
    ) -> tuple[Self, Array]:  # fmt: skip
        """As Blocks says."""
        fine = levels[spacing]
        blocks = cls(np.ascontiguousarray(parents, np.int32), fine.means.shape[-2:], int(step))
        planes = [levels[2 * spacing].means, *fine, *([levels[spacing // 2].means] if spacing > 1 else [])]
        lightness = [np.ascontiguousarray(plane[0]) for plane in planes]
        given = np.empty((*parents.shape[1:], FEATURES), np.int8)
        numbers = blocks._step, int(loudness), octave(spacing)
        blocks._in_bands(
            lambda rows: level_kernels.prepare(
                blocks._shape, blocks._parents, above, lightness, numbers, (blocks.guided, given), rows
            )
        )
        return blocks, given.transpose(2, 0, 1)

    def _in_bands(self, work: Callable[[slice], None]) -> None:
        threads.each(work, threads.bands(self._shape.height, self._shape.width))

    def mask(self, half: int) -> Array:
        """As Blocks says."""
        board = _board(self._shape.height, self._shape.width)
        return details_there(self._shape.rows, self._shape.columns) & (~board if half else board)

    def settle(self, half: int, plane: int, symbols: Array, shifts: Array) -> None:
        """As Blocks says."""
        new = np.ascontiguousarray(symbols, np.int16), np.ascontiguousarray(shifts, np.int16)
        self._in_bands(
            lambda rows: level_kernels.settle(
                self._shape, self._step, half, plane, new, (self.symbols, self._shifts),
                (self._known, self._own), rows,
            )
        )  # fmt: skip

    def known(self) -> Array:
        """As Blocks says."""
        return self._known.transpose(2, 0, 1)

    def first_plane(self) -> tuple[Array, ...]:
        """As Blocks says, both in one array."""
        return (self._own.transpose(2, 0, 1),)

    def cells(self) -> Array:
        """As Blocks says."""
        out = np.empty((2, self._shape.rows, self._shape.columns), np.int32)
        self._in_bands(
            lambda rows: level_kernels.children(
                self._shape, self._step, self._parents, self.guided, (self.symbols, self._shifts), MAX_CELL,
                out, rows,
            )
        )  # fmt: skip
        return out


def _empty(like: Array, channels: int, dtype: str, shape: tuple[int, int] | None = None) -> Array:
    """[...,channels,h,w], by default of the shape of ``like``; tensors are int64 where numpy has less."""
    *batch, _, height, width = like.shape
    whole = (*batch, channels, *(shape or (height, width)))
    if isinstance(like, np.ndarray):
        return np.empty(whole, dtype)
    xp = namespace(like)
    return like.new_empty(whole, dtype=xp.int8 if dtype == "int8" else xp.int64)


def _in_parts(work: Callable[[threads.Window], None], planes: Array) -> None:
    """``work`` of all rows and columns, arrays' in parts, tensors' at once."""
    height, width = planes.shape[-2:]
    if isinstance(planes, np.ndarray):
        threads.each(work, threads.windows(height, width))
    else:
        work((slice(0, height), slice(0, width)))


def details_there(rows: int, columns: int) -> NDArray[np.bool_]:
    """Which details of blocks tell children apart that are there: bool[3,ceil(rows/2),ceil(columns/2)]."""
    below = (np.arange(-(-rows // 2)) * 2 + 1 < rows)[:, None]
    beside = np.arange(-(-columns // 2)) * 2 + 1 < columns
    return np.stack(np.broadcast_arrays(beside, below, below & beside))


def _board(height: int, width: int) -> NDArray[np.bool_]:
    """The blocks that come first, as on a checkerboard: bool[h,w]."""
    even = np.arange(width) % 2 == 0
    first = np.empty((height, width), np.bool_)
    first[::2], first[1::2] = even, ~even
    return first


def mask_like(mask: np.ndarray, array: Array) -> Array:
    """A mask where the array is."""
    return mask if isinstance(array, np.ndarray) else _on(mask.tobytes(), mask.shape, array.device)


@lru_cache(64)
def _on(mask: bytes, shape: tuple[int, ...], device: Any) -> Array:
    """A mask on a device, where it is asked for at every step of a training."""
    import torch

    return torch.as_tensor(np.frombuffer(mask, bool).reshape(shape).copy(), device=device)
