"""Range coding of symbols under integer frequency tables (docs/format.md, section 13).

The coder is constriction's (Bamler, "Understanding Entropy Coding With Asymmetric Numeral Systems", 2022;
Martin, "Range encoding", 1979), one call for all symbols that share a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final, cast

import numpy as np
from constriction import stream
from numpy.typing import NDArray

from crayoncodec.errors import FormatError
from crayoncodec.machine import kernels, symbol_kernels, threads

TOTAL: Final = 2**24
"""Sum of a table's frequencies."""
MAX_SYMBOL: Final = 32767
_WORD: Final = 32
"""Bits."""
_ESCAPED: Final = 2 * (MAX_SYMBOL + 1)

Integers = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]


class Tables:
    """Symmetric distributions of symbols, by the index that is their spread."""

    def __init__(self, frequencies: U32) -> None:
        """frequencies: [spreads, reach + 2], of 0, of k and -k each for k = 1 ... reach, of the escape."""
        middle, sides, escape = frequencies[:, :1], frequencies[:, 1:-1], frequencies[:, -1:]
        self.reach = sides.shape[1]
        whole = np.concatenate([sides[:, ::-1], middle, sides, escape], axis=1).astype(np.float64)
        if whole.min() < 1 or (whole.sum(axis=1) != TOTAL).any():
            raise ValueError(f"frequencies do not add up to {TOTAL}")
        # The library gives every symbol 1 and shares out the rest: exactly, if weights add up to it.
        self.models = [stream.model.Categorical(row - 1, perfect=False) for row in whole]
        self.bits: NDArray[np.float32] = -np.log2(whole / TOTAL).astype(np.float32)
        self.bits[:, -1] += 16

    def costs(self, spreads: Integers, symbols: Integers) -> NDArray[np.float32]:
        """Bits of symbols under the tables of those spreads."""
        return self.bits[spreads, self.letters(symbols)]

    def letters(self, symbols: Integers) -> Integers:
        """Where symbols, or their escape, stand in a table."""
        letters: Integers = np.where(np.abs(symbols) <= self.reach, symbols + self.reach, 2 * self.reach + 1)
        return letters

    def counts(self, symbols: I16, spreads: U8, mask: Mask) -> I64:
        """How often each letter came under each spread, [spreads,letters]; symbols are 0 outside the mask."""
        shape = self.bits.shape

        def count(part: slice) -> I64:
            values, own = symbols.reshape(-1)[part], spreads.reshape(-1)[part]
            some = np.flatnonzero(values)  # few: so they are counted apart
            met, under = values[some].astype(np.int64), own[some].astype(np.int64)
            counts = np.bincount(under * shape[1] + self.letters(met), minlength=self.bits.size).reshape(
                shape
            )
            every = _counted(spreads, mask, part)[: shape[0]]
            counts[:, self.reach] += every - np.bincount(under, minlength=shape[0])
            return counts

        return sum(threads.each(count, threads.parts(symbols.size)), np.zeros(shape, np.int64))


class Encoder:
    """Symbols -> bytes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._coder = stream.queue.RangeEncoder()

    def put(self, symbols: Integers, spreads: Integers, mask: Mask | None = None) -> None:
        """Code symbols, at most MAX_SYMBOL, under the tables of their spreads: where the mask says so."""
        order, groups = _groups(spreads, mask)
        ordered = symbols.reshape(-1)[order].astype(np.int32)
        letters = self._tables.letters(ordered)
        for spread, first, last in groups:
            self._coder.encode(letters[first:last], self._tables.models[spread])
        escaped = ordered[np.abs(ordered) > self._tables.reach]
        if escaped.size:
            self._coder.encode(escaped + (MAX_SYMBOL + 1), _uniform())

    def size(self) -> int:
        """Bytes by now."""
        return int(self._coder.num_bits()) // 8

    def finish(self) -> bytes:
        """All of it; zeros at the end are not kept.

        Any point of the last interval does: the library takes the first that ends a word.
        """
        words: U32 = self._coder.get_compressed()
        before, (lower, length) = cast("tuple[int, tuple[int, int]]", self._coder.pos())
        whole = int.from_bytes(words[: before + 1].astype(">u4").tobytes()) << _WORD
        low = whole - (whole - lower) % (1 << 2 * _WORD)  # which words are carried to is known by now
        for bits in range(2 * _WORD, _WORD - 1, -8):
            point = -(-low >> bits) << bits
            if point < low + length:
                break
        return point.to_bytes(4 * (before + 2)).rstrip(b"\0")


class Decoder:
    """Bytes -> symbols, asked for in the order in which they were coded."""

    def __init__(self, tables: Tables, data: bytes, what: str) -> None:
        """Raises FormatError, here and later, with ``what`` named."""
        self._tables = tables
        self._what = what
        self._coder = stream.queue.RangeDecoder(
            np.frombuffer(data + bytes(-len(data) % 4), ">u4").astype(np.uint32)
        )

    def get(self, spreads: Integers, mask: Mask | None = None) -> I16:
        """The next symbols, of the shape of their spreads; 0 where the mask, of that shape, has none."""
        reach = self._tables.reach
        order, groups = _groups(spreads, mask)
        found = np.empty(len(order), np.int16)
        for spread, first, last in groups:
            np.subtract(
                self._decode(self._tables.models[spread], last - first), reach, out=found[first:last],
                casting="unsafe",
            )  # fmt: skip
        escaped = np.flatnonzero(found > reach)
        if escaped.size:
            found[escaped] = self._decode(_uniform(), escaped.size) - (MAX_SYMBOL + 1)
        symbols = np.zeros(spreads.shape, np.int16)
        if kernels.are_there():
            place = partial(symbol_kernels.place, order, found, symbols=symbols)
            threads.each(place, threads.parts(found.size))
        else:
            symbols.reshape(-1)[order] = found
        return symbols

    def _decode(self, model: Any, count: int) -> NDArray[np.int32]:
        try:
            found: NDArray[np.int32] = self._coder.decode(model, count)
        except (ValueError, AssertionError, RuntimeError) as error:
            raise FormatError(f"{self._what}: range-coded data is damaged") from error
        return found


def _groups(spreads: Integers, mask: Mask | None) -> tuple[U32, Sequence[tuple[int, int, int]]]:
    """Places in the order in which they are coded, and of each spread, rising, where they stand in it."""
    flat = spreads.reshape(-1).astype(np.uint8, copy=False)
    meant = np.ones(flat.shape, np.bool_) if mask is None else mask.reshape(-1)
    if kernels.are_there():
        order, counts = _sorted(flat, meant)
    else:
        places = np.flatnonzero(meant).astype(np.uint32)
        kept = flat[places]
        order = places[np.argsort(kept, kind="stable")]  # a radix sort, where numbers are that small
        counts = np.bincount(kept, minlength=1)
    ends = np.cumsum(counts)
    there = np.flatnonzero(counts).tolist()
    return order, [(spread, int(ends[spread] - counts[spread]), int(ends[spread])) for spread in there]


def _sorted(spreads: U8, mask: Mask) -> tuple[U32, I64]:
    """As ``_groups``: places by spread, and how many each has, counted and put in parts."""
    parts = threads.parts(spreads.size)
    counts = np.array(threads.each(lambda part: _counted(spreads, mask, part), parts))
    before = np.cumsum(counts.T).reshape(counts.T.shape).T - counts
    order = np.empty(int(counts.sum()), np.uint32)
    threads.each(
        lambda k: symbol_kernels.sort(spreads, mask, parts[k], np.ascontiguousarray(before[k]), order),
        range(len(parts)),
    )
    return order, counts.sum(axis=0)


def _counted(spreads: U8, mask: Mask, part: slice) -> I64:
    """How often each spread comes in a part of the flat arrays, [256]."""
    if kernels.are_there():
        return symbol_kernels.count(spreads, mask, part)
    return np.bincount(spreads.reshape(-1)[part][mask.reshape(-1)[part]], minlength=256)


@cache
def _uniform() -> Any:
    return stream.model.Uniform(_ESCAPED)
