"""How docs/format.md, section 14, paints nested grids, for the independent decoder; slow and literal.

All is in whole numbers, so that what it shows is what every decoder shows that follows the document.
"""

import numpy as np
from independent_nested import Int, Layers, blocks, children, g, guess, lightness, unfold
from numpy.typing import NDArray

REFINER = Layers("refiner-1")


def paint(
    plane: NDArray[np.uint8], samples: NDArray[np.int16], spacing: int, step: int | None
) -> NDArray[np.uint8]:
    """§14: lightness [H,W] and samples [2,h,w] to sRGB u8[H,W,3], guided or (with a step) refined."""
    return to_rgb(plane.astype(np.int64), colours(samples.astype(np.int64), spacing, plane, step))


def colours(samples: Int, spacing: int, plane: NDArray[np.uint8], step: int | None) -> Int:
    """§14: a* and b* of every pixel, [2,H,W] in 1/256, from samples [2,h,w] of a spacing."""
    light = lightness(plane.astype(np.int64), max(spacing, 2))
    cells, correction, n = samples, np.zeros((2, *plane.shape), np.int64), spacing
    while n > 1:
        n //= 2
        texture, guided = guess(cells, light, n)
        if n == 1 and step is not None:
            correction = refinement(cells, light, texture, guided, step, spacing)
        cells = children(cells, guided, *light[n][0].shape[1:])
    return np.clip(cells + correction[:, : plane.shape[0], : plane.shape[1]], -65535, 65535)


def refinement(
    parents: Int, light: dict[int, tuple[Int, Int]], texture: Int, guided: Int, step: int, spacing: int
) -> Int:
    """§14, Refined 1: what is added to a* and b*, [2,2h,2w], of parents [2,h,w] of spacing 2."""
    (m, _), (big, _) = light[1], light[2]
    ones = np.ones_like(big)
    features = np.concatenate(
        [
            *[(u - big) >> 5 for u in blocks(m)],
            (big >> 6) - 128, parents >> 8, (256 * parents - g(parents)) >> 14, guided >> 6,
            ones * ((step**8).bit_length() - 1 - 64), ones * (16 * (spacing.bit_length() - 1) - 16),
        ]
    )  # fmt: skip
    h, w = big.shape[1:]
    extended = np.pad(np.clip(features, -127, 127), ((0, 0), (0, -h % 8), (0, -w % 8)))
    out = np.clip(network(extended), -4095, 4095)[:, :h, :w]
    gates = np.repeat(np.repeat(gate(texture), 8, 1), 8, 2)[:, :h, :w]
    return unfold(((out * gates) >> 5).reshape(2, 4, h, w))


def network(features: Int) -> Int:
    """§14: [8,h,w] of [17,h,w]."""

    def bounded(values: Int) -> Int:
        return np.clip(values, 0, 255)

    def fold(x: Int) -> Int:
        return np.stack(blocks(x), 1).reshape(4 * len(x), x.shape[1] // 2, x.shape[2] // 2)

    layer = REFINER.layer
    x = [bounded(layer("stem", features))]
    for k in range(3):
        y = bounded(layer(f"down.{k}", fold(x[k])))
        x.append(bounded(layer(f"before.{k}", y) + y))
    z = bounded(layer("bottom", x[3]) + x[3])
    for k in (2, 1, 0):
        y = bounded(layer(f"up.{k}", z) + fold(x[k]))
        y = unfold(y.reshape(-1, 4, *y.shape[1:]))
        z = bounded(layer(f"after.{k}", y) + y)
    return layer("head", z)


def gate(texture: Int) -> Int:
    """§14: [1,ceil(h/8),ceil(w/8)], 0 to 223, of texture [3,h,w]."""
    energy = np.sum(np.clip(texture, -1023, 1023) ** 2, 0, keepdims=True)
    for _ in range(3):
        energy = np.sum(blocks(energy), 0)
    heard = np.maximum(g(energy) - 65536000, 0)
    return (224 * heard) // (heard + 49152000)


def thresholds() -> list[int]:
    """§7, To RGB in whole numbers: of i = 1 ... 255."""
    found = []
    for i in range(1, 256):
        j = 2 * i - 1
        low, high = -1, 1 << 25  # The least integer is above low and not above high.
        while high - low > 1:
            t = (low + high) // 2
            reached = (
                t * 510 * 1292 >= (1 << 24) * j * 100
                if i <= 10
                else t**5 * 10761**12 >= (1 << 120) * (20 * j + 561) ** 12
            )
            low, high = (low, t) if reached else (t, high)
        found.append(high)
    return found


THRESHOLDS = thresholds()


def over(numerator: Int, power: int) -> Int:
    """[x / 2^power] of §7: floor(x / 2^power + 1/2)."""
    return (numerator + (1 << (power - 1))) >> power


def curve(f: Int) -> Int:
    """t(f) of §7."""
    bent = np.maximum(f, 1224000)
    return over(over(bent * bent, 20) * bent, 21) - over(2143158 * np.maximum(1224000 - f, 0), 20)


def linear(v: Int, ab: Int, k: Int) -> tuple[Int, NDArray[np.bool_]]:
    """§7: R, G, B [3,N] and which of the colours fit."""
    fy = 4000 * (5 * v + 204)
    tx, ty, tz = curve(fy + over(1479 * ab[0] * k, 15)), curve(fy), curve(fy - over(7395 * ab[1] * k, 16))
    rgb = np.stack(
        [
            over(9208016 * tx - 4595341 * ty - 1623268 * tz, 24),
            over(-2753151 * tx + 5607399 * ty + 135159 * tz, 24),
            over(158297 * tx - 609902 * ty + 3441012 * tz, 24),
        ]
    )
    red, green, blue = np.clip(rgb, 0, 1 << 24)
    u = 2126 * red + 7152 * green + 722 * blue
    least, most = (10000 * over(2989407 * curve(fy + side), 24) for side in (-51000, 51000))
    fits = np.all((rgb >= -335544) & (rgb <= 18454937), 0) & (least <= u) & (u <= most)
    return rgb, fits


def to_rgb(v: Int, ab: Int) -> NDArray[np.uint8]:
    """§7: u8[H,W,3] from lightness [H,W] and a* and b* [2,H,W] in 1/256."""
    shape, v, ab = v.shape, v.ravel(), ab.reshape(2, -1)
    k = np.full_like(v, 1024)
    rgb, fits = linear(v, ab, k)
    todo = np.flatnonzero(~fits)
    if len(todo):
        v, ab = v[todo], ab[:, todo]
        factor = np.zeros_like(v)
        for first in range(64, 1025, 64):  # The largest that fits is the last to be kept.
            factor = np.where(linear(v, ab, np.full_like(v, first))[1], first, factor)
        for more in (32, 16, 8, 4, 2, 1):
            factor += more * linear(v, ab, factor + more)[1]
        rgb[:, todo] = linear(v, ab, factor)[0]
    return np.searchsorted(THRESHOLDS, rgb, side="right").astype(np.uint8).T.reshape(*shape, 3)
