"""What decoding costs on this machine: every backend that is installed, on a picture made here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from crayoncodec import codec
from crayoncodec.format import container, decoding
from crayoncodec.painting import backends, checkpoints
from crayoncodec.painting.backends import RUNTIMES, Device, Name, Precision
from crayoncodec.painting.checkpoints import Card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SPACING: Final = 20
"""Of the grid for a network that is not for nested ones."""
_MOST_MACS: Final = 3e10
"""Multiply-accumulates that a picture may cost: some seconds with the slowest backend."""
_BUDGET: Final = 1.0
"""Seconds for the repeats of one measurement."""
_REPEATS: Final = 5
_WORTH: Final = 1.1
"""How much faster something has to be for it to be named."""


@dataclass(frozen=True)
class Row:
    """A backend in one precision. Seconds per megapixel are the least of a few repeats."""

    backend: str
    """A name of ``--backend``, or guided: no network."""
    device: Device
    precision: Precision | None
    load_s: float
    """Imports, reading and preparing, as far as nothing before has done so."""
    network_s_per_mp: float
    decode_s_per_mp: float
    """Of everything, from bytes in memory to an array in memory."""


def measure(model: str, megapixels: float, say: Callable[[str], None]) -> list[Row]:
    """Time what is installed, guided decoding first. Raises CheckpointError.

    megapixels: of the picture; less for a network that would take long. say: gets a line before each row.
    """
    card = checkpoints.read_card(checkpoints.find(model))
    size = min(megapixels, _MOST_MACS / card.macs_per_pixel / 1e6)
    if size < megapixels:
        say(f"network {card.name} is large: a picture of {size:.2g} megapixels")
    side = max(1, round(1000 * math.sqrt(size)))
    data = codec.encode(picture(side), n=None if card.is_for_nested else _SPACING)
    say("guided")
    guided = codec.Decoder(color="guided")
    per_mp = 1e6 / side**2
    rows = [Row("guided", "cpu", None, 0.0, 0.0, per_mp * _seconds(partial(guided.decode, data)))]
    for backend, device, precision in _candidates(card):
        say(f"{backend}, {precision}, {device}")
        decoder = codec.Decoder(
            color="neural", model=model, backend=backend, device=device, precision=precision
        )
        start = time.perf_counter()
        network = decoder.network(card.is_for_nested)
        load = time.perf_counter() - start
        rows.append(
            Row(
                backend, device, precision, load, per_mp * _seconds(_painting(network, data)),
                per_mp * _seconds(partial(decoder.decode, data)),
            )
        )  # fmt: skip
    return rows


def advice(rows: Sequence[Row]) -> str:
    """One line: which of the rows to choose, and what might be faster if it were installed."""
    networks = [row for row in rows if row.precision is not None]
    exact = [row for row in networks if row.precision == "float32" or row.device == "cuda"]
    best = min(exact, key=lambda row: row.decode_s_per_mp)
    parts = [
        f"choose --backend {best.backend} --device {best.device}: {best.decode_s_per_mp:.2f} s a megapixel"
    ]
    faster = min(networks, key=lambda row: row.decode_s_per_mp)
    if best.decode_s_per_mp > _WORTH * faster.decode_s_per_mp:
        parts.append(
            f"--backend {faster.backend} --precision {faster.precision} takes {faster.decode_s_per_mp:.2f} s "
            "and moves colours a little"
        )
    openvino = RUNTIMES["openvino"]
    if not openvino.installed and best.device == "cpu":
        parts.append(f"pip install {openvino.brought_by} brings what is fastest on most processors")
    return "; ".join(parts)


def picture(side: int) -> NDArray[np.uint8]:
    """Smooth colours, edges and grain: u8[side,side,3], the same each time."""
    import numpy as np

    rng = np.random.default_rng(0)
    down, across = np.mgrid[:side, :side] / np.float32(500)
    waves = [np.sin((3 + k) * across + (5 - k) * down + k) for k in range(3)]
    edges = (np.sin(9 * across) + np.sin(7 * down) > 0.5) * 40
    grain = rng.normal(0, 4, (side, side, 1))
    values = 120 + 60 * np.stack(waves, axis=-1) + edges[..., None] + grain
    rgb: NDArray[np.uint8] = np.clip(values, 0, 255).astype(np.uint8)
    return rgb


def _candidates(card: Card) -> Iterator[tuple[Name, Device, Precision]]:
    if backends.has_cuda():
        yield from (("torch", "cuda", precision) for precision in ("float16", "bfloat16"))
    for name, runtime in RUNTIMES.items():
        if name == "torch":  # whose halves take longer on most processors
            yield name, "cpu", "float32"
        elif runtime.installed:
            for precision in runtime.precisions:
                if card.graph("int8" if precision == "int8" else "float32") is not None:
                    yield name, "cpu", precision


def _painting(network: Any, data: bytes) -> Callable[[], Any]:
    """What the network does for a picture, its inputs made before."""
    from crayoncodec.painting.recolorize import windows

    file = container.unpack(data)
    lightness = decoding.decode_lightness(file)
    grid = decoding.decode_grid(file, lightness)
    assert grid is not None
    made = list(windows(lightness, grid, network))
    return lambda: list(network.predict(made, grid.coarseness))


def _seconds(work: Callable[[], Any]) -> float:
    """The least of a few repeats after a first time, which prepares."""
    work()
    taken: list[float] = []
    while len(taken) < _REPEATS and sum(taken) < _BUDGET:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)
