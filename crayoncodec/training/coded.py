"""What decoders have of a picture's colours: cells that are fitted and coded as encoders do it by default.

The network behind nested grids learns from these: means would teach it to add what fitted cells have.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crayoncodec.color import cielab
from crayoncodec.color.geometry import STEP_UNIT
from crayoncodec.color.grid import ColorGrid, reduce_to_cells
from crayoncodec.color.refiner import Network
from crayoncodec.encoding import fitting
from crayoncodec.format import nested
from crayoncodec.machine import threads
from crayoncodec.painting.recolorize import painter, pays

U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]
F32 = NDArray[np.float32]


def samples(plane: Tensor, ab: Tensor, spacing: int, steps: Tensor, network: Network) -> Tensor:
    """Of a batch: int64[B,2,h,w], in 1/features.COLOR of a CIELAB unit.

    plane: lightness as stored, int64[B,1,H,W]. ab: CIELAB units, f32[B,2,H,W]. spacing: of the finest cells,
    2 or more. steps: of a cell of one pixel, CIELAB units, f32[B]. network: cells are fitted to it, where
    decoders would take it.
    """
    planes, colors = plane[:, 0].numpy(force=True).astype(np.uint8), ab.numpy(force=True)

    def one(k: int) -> I16:
        return _samples(planes[k], np.ascontiguousarray(colors[k]), spacing, float(steps[k]), network)

    found = np.stack(threads.each(one, range(len(planes))))
    return torch.from_numpy(found.astype(np.int64)).to(plane.device)


def _samples(plane: U8, ab: F32, spacing: int, step: float, network: Network) -> I16:
    half = spacing // 2
    lightness = reduce_to_cells(cielab.lightness_from_u8(plane), half, "mean")
    truth = reduce_to_cells(ab, half, "mean")

    def smaller(rows: slice) -> fitting.Smaller:
        return fitting.Smaller(lightness[rows], truth[:, rows], None)

    def code(cells: F32) -> nested.Coded:
        return nested.encode(cells, plane, spacing, round(step * STEP_UNIT))

    cells = fitting.fit_nested(reduce_to_cells(ab, spacing, "mean"), smaller).cells
    coded = code(cells)
    if pays(spacing, step):
        grid = ColorGrid(coded.samples, spacing, "mean", 1 / STEP_UNIT, step)
        paint, columns = painter(plane, grid, network), slice(0, plane.shape[1])

        def painted(rows: slice) -> F32:
            return reduce_to_cells(
                paint((slice(half * rows.start, half * rows.stop), columns)), half, "mean"
            )  # fmt: skip

        coded = code(fitting.fit_nested_to_network(cells, smaller, grid.ab(), painted))
    return coded.samples
