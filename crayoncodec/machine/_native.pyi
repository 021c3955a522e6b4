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
