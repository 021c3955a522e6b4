"""Guided upsampling: what it promises, and that windows are parts of the whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pictures import photo

from crayoncodec.color import guided
from crayoncodec.color.cielab import rgb_to_lab
from crayoncodec.color.grid import reduce_to_cells, sample_grid
from crayoncodec.color.guided import GuidedModel, guided_upsample, shrunk, upsample


@pytest.fixture(params=[1000, 0], ids=["scaled", "multiplied"])
def way(request, monkeypatch):
    """Both ways of upsampling, whatever the spacing."""
    monkeypatch.setattr(guided, "_SMALL", request.param)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_bicubic_is_that_of_opencv(n, monkeypatch):
    monkeypatch.setattr(guided, "_SMALL", 0)
    cells = np.random.default_rng(0).normal(0, 20, (3, 7, 9)).astype(np.float32)
    height, width = 7 * n, 9 * n
    up = upsample(cells, n, "mean", (0, 0, height, width))
    for ours, plane in zip(up, cells, strict=True):
        theirs = cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC)
        assert np.abs(ours - theirs).max() < 1e-3


@pytest.mark.parametrize(
    ("shape", "n", "window"),
    [
        ((1, 1), 4, (1, 2, 3, 2)),
        ((1, 9), 3, (0, 5, 3, 22)),
        ((30, 40), 1, (7, 3, 11, 30)),
        ((30, 40), 2, (0, 0, 60, 80)),
        ((30, 40), 2, (13, 31, 20, 9)),
        ((3, 20000), 2, (1, 3, 5, 39990)),
    ],
)
def test_both_ways_of_upsampling_agree(shape, n, window, monkeypatch):
    cells = np.random.default_rng(0).normal(0, 20, (2, *shape)).astype(np.float32)
    scaled = upsample(cells, n, "mean", window)
    monkeypatch.setattr(guided, "_SMALL", 0)
    assert np.abs(scaled - upsample(cells, n, "mean", window)).max() < 1e-3


@pytest.mark.parametrize("sampling", ["mean", "point"])
@pytest.mark.parametrize("n", [1, 4, 7, 30, 1000])
@pytest.mark.usefixtures("way")
def test_a_window_is_that_part_of_the_whole(sampling, n):
    lightness, ab = rgb_to_lab(photo(61, 83))
    model = GuidedModel.fit(sample_grid(ab, n, sampling).ab(), lightness, n, sampling)
    whole = model.planes(lightness)
    window = model.planes(lightness[10:50, 33:80], 10, 33)
    for part, plane in zip(window, whole, strict=True):
        assert np.abs(part - plane[..., 10:50, 33:80]).max() < 1e-3


def test_the_base_passes_through_point_samples():
    lightness, ab = rgb_to_lab(photo(40, 40))
    grid = sample_grid(ab, 4, "point")
    assert np.abs(reduce_to_cells(guided_upsample(grid, lightness), 4, "point") - grid.ab()).max() < 1e-3


def test_what_rounding_explains_is_not_missing():
    rng = np.random.default_rng(0)
    rounding = rng.uniform(-1, 1, (2, 30, 40)).astype(np.float32)
    assert np.square(shrunk(rounding, 2.0)).mean() < 0.1 * np.square(rounding).mean()
    more = 10 * rounding
    assert np.abs(shrunk(more, 2.0) - more).max() < 0.1 * np.abs(more).max()


def test_back_projection_brings_the_base_closer_to_the_means():
    lightness, ab = rgb_to_lab(photo(60, 80))
    grid = sample_grid(ab, 10)
    corrected = GuidedModel.fit(grid.ab(), lightness, grid.spacing, grid.sampling)
    uncorrected = GuidedModel(np.concatenate([grid.ab(), corrected.cells[2:]]), grid.spacing, grid.sampling)

    def distance(model):
        base = model.planes(lightness).base
        return np.abs(reduce_to_cells(base, 10, "mean") - grid.ab()).mean()

    assert distance(corrected) < 0.5 * distance(uncorrected)


def test_colour_that_follows_lightness_is_followed():
    """Where AB is a linear function of L*, guidance finds it and bicubic cannot."""
    y, x = np.mgrid[0:96, 0:96]
    lightness = np.where((x // 12 + y // 12) % 2 == 0, 30, 80).astype(np.float32)
    ab = np.stack([0.8 * lightness - 40, 30 - 0.5 * lightness]).astype(np.float32)
    grid = sample_grid(ab, 8, step=1 / 256)
    planes = GuidedModel.fit(grid.ab(), lightness, grid.spacing, grid.sampling).planes(lightness)
    errors = [np.square(estimate - ab).mean() for estimate in (planes.bicubic, planes.base)]
    assert errors[1] < 0.35 * errors[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 4096)])
@pytest.mark.parametrize("n", [1, 2, 65535])
def test_any_size_and_spacing(shape, n):
    lightness, ab = rgb_to_lab(photo(*shape))
    base = guided_upsample(sample_grid(ab, n), lightness)
    assert base.shape == (2, *shape)
    assert np.isfinite(base).all()
    if n == 1:
        assert np.abs(base - ab).max() <= 0.51
