"""native.c."""

from typing import Any

def best_version() -> int: ...
def convolve(
    layers: tuple[Any, ...], planes: tuple[Any, ...], height: int, width: int, top: int, bottom: int,
    half: int, out: Any, kind: int, channels: int, rows: int, out_top: int, version: int | None, /,
) -> None: ...  # fmt: skip
def head(
    layers: tuple[Any, ...], planes: tuple[Any, ...], height: int, width: int, top: int, bottom: int,
    half: int, shifts: Any, spreads: Any, largest_shift: int, largest_spread: int, version: int | None, /,
) -> None: ...  # fmt: skip
def restore(residual: Any, plane: Any, height: int, width: int, itemsize: int, /) -> None: ...
def halve(
    sums: Any, low: Any, high: Any, height: int, width: int, sums_bytes: int, new_bytes: int, shift: int,
    new_sums: Any, new_low: Any, new_high: Any, means: Any, ranges: Any, top: int, bottom: int,
    version: int | None, /,
) -> None: ...  # fmt: skip
def prepare(
    parents: Any, symbols: Any, coarse: Any, fine: Any, ranges: Any, finer: Any, height: int, width: int,
    rows: int, columns: int, finer_rows: int, finer_columns: int, step: int, loudness: int, octave: int,
    guided: Any, features: Any, top: int, bottom: int, version: int | None, /,
) -> None: ...  # fmt: skip
def settle(
    symbols: Any, shifts: Any, height: int, width: int, rows: int, columns: int, step: int, half: int,
    plane: int, new_symbols: Any, new_shifts: Any, known: Any, own: Any, top: int, bottom: int, /,
) -> None: ...  # fmt: skip
def children(
    parents: Any, guided: Any, symbols: Any, shifts: Any, height: int, width: int, rows: int, columns: int,
    step: int, most: int, cells: Any, top: int, bottom: int, version: int | None, /,
) -> None: ...  # fmt: skip
def turn(
    cells: Any, cosine: int, sine: int, samples: Any, size: int, first: int, last: int, version: int | None, /
) -> None: ...
def count(spreads: Any, mask: Any, size: int, first: int, last: int, counts: Any, /) -> None: ...
def sort(
    spreads: Any, mask: Any, size: int, first: int, last: int, starts: Any, positions: Any, room: int, /
) -> None: ...
