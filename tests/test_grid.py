"""Colour grids: geometry, sampling, rounding (docs/format.md, section 3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crayoncodec.color.geometry import grid_shape
from crayoncodec.color.grid import reduce_to_cells, sample_grid, scatter_samples

sizes = st.integers(1, 40)


@given(sizes, sizes, st.integers(1, 60), st.integers(0, 99))
def test_mean_is_the_mean_of_each_cell(height, width, n, seed):
    plane = np.random.default_rng(seed).normal(0, 30, (height, width)).astype(np.float32)
    cells = reduce_to_cells(plane, n, "mean")
    assert cells.shape == grid_shape(height, width, n)
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            cell = plane[i * n : (i + 1) * n, j * n : (j + 1) * n].astype(np.float64)
            assert abs(cells[i, j] - cell.mean()) < 1e-4


@given(sizes, sizes, st.integers(1, 60))
def test_point_is_the_pixel_in_the_middle_of_each_cell(height, width, n):
    plane = np.arange(height * width, dtype=np.float32).reshape(height, width)
    cells = reduce_to_cells(plane, n, "point")
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            assert cells[i, j] == plane[min(i * n + n // 2, height - 1), min(j * n + n // 2, width - 1)]


def test_a_spacing_larger_than_the_picture_gives_one_sample():
    ab = np.stack([np.full((3, 5), 10.2), np.full((3, 5), -7.6)]).astype(np.float32)
    assert sample_grid(ab, 65535).samples.tolist() == [[[10]], [[-8]]]


@pytest.mark.parametrize("step", [1 / 256, 0.5, 1.0, 3.25, 65535 / 256])
def test_samples_are_within_half_a_step(step):
    ab = np.random.default_rng(1).uniform(-100, 100, (2, 8, 9)).astype(np.float32)
    grid = sample_grid(ab, 1, step=step)
    assert np.abs(grid.ab() - ab).max() <= step / 2 * 1.0001


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"spacing": 0}, "spacing n is 0"),
        ({"spacing": 65536}, "spacing n is 65536"),
        ({"spacing": 4, "step": 0.0}, "step is 0.0"),
        ({"spacing": 4, "step": 256.0}, "step is 256"),
        ({"spacing": 4, "sampling": "median"}, "sampling is 'median'"),
    ],
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        sample_grid(np.zeros((2, 4, 4), np.float32), **options)


@pytest.mark.parametrize("n", [1, 3, 7, 50])
def test_scattered_windows_are_parts_of_the_scattered_picture(n):
    ab = np.random.default_rng(2).uniform(20, 90, (2, 23, 31)).astype(np.float32)
    grid = sample_grid(ab, n, "point")
    whole = scatter_samples(grid, (23, 31), (slice(0, 23), slice(0, 31)))
    colors, mask = whole[:2], whole[2]
    assert np.array_equal(mask, colors[0] != 0)
    assert np.count_nonzero(mask) == grid.samples[0].size
    assert np.abs(colors - ab)[:, mask == 1].max() <= 0.5
    part = scatter_samples(grid, (23, 31), (slice(4, 20), slice(8, 30)))
    assert np.array_equal(part, whole[:, 4:20, 8:30])
