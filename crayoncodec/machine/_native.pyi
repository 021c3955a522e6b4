"""native.c."""

from typing import Any

def best_version() -> int: ...
def convolve(
    weights: Any, bias: Any, shift: Any, side: int, inputs: int, outputs: int, planes: tuple[Any, ...],
    height: int, width: int, top: int, bottom: int, out: Any, bytes: bool, shown: int, rows_out: int,
    out_top: int, version: int, /,
) -> None: ...  # fmt: skip
def lab_to_rgb(
    lightness: Any, ab: Any, floats: bool, matrix: Any, curve: Any, luminance: Any, rgb: Any,
    height: int, width: int, version: int, /,
) -> None: ...  # fmt: skip
def rgb_to_lightness(
    rgb: Any, luminance: Any, curve: Any, lightness: Any, height: int, width: int, /
) -> None: ...
def rgb_to_sums(
    rgb: Any, ratios: Any, roots: Any, spacing: int, sums: Any, height: int, width: int, /
) -> None: ...
def restore(residual: Any, plane: Any, height: int, width: int, itemsize: int, /) -> None: ...
