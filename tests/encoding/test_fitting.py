"""Fitted samples: the linear map and its transpose, and what fitting brings."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import photo

import crayoncodec
from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid
from crayoncodec.color.guided import guided_upsample
from crayoncodec.encoding import fitting, metrics
from crayoncodec.encoding.fitting import (
    GuidedBase,
    fit_nested,
    fit_nested_to_network,
    fit_samples,
    fit_samples_to_network,
)
from crayoncodec.encoding.halving import Halving
from crayoncodec.format import container
from crayoncodec.painting import checkpoints
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.painting.recolorize import painter


def noisy(height, width):
    """A picture whose colours change within cells."""
    noise = np.random.default_rng(0).normal(0, 25, (height, width, 3))
    return np.clip(photo(height, width) + noise, 0, 255).astype(np.uint8)


SHAPES = [(40, 60, 4), (37, 53, 6), (64, 64, 20), (30, 30, 100), (700, 900, 3)]


@pytest.mark.parametrize(("height", "width", "n"), SHAPES)
def test_the_map_is_the_decoder_s(height, width, n):
    lightness, ab = cielab.rgb_to_lab(photo(height, width))
    grid = sample_grid(ab, n, step=1 / 256)
    assert np.abs(GuidedBase(lightness, n)(grid.ab()) - guided_upsample(grid, lightness)).max() < 2e-3


@pytest.mark.parametrize(("height", "width", "n"), SHAPES)
def test_its_transpose(height, width, n):
    lightness, ab = cielab.rgb_to_lab(photo(height, width))
    base, rng = GuidedBase(lightness, n), np.random.default_rng(0)
    samples = rng.normal(size=sample_grid(ab, n).samples.shape).astype(np.float32)
    other = rng.normal(size=ab.shape).astype(np.float32)
    one, two = np.vdot(base(samples), other), np.vdot(samples, base.adjoint(other))
    assert one == pytest.approx(two, rel=1e-3, abs=0.05)


@pytest.mark.parametrize("n", [6, 20])
def test_fitting_goes_most_of_the_way_to_the_least_squares_solution(n):
    lightness, ab = cielab.rgb_to_lab(noisy(48, 60))
    base, grid = GuidedBase(lightness, n), sample_grid(ab, n, step=1 / 256)
    units = np.eye(grid.samples[0].size, dtype=np.float32).reshape(-1, *grid.samples[0].shape)
    matrix = np.stack([base(np.stack([unit, unit]))[0].ravel() for unit in units], axis=1)
    best = sum(np.linalg.lstsq(matrix, plane.ravel(), rcond=None)[1][0] for plane in ab) / ab.size
    fitted = fit_samples(ab, lightness, grid)
    before, after = (np.square(guided_upsample(g, lightness) - ab).mean() for g in (grid, fitted))
    assert best <= after < before
    # Six tenths of the way are 84 % of the gain.
    assert 0.75 * (before - best) < before - after < 0.86 * (before - best)
    assert (fitted.spacing, fitted.sampling, fitted.step) == (n, "mean", grid.step)


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 1, 5), (2, 7, 4)])
def test_differences_and_their_transpose(shape):
    rng = np.random.default_rng(0)
    samples, other = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    found = fitting._differences(samples)
    for y, x in np.ndindex(shape[1:]):
        neighbours = (samples[:, y, x - 1] + samples[:, y - 1, x]) / 2
        assert found[:, y, x] == pytest.approx(samples[:, y, x] - neighbours if x and y else 0, abs=1e-6)
    one, two = np.vdot(found, other), np.vdot(samples, fitting._differences_adjoint(other))
    assert one == pytest.approx(two, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("effort", [7, 9])
def test_bits_have_a_price(monkeypatch, effort):
    sizes = []
    for price in (0.0, 5.0):
        monkeypatch.setattr(fitting, "_PRICE", price)
        data = crayoncodec.encode(noisy(120, 160), n=5, effort=effort)
        sizes.append(len(container.unpack(data).grids[0].payload))
    assert sizes[1] < 0.99 * sizes[0]


def test_hidden_pixels_do_not_count():
    lightness, ab = cielab.rgb_to_lab(noisy(120, 120))
    visible = np.ones((120, 120), bool)
    visible[38:82, 33:93] = False
    ab[:, ~visible] = 90
    grid = sample_grid(ab, 10, visible=visible)
    fitted = fit_samples(ab, lightness, grid, visible)
    blind = fit_samples(ab, lightness, grid)
    before, after, unseen = (
        np.square(guided_upsample(g, lightness) - ab)[:, visible].mean() for g in (grid, fitted, blind)
    )
    assert after < before
    assert after < unseen


@pytest.mark.parametrize("n", [8, 40])
def test_samples_fitted_to_a_network_serve_it_best(n):
    rgb = noisy(150, 170)
    lightness, ab = cielab.rgb_to_lab(rgb)
    plane = cielab.lightness_to_u8(lightness)
    network, _ = checkpoints.load()
    grid = sample_grid(ab, n)
    fitted = fit_samples_to_network(network, ab, cielab.lightness_from_u8(plane), grid)
    whole = (slice(0, 150), slice(0, 170))
    before, after = (
        np.square(painter(plane, g, TorchBackend(network, "cpu"))(whole) - ab).mean() for g in (grid, fitted)
    )
    assert after < before


def test_tiles_of_a_large_picture_are_fitted_each(monkeypatch):
    lightness, ab = cielab.rgb_to_lab(noisy(150, 170))
    network, _ = checkpoints.load()
    grid = sample_grid(ab, 10)
    whole = fit_samples_to_network(network, ab, lightness, grid)
    monkeypatch.setattr(fitting, "_TILE", 80)
    tiled = fit_samples_to_network(network, ab, lightness, grid)
    assert np.abs(tiled.samples - whole.samples).max() <= 2


@pytest.mark.parametrize(("effort", "color_kind"), [(7, "guided"), (9, "neural")])
def test_effort_lowers_the_error_of_the_file(effort, color_kind):
    rgb = noisy(150, 170)
    errors = [
        metrics.compare(
            rgb, crayoncodec.decode(crayoncodec.encode(rgb, n=10, effort=e), color=color_kind)
        ).ab_mse
        for e in (5, effort)
    ]
    assert errors[1] < errors[0]


def smaller_of(lightness, ab, visible=None):
    """Pixels as what cells of 2 x 2 are fitted to."""

    def smaller(rows):
        weight = None if visible is None else visible[rows].astype(np.float32)
        return fitting.Smaller(lightness[rows], ab[:, rows], weight)

    return smaller


def test_nested_cells_go_most_of_the_way_to_the_least_squares_solution():
    lightness, ab = cielab.rgb_to_lab(noisy(47, 61))
    cells, halving = sample_grid(ab, 2, step=1 / 256).ab(), Halving(lightness)
    units = np.eye(cells[0].size, dtype=np.float32).reshape(-1, *cells[0].shape)
    matrix = np.stack([halving(np.stack([unit, unit]))[0].ravel() for unit in units], axis=1)
    best = sum(np.linalg.lstsq(matrix, plane.ravel(), rcond=None)[1][0] for plane in ab)
    fitted = fit_nested(cells, smaller_of(lightness, ab)).cells
    before, after = (np.square(halving(c) - ab).sum() for c in (cells, fitted))
    assert best <= after
    assert before - after > 0.8 * (before - best)


def test_hidden_pixels_do_not_pull_nested_cells():
    lightness, ab = cielab.rgb_to_lab(noisy(40, 60))
    visible = np.ones((40, 60), bool)
    visible[12:24, 20:44] = False
    cells = sample_grid(ab, 2, visible=visible).ab()
    ab[:, ~visible] = 90
    halving = Halving(lightness)
    weighted, blind = (
        np.square(halving(fit_nested(cells, smaller_of(lightness, ab, seen)).cells) - ab)[:, visible].mean()
        for seen in (visible, None)
    )
    assert weighted < np.square(halving(cells) - ab)[:, visible].mean()
    assert weighted < blind


def test_nested_cells_move_towards_what_makes_the_network_right():
    """With a decoder that rounds cells coarsely and paints them too red they turn greener."""
    lightness, ab = cielab.rgb_to_lab(noisy(48, 60))
    means, halving = sample_grid(ab, 2, step=1 / 256).ab(), Halving(lightness)

    def painted(cells):
        return halving(np.rint(cells)) + np.float32([[[3]], [[0]]])

    moved = fit_nested_to_network(
        means, smaller_of(lightness, ab), np.rint(means), lambda rows: painted(means)[:, rows]
    )
    before, after = (np.square(painted(cells) - ab).mean() for cells in (means, moved))
    assert after < before - 3
