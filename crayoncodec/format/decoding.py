"""A file's chunks -> planes and grids: the same integers on every machine.

What computes is imported when it is needed: a plane can be decoded while that is being loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crayoncodec.color.geometry import STEP_UNIT, grid_shape
from crayoncodec.format import planes
from crayoncodec.format.chunks import PALETTE, CrayFile, PlaneChunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crayoncodec.color.grid import ColorGrid

    U8 = NDArray[np.uint8]

_GRID: Final = "colour grid"


def decode_lightness(file: CrayFile) -> U8:
    """The stored lightness plane, u8[H,W]: the same on every machine. Raises FormatError."""
    return _decode_plane(file.lightness, file.header.shape, "lightness plane")


def decode_alpha(file: CrayFile) -> U8 | None:
    """The alpha plane, u8[H,W], if there is one. Raises FormatError."""
    return None if file.alpha is None else _decode_plane(file.alpha, file.header.shape, "alpha plane")


def decode_grid(file: CrayFile, lightness: U8, levels: int | None = None) -> ColorGrid | None:
    """The colour grid, None for a grey picture: the same on every machine. Raises FormatError.

    lightness: the stored plane, u8[H,W], from which nested grids are predicted; a palette has colours of each
    of its values. levels: of nested grids decode only so many, from the coarsest on.
    """
    if not file.grids:
        return None
    from crayoncodec.color.grid import ColorGrid
    from crayoncodec.format import nested, palette, uniform

    if file.is_nested:
        samples, spacing = nested.decode(file.grids, lightness, levels)
        return ColorGrid(samples, spacing, "mean", 1 / STEP_UNIT, file.grids[-1].step / STEP_UNIT)
    (chunk,) = file.grids
    if chunk.coder == PALETTE:
        samples = palette.decode(chunk.payload, lightness, _GRID)
    else:
        shape = grid_shape(file.header.height, file.header.width, chunk.spacing)
        samples = uniform.decode(chunk.payload, chunk.coder, shape, _GRID)
    return ColorGrid(samples, chunk.spacing, chunk.sampling, chunk.step / STEP_UNIT)


def level_sizes(file: CrayFile) -> list[float]:
    """Bytes that the symbols of each level of nested grids take, from the coarsest on; none for other files.

    Chunks hold several levels, so this decodes lightness and grids; bytes are what symbols cost under the
    tables that they are coded with. Raises FormatError.
    """
    if not file.is_nested:
        return []
    from crayoncodec.format import nested

    sizes: dict[int, float] = {}
    nested.decode(file.grids, decode_lightness(file), sizes=sizes)
    return [sizes[spacing] for spacing in sorted(sizes, reverse=True)]


def _decode_plane(chunk: PlaneChunk, shape: tuple[int, int], what: str) -> U8:
    return planes.decode(chunk.payload, chunk.coder, shape, what)
