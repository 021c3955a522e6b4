"""What a .cray file says of itself, read from its headers alone; imports no numpy."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

from crayoncodec.color.geometry import STEP_UNIT, Sampling, grid_shape, level_step
from crayoncodec.format import container
from crayoncodec.format.chunks import GRID, ChunkInfo, CrayFile, GridCoder, Painting, PlaneCoder
from crayoncodec.format.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True)
class GridInfo:
    """A colour grid as its GRID chunk describes it."""

    level: int
    n: int
    sampling: Sampling
    step: float
    """Quantiser step in CIELAB units."""
    coder: GridCoder
    rows: int
    columns: int
    size: int | None
    """Bytes of the chunk, with framing, that ends with this grid; None where the next one is in it, too."""


@dataclass(frozen=True)
class Info:
    """Every header field of a file, and what its size comes to."""

    width: int
    height: int
    version: str
    color: str
    lightness_depth: int
    lightness_coder: PlaneCoder
    lightness_quality: int | None
    """Of the lightness coder, 0 to 100; None for a plane kept exactly."""
    alpha_coder: PlaneCoder | None
    """None for a picture without alpha."""
    grids: tuple[GridInfo, ...]
    """Empty for a grey picture; the levels of nested grids from the coarsest on."""
    painting: Painting | None
    """Which way of showing nested grids the encoder found closer to the picture; None where decoders are left
    to their own rule."""
    metadata: tuple[str, ...]
    """Which of exif, icc_profile and xmp are there."""
    chunks: tuple[ChunkInfo, ...]
    size: int
    """Bytes of the file."""
    bpp: float
    """Bits of the file per pixel."""
    ratio: float
    """Bytes of the file over those of the raw picture, 3 (with alpha 4) per pixel."""
    paper_bound: float | None
    """1/3 + 1/n², equation 1 of the paper; None for pictures without one uniform grid."""
    corrected_bound: float | None
    """1/3 + 2/(3n²): the same with two bytes of three, a sample's a* and b*, counted."""


def info(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes],
    limits: Limits = DEFAULT_LIMITS,
) -> Info:
    """Describe a file: a path, its bytes, or a stream. Payloads are neither read nor checked.

    Raises FormatError, LimitError, OSError, TypeError.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return info(io.BytesIO(bytes(source)), limits)  # of a memoryview with gaps, too
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as stream:
            return info(stream, limits)
    if not hasattr(source, "read") or hasattr(source, "encoding"):
        raise TypeError(
            f"source is {type(source).__name__}, expected a path, bytes of a .cray file or a binary stream"
        )
    if not source.seekable():  # a pipe
        return info(source.read(), limits)
    file, chunks = container.scan(source, limits)
    header = file.header
    size = chunks[-1].offset + chunks[-1].size
    pixels = header.width * header.height
    # The paper's bounds are of one grid.
    n = file.grids[0].spacing if file.grids and not file.is_nested else None
    return Info(
        width=header.width,
        height=header.height,
        version=f"{header.major}.{header.minor}",
        color="CIELAB D65",
        lightness_depth=header.lightness_depth,
        lightness_coder=file.lightness.coder,
        lightness_quality=file.lightness.quality,
        alpha_coder=None if file.alpha is None else file.alpha.coder,
        grids=tuple(_grids(file, chunks)),
        painting=file.painting,
        metadata=tuple(file.metadata),
        chunks=tuple(chunks),
        size=size,
        bpp=8 * size / pixels,
        ratio=size / (pixels * (3 if file.alpha is None else 4)),
        paper_bound=None if n is None else 1 / 3 + 1 / n**2,
        corrected_bound=None if n is None else 1 / 3 + 2 / (3 * n**2),
    )


def _grids(file: CrayFile, chunks: list[ChunkInfo]) -> Iterator[GridInfo]:
    sizes = [chunk.size for chunk in chunks if chunk.type == GRID.decode()]
    levels = count()
    for grid, size in zip(file.grids, sizes, strict=True):
        for k in range(grid.levels):
            n = grid.spacing >> k
            step = level_step(grid.step, n) if file.is_nested else grid.step
            shape = grid_shape(*file.header.shape, n)
            last = k + 1 == grid.levels
            yield GridInfo(
                next(levels), n, grid.sampling, step / STEP_UNIT, grid.coder, *shape, size if last else None
            )
