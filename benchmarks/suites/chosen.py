"""Samples where they are missed most, beside one grid: what the paper's authors propose as future work.

An extra sample corrects the guided colours around the middle of a block: what it adds fades with distance
and with another lightness. Which blocks have one is coded in row order, a decision each, with the probability
that their number implies; the colours under Laplace distributions whose scales are sent; by constriction's
range coder. Models are floating point, so this is an experiment: a format would have tables.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np
from constriction import stream
from numpy.lib.stride_tricks import sliding_window_view

from crayoncodec.color.cielab import as_lightness
from crayoncodec.color.grid import point_positions

STEP: Final = 8.0
"""Quantiser step of the extra samples, in CIELAB units."""
_LIKE: Final = 14.0
"""Difference of lightness at which a pixel is heard e^-1/2 times as much."""
_ROUNDS: Final = 8
_HEAD: Final = struct.Struct(">HBB")
"""Number of samples, scales of a* and b* in eighths of a step."""
_TOP: Final = 42
"""Largest sample, in steps."""


class Extra(NamedTuple):
    """Samples: which blocks have one, rising i64[K], and its AB, i16[2,K] in units of STEP."""

    blocks: np.ndarray
    samples: np.ndarray


def choose(missing: np.ndarray, kernels: Kernels, worth: float) -> Extra:
    """Samples that each take at least ``worth`` off the squared error, found in rounds, the best first.

    missing: true AB less guided AB, f32[2,H,W].
    """
    found: dict[int, np.ndarray] = {}
    left = missing.copy()
    for _ in range(_ROUNDS):
        fitted, gains = kernels.fitted(left)
        levels = np.clip(np.rint(fitted / STEP), -_TOP, _TOP).astype(np.int16)
        gains = np.where(np.abs(levels).max(axis=0) > 0, gains, 0)
        best = np.array([block for block in kernels.peaks(gains, worth) if block not in found], np.intp)
        if not best.size:
            break
        more = Extra(best, levels[:, best])
        left -= kernels.painted(more)
        found |= dict(zip(best.tolist(), more.samples.T, strict=True))
    blocks = np.array(sorted(found), np.int64)
    samples = np.array([found[block] for block in blocks.tolist()], np.int16).reshape(-1, 2).T
    return Extra(blocks, samples)


class Kernels:
    """How much each pixel around a block hears of its sample: what both sides know, of lightness alone."""

    def __init__(self, plane: np.ndarray, spacing: int) -> None:
        """plane: lightness as stored, u8[H,W]."""
        self.shape = plane.shape
        lightness = as_lightness(plane)
        spread = min(max(spacing / 4, 2.5), 10)
        self._apart, block = 2.5 * spread, max(4, round(0.6 * spread))
        self.reach = int(2 * spread)
        y, x = np.mgrid[-self.reach : self.reach + 1, -self.reach : self.reach + 1]
        self._near = np.exp((y**2 + x**2) / (-2 * spread**2)).astype(np.float32)
        positions = np.meshgrid(*point_positions(*plane.shape, block), indexing="ij")
        self.middles = [np.ravel(at) for at in positions]
        self.blocks = self.middles[0].size
        # Far off, where the picture ends, nothing is like what is in it.
        self._lightness = self._windows(np.pad(lightness, self.reach, constant_values=-1e4))

    def _windows(self, padded: np.ndarray) -> np.ndarray:
        side = 2 * self.reach + 1
        return sliding_window_view(padded, (side, side), axis=(-2, -1))

    def weights(self, blocks: np.ndarray) -> np.ndarray:
        """f32[K,side,side], around the middles of blocks."""
        around = self._lightness[self.middles[0][blocks], self.middles[1][blocks]]
        unlike = around - around[:, self.reach, self.reach, None, None]
        return self._near * np.exp(unlike**2 / np.float32(-2 * _LIKE**2))

    def fitted(self, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best sample of every block, AB f32[2,N], and what it takes off the squared error, f32[N]."""
        padded = np.pad(missing, ((0, 0), (self.reach,) * 2, (self.reach,) * 2))
        windows = self._windows(padded)
        fitted, gains = [], []
        for part in np.array_split(np.arange(self.blocks), -(-self.blocks // 512)):
            weights = self.weights(part)
            around = windows[:, self.middles[0][part], self.middles[1][part]]
            heard = np.einsum("kyx,ckyx->ck", weights, around)
            power = np.square(weights).sum(axis=(1, 2))
            fitted.append(heard / power)
            gains.append((heard**2 / power).sum(axis=0))
        return np.concatenate(fitted, axis=1), np.concatenate(gains)

    def peaks(self, gains: np.ndarray, worth: float) -> list[int]:
        """Blocks that gain enough, and more than those around them."""
        free = np.ones(gains.size, bool)
        chosen: list[int] = []
        order = np.flatnonzero(gains >= worth)
        for block in order[np.argsort(-gains[order], kind="stable")].tolist():
            if free[block]:
                chosen.append(block)
                y, x = (middle[block] for middle in self.middles)
                rows, columns = self.middles
                free &= (np.abs(rows - y) > self._apart) | (np.abs(columns - x) > self._apart)
        return chosen

    def painted(self, extra: Extra) -> np.ndarray:
        """What samples add, f32[2,H,W]."""
        height, width = self.shape
        side = 2 * self.reach + 1
        canvas = np.zeros((2, height + 2 * self.reach, width + 2 * self.reach), np.float32)
        for block, color, weights in zip(
            extra.blocks.tolist(), extra.samples.T, self.weights(extra.blocks), strict=True
        ):
            y, x = (middle[block] for middle in self.middles)
            canvas[:, y : y + side, x : x + side] += color[:, None, None] * np.float32(STEP) * weights
        return canvas[:, self.reach : self.reach + height, self.reach : self.reach + width]


def encode(extra: Extra, blocks: int) -> bytes:
    """Extra samples of a picture of so many blocks -> bytes."""
    count = extra.blocks.size
    scales = [
        int(np.clip(round(8 * float(np.abs(plane).mean())) if count else 1, 1, 255))
        for plane in extra.samples
    ]
    coder = stream.queue.RangeEncoder()
    if count:
        has = np.zeros(blocks, np.int32)
        has[extra.blocks] = 1
        coder.encode(has, stream.model.Bernoulli(count / blocks, perfect=False))
        for plane, scale in zip(extra.samples, scales, strict=True):
            coder.encode(plane.astype(np.int32), _laplace(scale))
    return _HEAD.pack(count, *scales) + coder.get_compressed().astype("<u4").tobytes()


def decode(data: bytes, blocks: int) -> Extra:
    """The samples again."""
    count, *scales = _HEAD.unpack_from(data)
    if not count:
        return Extra(np.zeros(0, np.int64), np.zeros((2, 0), np.int16))
    coder = stream.queue.RangeDecoder(np.frombuffer(data, "<u4", offset=_HEAD.size).astype(np.uint32))
    has = coder.decode(stream.model.Bernoulli(count / blocks, perfect=False), blocks)
    samples = [coder.decode(_laplace(scale), count) for scale in scales]
    return Extra(np.flatnonzero(has), np.stack(samples).astype(np.int16))


def _laplace(scale: int) -> stream.model.QuantizedLaplace:
    return stream.model.QuantizedLaplace(-_TOP, _TOP, 0.0, scale / 8)
