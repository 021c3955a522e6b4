"""Nested colour grids <-> GRID chunks (docs/format.md, sections 11 to 13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color import differences, features, predictor
from crayoncodec.color.blocks import SHIFTS
from crayoncodec.color.geometry import grid_shape
from crayoncodec.color.levels import Stage, answered, stages, step_of
from crayoncodec.errors import FormatError
from crayoncodec.format import entropy, residuals
from crayoncodec.format.chunks import NESTED, GridChunk
from crayoncodec.machine import kernels, level_kernels, symbol_kernels, threads

COARSEST: Final = 128
"""Spacing of the level that encoders begin with (docs/design.md says why)."""
PRICE: Final = 0.07
"""What a bit may cost in squared error at grey, in squared steps (docs/design.md)."""
DEAD_ZONE: Final = 0.6
"""Details smaller than this, in steps, are rounded to 0."""
_TURNS: Final = 64
_UNIT: Final = 2**14
_OFFSET: Final = 16
"""Spread of what is added to the offset of all spreads, before each stage."""
_OFFSETS: Final = np.arange(1 - predictor.SPREADS, predictor.SPREADS)
_SPREADS: Final = np.arange(predictor.SPREADS)
_MOVES: Final = (_SPREADS + _OFFSETS[:, None]).clip(0, predictor.SPREADS - 1)
"""What every spread becomes with every offset."""
_BITS_UNIT: Final = 2**16
"""Of bits in whole numbers, whose sums are the same in whatever order they are added."""
_CHUNK: Final = 2048
"""Bytes from which on the next level begins a new chunk."""
_WHAT: Final = "nested colour grid"

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]
I16 = NDArray[np.int16]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


class Coded(NamedTuple):
    """A nested grid in chunks, and what a decoder makes of it."""

    chunks: tuple[GridChunk, ...]
    samples: I16
    """Of the finest level, [2,h,w], in 1/256 of a CIELAB unit."""


def encode(cells: NDArray[np.float32], lightness: U8, spacing: int, step: int, price: float = PRICE) -> Coded:
    """Code AB cells f32[2,h,w] of ``spacing``, a power of two; the picture's decoded plane is u8[H,W].

    step: quantiser step of a cell of one pixel in 1/256 of a CIELAB unit; that of n x n pixels is an n-th of
    it. price: of a bit at grey, in squared steps; of stronger colours, of which differences are seen less, a
    bit may cost more. 0 rounds every detail.
    """
    shipped, tables = predictor.load(predictor.VERSION), _tables(predictor.VERSION)
    means = _Means(cells, spacing)
    prices = lru_cache(1)(means.prices)  # of all four stages of a level
    coarsest = max(COARSEST, spacing)
    writer = _Writer(tables, coarsest)
    own = step_of(step, coarsest)[0]
    first = np.rint(means.level(coarsest) / own).astype(np.int64)
    writer.first(first, means.turn)

    def decide(stage: Stage) -> I16:
        targets, own_prices = means.details(stage.spacing, stage.plane), prices(stage.spacing, price)
        writer.reach(stage.spacing)
        before = writer.offset
        symbols = _chosen(stage, before, targets, tables, own_prices)
        writer.move(symbols, stage)
        if price and writer.offset != before:
            symbols = _chosen(stage, writer.offset, targets, tables, own_prices)
        writer.put(symbols, stage)
        return symbols

    walk = stages(
        shipped.network, first * own, features.pyramid(lightness[None], coarsest), coarsest, spacing,
        lambda n: step_of(step, n),
    )  # fmt: skip
    found = answered(walk, decide)
    return Coded(writer.finish(step), _samples(found, means.turn))


def decode(
    chunks: Sequence[GridChunk], lightness: U8, levels: int | None = None,
    sizes: dict[int, float] | None = None,
) -> tuple[I16, int]:  # fmt: skip
    """Chunks that the container found to nest -> samples i16[2,h,w] in 1/256 of a CIELAB unit, spacing.

    levels: how many to decode, from the coarsest on; all by default. sizes: is given, by spacing, the bytes
    that the symbols of each level cost under their tables. Raises FormatError.
    """
    version = chunks[0].network
    if version not in predictor.SHA256:
        known = ", ".join(map(str, predictor.SHA256))
        raise FormatError(f"{_WHAT}: network {version}, this crayoncodec has {known}")
    shipped, tables = predictor.load(version), _tables(version)
    coarsest, finest = chunks[0].spacing, chunks[-1].finest
    if levels is not None:
        finest = max(finest, coarsest >> (levels - 1))
    homes = {chunk.spacing >> k: chunk for chunk in chunks for k in range(chunk.levels)}
    payload = chunks[0].payload
    if len(payload) < 3 or payload[0] >= _TURNS or max(payload[1:3]) >= predictor.SPREADS:
        raise FormatError(f"{_WHAT}: turn or spreads of the first level are not there or out of range")
    turn = payload[0]
    decoder = entropy.Decoder(tables, payload[3:], _WHAT)

    def symbols_of(spacing: int, spreads: Integers, mask: NDArray[np.bool_]) -> I16:
        symbols = decoder.get(spreads, mask)
        if sizes is not None:
            bits = tables.costs(spreads[mask], symbols[mask]).sum()
            sizes[spacing] = sizes.get(spacing, 0.0) + float(bits) / 8
        return symbols

    height, width = lightness.shape
    shape = grid_shape(height, width, coarsest)
    every = np.ones(shape, np.bool_)
    residual = [symbols_of(coarsest, np.full(shape, spread, np.uint8), every) for spread in payload[1:3]]
    first = np.stack([residuals.restore(plane.astype(np.int32), np.int16) for plane in residual]).astype(
        np.int64
    )
    first *= step_of(chunks[0].step, coarsest)[0]
    home, offset = chunks[0], 0

    def read(stage: Stage) -> I16:
        nonlocal decoder, home, offset
        if homes[stage.spacing] is not home:
            home = homes[stage.spacing]
            decoder, offset = entropy.Decoder(tables, home.payload, _WHAT), 0
        offset += int(symbols_of(stage.spacing, np.array([_OFFSET], np.uint8), np.ones(1, np.bool_))[0])
        return symbols_of(stage.spacing, _moved(stage.spreads, offset), stage.mask)

    walk = stages(
        shipped.network, first, features.pyramid(lightness[None], coarsest), coarsest, finest,
        lambda n: step_of(homes[n].step, n),
    )  # fmt: skip
    return _samples(answered(walk, read), turn), finest


class _Means:
    """AB cells f32[2,h,w] and the means of their blocks, level by level, in axes turned by their angle."""

    def __init__(self, cells: NDArray[np.float32], spacing: int) -> None:
        self._cells, self._spacing = cells, spacing
        self.turn = _principal(cells)
        """The picture's angle."""
        self._coarser: dict[int, F64] = {}

    def level(self, spacing: int) -> F64:
        """Of cells this large, f64[2,h,w] in 1/features.COLOR of a CIELAB unit; a multiple of the finest."""
        if spacing == self._spacing:
            return self._finest(slice(0, self._cells.shape[1]))
        if spacing not in self._coarser:
            finer = spacing // 2
            _, height, width = self._cells.shape
            rows, columns = (-(-length * self._spacing // spacing) for length in (height, width))
            means = np.empty((2, rows, columns))

            def band(rows: slice) -> None:
                cells = self._rows(finer, slice(2 * rows.start, 2 * rows.stop))
                means[:, rows] = np.mean(features.blocks(cells), axis=0)

            if finer > self._spacing:
                self.level(finer)
            threads.each(band, threads.bands(rows, columns))
            self._coarser[spacing] = means
        return self._coarser[spacing]

    def details(self, spacing: int, plane: int) -> F64:
        """Twice the details of one of the planes, [3,h,w]."""
        height, width = self.level(2 * spacing).shape[1:]
        found = np.empty((3, height, width))

        def band(rows: slice) -> None:
            cells = self._rows(spacing, slice(2 * rows.start, 2 * rows.stop))
            found[:, rows] = features.details(cells[plane : plane + 1])

        threads.each(band, threads.bands(height, width))
        return found

    def prices(self, spacing: int, price: float) -> F32:
        """Of a bit in each block of the level, f32[h,w], by how much differences from its colour are seen."""
        parents = self.level(2 * spacing)
        height, width = parents.shape[1:]
        found = np.zeros((height, width), np.float32)

        def band(rows: slice) -> None:
            chroma = np.sqrt(np.square(parents[:, rows] / features.COLOR).sum(axis=0))
            seen = (differences.along(chroma) + differences.across(chroma)) / 2
            found[rows] = price / (np.sqrt(seen) * np.sqrt(np.sqrt(seen)))

        if price:
            threads.each(band, threads.bands(height, width))
        return found

    def _rows(self, spacing: int, rows: slice) -> F64:
        return self._finest(rows) if spacing == self._spacing else self._coarser[spacing][:, rows]

    def _finest(self, rows: slice) -> F64:
        return _turned(self._cells[:, rows].astype(np.float64) * features.COLOR, self.turn)


@dataclass
class _Open:
    """A chunk that is being written."""

    spacing: int
    coder: entropy.Encoder
    prefix: bytes = b""
    levels: int = 1

    def closed(self, step: int) -> GridChunk:
        """The chunk."""
        payload = self.prefix + self.coder.finish()
        return GridChunk(self.spacing, "mean", step, NESTED, payload, predictor.VERSION, self.levels)


class _Writer:
    """Collects levels in chunks."""

    def __init__(self, tables: entropy.Tables, coarsest: int) -> None:
        self._tables = tables
        self._bits = np.rint(tables.bits.T.astype(np.float64) * _BITS_UNIT)
        self._chunks = [_Open(coarsest, entropy.Encoder(tables))]
        self.offset = self._told = 0
        """Of all spreads in a chunk: the next stage's, and the last one's."""

    def first(self, symbols: I64, turn: int) -> None:
        """The coarsest level, [2,h,w]."""
        left = [
            residuals.predict(plane.astype(np.int16)).astype(np.int16).astype(np.int64).ravel()
            for plane in symbols
        ]
        every = np.arange(predictor.SPREADS)[:, None]
        spreads = [int(self._tables.costs(every, plane).sum(axis=1).argmin()) for plane in left]
        chunk = self._chunks[0]
        chunk.prefix = bytes([turn, *spreads])
        for plane, spread in zip(left, spreads, strict=True):
            chunk.coder.put(plane, np.full(plane.size, spread, np.int64))

    def reach(self, spacing: int) -> None:
        """Go on with a level, in a new chunk if that is due."""
        chunk = self._chunks[-1]
        if spacing < chunk.spacing >> (chunk.levels - 1):
            if chunk.coder.size() < _CHUNK:
                chunk.levels += 1
            else:
                chunk = _Open(spacing, entropy.Encoder(self._tables))
                self._chunks.append(chunk)
                self.offset = self._told = 0

    def move(self, symbols: I16, stage: Stage) -> None:
        """Set the offset with which a stage's symbols and the word of it take least."""
        counts = self._tables.counts(symbols, stage.spreads, stage.mask)
        under = counts @ self._bits  # of each spread's symbols, in each other one's tables
        costs = under[_SPREADS, _MOVES].sum(axis=1)
        costs += self._bits[self._tables.letters(_OFFSETS - self._told), _OFFSET]
        self.offset = int(_OFFSETS[np.argmin(costs)])

    def put(self, symbols: I16, stage: Stage) -> None:
        """Symbols of a stage, those in the mask, coded with the offset."""
        coder = self._chunks[-1].coder
        coder.put(np.array([self.offset - self._told]), np.array([_OFFSET]))
        self._told = self.offset
        coder.put(symbols, _moved(stage.spreads, self.offset), stage.mask)

    def finish(self, step: int) -> tuple[GridChunk, ...]:
        """All chunks."""
        return tuple(chunk.closed(step) for chunk in self._chunks)


@cache
def _tables(version: int) -> entropy.Tables:
    return entropy.Tables(predictor.load(version).frequencies)


def _moved(spreads: Integers, offset: int) -> Integers:
    """Spreads with an offset."""
    if not offset:
        return spreads
    moved = spreads.astype(np.int8)  # of 0 to 63, so that one more such number fits
    moved += np.int8(max(1 - predictor.SPREADS, min(offset, predictor.SPREADS - 1)))
    return moved.clip(0, predictor.SPREADS - 1, out=moved).view(np.uint8)


def _chosen(stage: Stage, offset: int, targets: F64, tables: entropy.Tables, prices: F32) -> I16:
    """Symbols of a stage, [3,h,w], 0 outside its mask; offset: of spreads.

    targets: twice the details. prices: [h,w].
    """
    stage = stage._replace(spreads=_moved(stage.spreads, offset))
    step, mask = stage.step, stage.mask
    symbols = np.zeros(mask.shape, np.int16)
    if kernels.are_there():
        guided = np.ascontiguousarray(stage.guided, np.int32)
        predicted = (
            np.ascontiguousarray(stage.shifts, np.int16),
            np.ascontiguousarray(stage.spreads, np.uint8),
        )
        threads.each(
            lambda part: symbol_kernels.choose(
                targets, guided, predicted, mask, step, entropy.MAX_SYMBOL, tables.bits, prices, DEAD_ZONE,
                symbols, part,
            ),
            threads.parts(mask.size),
        )  # fmt: skip
        return symbols
    targets, prices = targets[mask], np.broadcast_to(prices, mask.shape)[mask]
    guided, shifts, spreads = (planes[mask] for planes in (stage.guided, stage.shifts, stage.spreads))

    def choose(part: slice) -> I16:
        shifted = guided[part] + shifts[part].astype(np.int64) * step // SHIFTS
        return _choice((targets[part] / 2 - shifted) / step, spreads[part], tables, prices[part])

    symbols[mask] = np.concatenate(threads.each(choose, threads.parts(spreads.size)))
    return symbols


def _choice(residual: F64, spreads: Integers, tables: entropy.Tables, prices: F32) -> I16:
    """Symbols of residuals, in steps: the nearest, one nearer to zero, or zero, whichever costs least."""
    size = np.abs(residual)
    nearest = np.minimum(np.floor(size + 0.5), entropy.MAX_SYMBOL)
    nearest[(prices == 0) & (size < DEAD_ZONE)] = 0
    choices = np.stack([nearest, np.maximum(nearest - 1, 0), 0 * nearest]).astype(np.int16)
    costs = np.square(size - choices) + prices * tables.costs(spreads, choices)
    best: I16 = np.sign(residual).astype(np.int16)
    best *= np.take_along_axis(choices, costs.argmin(axis=0)[None], 0)[0]
    return best


def _axes(turn: int) -> tuple[int, int]:
    """Cosine and sine of the first axis' angle, which is turn/64 of a half circle."""
    angle = np.pi * turn / _TURNS
    return int(np.rint(_UNIT * np.cos(angle))), int(np.rint(_UNIT * np.sin(angle)))


def _principal(cells: NDArray[np.float32]) -> int:
    """The turn of the axis along which colours, f32[2,h,w], vary most."""
    a, b = (plane - plane.mean(dtype=np.float64) for plane in cells)
    angle = 0.5 * np.arctan2(2 * (a * b).mean(), (a * a).mean() - (b * b).mean())
    return int(np.rint(angle / np.pi * _TURNS)) % _TURNS


def _turned(ab: F64, turn: int) -> F64:
    cosine, sine = _axes(turn)
    return np.stack([cosine * ab[0] + sine * ab[1], cosine * ab[1] - sine * ab[0]]) / _UNIT


def _samples(cells: Integers, turn: int) -> I16:
    """Cells [2,h,w] in turned axes -> a* and b*, rounded."""
    cosine, sine = _axes(turn)
    samples = np.empty(cells.shape, np.int16)
    height, width = cells.shape[1:]
    if kernels.are_there():
        whole = np.ascontiguousarray(cells, np.int32)
        threads.each(
            lambda rows: level_kernels.turn(
                whole, cosine, sine, samples, slice(rows.start * width, rows.stop * width)
            ),
            threads.bands(height, width),
        )
        return samples

    def band(rows: slice) -> None:
        first, second = cells[:, rows].astype(np.int64)
        ab = np.stack([cosine * first - sine * second, sine * first + cosine * second])
        samples[:, rows] = ((ab + _UNIT // 2) // _UNIT).clip(-32768, 32767)

    threads.each(band, threads.bands(height, width))
    return samples
