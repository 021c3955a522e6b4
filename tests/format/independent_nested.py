"""The nested grids of docs/format.md, sections 11 to 13, for the independent decoder; slow and literal."""

import hashlib
import json
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Note = Callable[[int, str, Int], None]
"""Is told of a level's spacing, a name and values."""


def unnoted(n: int, name: str, values: Int) -> None:
    """Nobody wants to know."""


MODELS = Path(__file__).parents[2] / "models"
FORMAT = Path(__file__).parents[2] / "docs" / "format.md"
VERSION = 4


def check(condition: bool, complaint: str) -> None:
    """Refuse the file unless the condition holds."""
    if not condition:
        raise ValueError(complaint)


class Layers:
    """§12: a file of layers."""

    def __init__(self, name: str) -> None:
        data = (MODELS / f"{name}.safetensors").read_bytes()
        assert hashlib.sha256(data).hexdigest() in FORMAT.read_text()
        size = int.from_bytes(data[:8], "little")
        kinds = {"I8": "<i1", "U8": "<u1", "I32": "<i4", "U32": "<u4"}
        self.arrays = {}
        for name, about in json.loads(data[8 : 8 + size]).items():
            first, last = about["data_offsets"]
            numbers = np.frombuffer(data[8 + size + first : 8 + size + last], kinds[about["dtype"]])
            self.arrays[name] = numbers.reshape(about["shape"]).astype(np.int64)

    def layer(self, name: str, values: Int) -> Int:
        weights, bias, shift = (self.arrays[f"{name}.{part}"] for part in ("weights", "bias", "shift"))
        k = weights.shape[2]
        padded = np.pad(values, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
        height, width = values.shape[1:]
        out = np.zeros((len(weights), height, width), np.int64) + bias[:, None, None]
        for y in range(k):
            for x in range(k):
                out += np.einsum("oi,ihw->ohw", weights[:, :, y, x], padded[:, y : y + height, x : x + width])
        return out >> shift[:, None, None]

    def chain(self, name: str, values: Int) -> Int:
        k = 0
        while f"{name}.{k}.weights" in self.arrays:
            values = np.clip(self.layer(f"{name}.{k}", values), 0, 255)
            k += 1
        return values


NETWORK = Layers(f"predictor-{VERSION}")
# §13: left of -127, ..., 127, escape, and the total.
ALPHABETS = [
    [0, *np.cumsum([*row[127:0:-1], row[0], *row[1:128], row[128]]).tolist()]
    for row in NETWORK.arrays["frequencies"]
]
ESCAPED = range(0, 2**24 + 1, 256)


class RangeDecoder:
    """§13."""

    def __init__(self, data: bytes, alphabets: list[list[int]]) -> None:
        self.alphabets = alphabets
        data += bytes(-len(data) % 4)
        self.words = [*struct.unpack(f">{len(data) // 4}I", data)]
        self.offset = 0
        self.lower, self.range = 0, 2**64 - 1
        self.point = self.next_word() * 2**32 + self.next_word()

    def next_word(self) -> int:
        return self.words.pop(0) if self.words else 0

    def letter(self, lefts: list[int] | range) -> int:
        scale = self.range >> 24
        quantile = (self.point - self.lower) % 2**64 // scale
        check(quantile < 2**24, "range-coded data")
        found = (
            max(k for k in range(len(lefts) - 1) if lefts[k] <= quantile)
            if len(lefts) < 999
            else quantile >> 8
        )
        self.lower = (self.lower + scale * lefts[found]) % 2**64
        self.range = scale * (lefts[found + 1] - lefts[found])
        if self.range < 2**32:
            self.lower = self.lower * 2**32 % 2**64
            self.range = self.range * 2**32 % 2**64
            self.point = self.point * 2**32 % 2**64 + self.next_word()
        return found

    def symbols(self, spreads: list[int]) -> list[int]:
        order = sorted(range(len(spreads)), key=lambda k: spreads[k])
        found = [0] * len(spreads)
        for k in order:
            found[k] = self.letter(self.alphabets[spreads[k]]) - 127
        for k in order:
            if found[k] == 128:
                found[k] = self.letter(ESCAPED) - 32768
        return found


def blocks(cells: Int) -> list[Int]:
    """§11, Blocks: of [...,h,w]."""
    odd = [(0, 0)] * (cells.ndim - 2) + [(0, cells.shape[-2] % 2), (0, cells.shape[-1] % 2)]
    cells = np.pad(cells, odd, mode="edge")
    return [cells[..., i::2, j::2] for i in range(2) for j in range(2)]


def filtered(cells: Int, weights: list[int], axis: int) -> Int:
    """Sum over five neighbours along an axis, the nearest cell repeated beyond the border."""
    count = cells.shape[axis]
    return sum(
        weight * np.take(cells, np.clip(np.arange(count) + k - 2, 0, count - 1), axis)
        for k, weight in enumerate(weights)
    )  # type: ignore[return-value]


def g(cells: Int) -> Int:
    return filtered(filtered(cells, [1, 4, 6, 4, 1], -1), [1, 4, 6, 4, 1], -2)


def bicubic(cells: Int) -> Int:
    b = [-9, 94, 0, -94, 9]
    across, down = filtered(cells, b, -1), filtered(cells, b, -2)
    return np.concatenate([across >> 8, down >> 8, filtered(across, b, -2) >> 17])


def lightness(plane: Int, coarsest: int) -> dict[int, tuple[Int, Int]]:
    """§11, Lightness: n -> m_n and r_n, [1,h,w]."""
    total = low = high = plane[None]
    n, found = 1, {}
    while n <= coarsest:
        found[n] = (64 * total + n * n // 2) // (n * n), high - low
        total, low, high = sum(blocks(total)), np.min(blocks(low), 0), np.max(blocks(high), 0)  # type: ignore[assignment]
        n *= 2
    return found


def guess(parents: Int, light: dict[int, tuple[Int, Int]], n: int) -> tuple[Int, Int]:
    """§11, Details: texture [3,...] and guided [6,...], the children's spacing being n."""
    big = light[2 * n][0]
    variance = 256 * g(big * big) - g(big) ** 2
    slope = (4096 * (256 * g(parents * big) - g(parents) * g(big))) // (
        np.maximum(variance, 0) + 65536 * 4261478
    )
    a, b, c, d = blocks(light[n][0])
    texture = np.concatenate([(a - b + c - d) >> 1, (a + b - c - d) >> 1, (a - b - c + d) >> 1]) - bicubic(
        big
    )
    return texture, bicubic(parents) + ((np.tile(slope, (3, 1, 1)) * np.repeat(texture, 2, 0)) >> 12)


def there(rows: int, columns: int) -> NDArray[np.bool_]:
    """§11, Details: which of H, V, D there are [3,h,w] in the blocks of so many children."""
    i, j = np.ogrid[: -(-rows // 2), : -(-columns // 2)]
    beside, below = 2 * j + 1 < columns, 2 * i + 1 < rows
    return np.stack(np.broadcast_arrays(beside, below, beside & below))


def children(parents: Int, details: Int, rows: int, columns: int) -> Int:
    """§11, Details: cells [2,rows,columns]; what tells apart children that are not there is not looked at."""
    h, v, d = (details * np.repeat(there(rows, columns), 2, 0)).reshape(3, *parents.shape)
    cells = unfold(
        np.stack([parents + (signs >> 1) for signs in (h + v + d, v - h - d, h - v - d, d - h - v)], 1)
    )
    return np.clip(cells[:, :rows, :columns], -65535, 65535)


def unfold(quarters: Int) -> Int:
    """[planes,4,h,w], as blocks() gives them, to [planes,2h,2w]."""
    planes, _, h, w = quarters.shape
    return quarters.reshape(planes, 2, 2, h, w).transpose(0, 3, 1, 4, 2).reshape(planes, 2 * h, 2 * w)


def decode_level(
    parents: Int, before: Int, light: dict[int, tuple[Int, Int]], n: int, s: int, coder: RangeDecoder,
    note: Note,
) -> tuple[Int, Int]:  # fmt: skip
    """Cells [2,...] of spacing n and the symbols [6,...] of the blocks that they are of."""
    m, r = light[n]
    big = light[2 * n][0]
    plain = bicubic(parents)
    _, guided = guess(parents, light, n)

    finer = light[n // 2][0] if n > 1 else np.repeat(np.repeat(m, 2, 1), 2, 2)
    ones = np.ones_like(big)
    features = np.concatenate(
        [
            *[(u - big) >> 5 for quarter in blocks(finer) for u in blocks(quarter)],
            *[u >> 1 for u in blocks(r)],
            (big >> 6) - 128, parents >> 8, (256 * parents - g(parents)) >> 14, guided >> 6, 8 * guided // s,
            plain >> 6, 16 * np.minimum(np.abs(before), 7),
            ones * ((s**8).bit_length() - 1 - 64), ones * (16 * (n.bit_length() - 1) - 48),
        ]
    )  # fmt: skip
    net = "coarse" if n >= 4 else "fine"
    f = np.clip(features, -127, 127)
    z = NETWORK.chain(f"{net}.first", f)
    for name, values in (("m", m), ("guided", guided), ("f", f), ("trunk", z)):
        note(n, name, values)

    rows, columns = m.shape[1:]
    height, width = big.shape[1:]
    i, j = np.mgrid[:height, :width]
    coded = there(rows, columns)
    symbols, corrections = np.zeros_like(guided), np.zeros_like(guided)

    def seen(which: slice) -> Int:
        parts = 32 * symbols[which], 32 * corrections[which] // s
        return np.clip(np.concatenate(parts), -127, 127)

    for half in range(2):
        meant = coded & ((i + j) % 2 == half)
        if half:
            first = 32 * ((i + j) % 2 == 0)[None].astype(np.int64)
            z = NETWORK.chain(f"{net}.later", np.concatenate([z, seen(slice(None)), first]))
            note(n, "second", z * ((i + j) % 2))
        for plane in range(2):
            own = seen(slice(0, 6, 2))
            if plane == 0:
                out = NETWORK.layer(f"{net}.one.{half}", z)
            else:
                both = np.clip(NETWORK.layer(f"{net}.both.{half}", np.concatenate([z, own])), 0, 255)
                out = NETWORK.layer(f"{net}.other.{half}", both)
            shift, spread = np.clip(out[:3], -4095, 4095), np.clip(out[3:], 0, 63)
            coder.offset += coder.symbols([16])[0]
            spread = np.clip(spread + coder.offset, 0, 63)
            decoded = np.zeros_like(shift)
            decoded[meant] = coder.symbols(spread[meant].tolist())
            symbols[plane::2] += decoded
            for name, values in (
                ("shifts", shift * meant),
                ("spreads", spread * meant),
                ("symbols", decoded),
            ):
                note(n, f"{name} {'xy'[plane]}{half + 1}", values)
            corrections[plane::2] += ((shift * s) // 16 + decoded * s) * meant
    kept = unfold(np.stack([symbols] * 4, 1))[:, :rows, :columns]
    cells = children(parents, guided + corrections, rows, columns)
    note(n, "cells", cells)
    return cells, kept


def first_levels(chunks: list[bytes], levels: int) -> list[bytes]:
    """Payloads of the GRID chunks without the levels that are not wanted, whose data are left over."""
    kept = []
    for chunk in chunks:
        check(len(chunk) >= 5, "GRID is too short")
        octave, more = divmod(chunk[2], 16)
        if levels > 0:
            kept.append(chunk[:2] + bytes([16 * octave + min(more, levels - 1)]) + chunk[3:])
        levels -= more + 1
    return kept


def decode(
    chunks: list[bytes], plane: NDArray[np.uint8], restore: Callable[[Int], Int],
    note: Note = unnoted,
) -> tuple[NDArray[np.int16], int]:  # fmt: skip
    """§11: payloads of the GRID chunks (first_levels) and the lightness -> samples [2,h,w], their spacing.

    restore: residuals of two planes -> their samples, by §6. note: is told what comes out on the way.
    """
    expected, cells, light = None, None, {}
    n = turn = 0
    for chunk in chunks:
        coder, network, sizes, step = struct.unpack(">BBBH", chunk[:5])
        n, levels = 2 ** (sizes // 16), 1 + sizes % 16
        check(levels <= n.bit_length(), "number of levels")
        check(step > 0 and coder == 2, "GRID: field")
        check(network == VERSION, "network")
        check(expected in (None, n), "levels do not nest")
        start = 5
        if cells is None:
            check(len(chunk) >= 8 and max(chunk[5:8]) <= 63, "turn or spread")
            turn, *spreads = chunk[5:8]
            start = 8
        data = RangeDecoder(chunk[start:], ALPHABETS)
        for _ in range(levels):
            s = max(1, step // n)
            if cells is None:
                height, width = -(-plane.shape[0] // n), -(-plane.shape[1] // n)
                found = [data.symbols([spread] * (height * width)) for spread in spreads]
                residual = np.array(found, np.int64).reshape(2, height, width)
                cells = np.clip(restore(residual) * s, -65535, 65535)
                symbols = np.zeros((6, height, width), np.int64)
                light = lightness(plane.astype(np.int64), n)
                note(n, "cells", cells)
            else:
                cells, symbols = decode_level(cells, symbols, light, n, s, data, note)
            n //= 2
        expected = n
    assert cells is not None
    c, d = (round(16384 * f(math.pi * turn / 64)) for f in (math.cos, math.sin))
    x, y = cells
    ab = np.stack([(c * x - d * y + 8192) >> 14, (d * x + c * y + 8192) >> 14])
    return np.clip(ab, -32768, 32767).astype(np.int16), max(1, 2 * n)
