"""What comes out on the way through nested grids, in lines (tests/format/intermediate.tsv)."""

from __future__ import annotations

import zlib

import numpy as np


class Notes:
    """Lines of spacing, name, shape, CRC-32 of the values as big-endian i32, and the first of them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, spacing: int, name: str, values: np.ndarray) -> None:
        crc = zlib.crc32(values.astype(">i4").tobytes())
        shape, first = (
            " ".join(map(str, numbers)) for numbers in (values.shape, values.ravel()[:6].tolist())
        )
        self.lines.append(f"{spacing}\t{name}\t{shape}\t{crc:08x}\t{first}\n")
