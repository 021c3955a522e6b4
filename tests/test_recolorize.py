"""From planes and grids to RGB: tiles never show, networks get what they need."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pictures import photo

from crayoncodec.color import cielab
from crayoncodec.color.grid import ColorGrid, sample_grid
from crayoncodec.color.guided import GuidedModel
from crayoncodec.networks import Compact, Crayon
from crayoncodec.painting import checkpoints
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.painting.recolorize import painter, recolorize, tiles
from crayoncodec.training.export import macs_per_pixel


@pytest.fixture(scope="module")
def compact():
    return TorchBackend(checkpoints.load("compact")[0], "cpu")


def coded(height, width, n, sampling="mean"):
    lightness, ab = cielab.rgb_to_lab(photo(height, width))
    return cielab.lightness_to_u8(lightness), sample_grid(ab, n, sampling)


@pytest.mark.parametrize("shape", [(1, 1), (100, 37), (64, 64)])
def test_tiles_cover_every_pixel_once(shape):
    seen = np.zeros(shape, int)
    for tile in tiles(*shape, 32, 5):
        seen[tile.core] += 1
        window = np.arange(shape[0] * shape[1]).reshape(shape)[tile.window].astype(np.float32)
        core = np.arange(shape[0] * shape[1]).reshape(shape)[tile.core]
        assert np.array_equal(tile.cut(window), core)
    assert (seen == 1).all()


@pytest.mark.parametrize("n", [2, 20, 65535])
def test_tiles_do_not_show_with_the_network(compact, n):
    plane, grid = coded(230, 330, n)
    whole = recolorize(plane, grid, compact, tile=512)
    tiled = recolorize(plane, grid, compact, tile=160)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.parametrize("n", [1, 7, 50])
def test_tiles_do_not_show_without_one(n):
    plane, grid = coded(150, 210, n)
    whole, tiled = (recolorize(plane, grid, tile=tile) for tile in (512, 40))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_tiles_do_not_show_with_the_papers_network():
    torch.manual_seed(3)
    backend = TorchBackend(Crayon().eval(), "cpu")
    plane, grid = coded(64, 392, 20, "point")
    whole, tiled = (recolorize(plane, grid, backend, tile=tile) for tile in (512, 200))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.parametrize("shuffle", [None, 1, 4])
def test_the_reach_of_a_network_is_not_understated(compact, shuffle):
    """A change farther away than ``reach`` changes nothing."""
    torch.manual_seed(0)
    network = compact.network if shuffle is None else Compact((8, 8), shuffle)
    if shuffle is not None:
        torch.nn.init.normal_(network.head.weight)
    size = 3 * network.reach
    plane = torch.rand(1, 1, size, size) * 100
    ab = torch.randn(1, 2, size, size) * 20
    changed = plane.clone()
    middle = size // 2
    changed[..., :, middle:] += 30
    with torch.inference_mode():
        cells = torch.full_like(plane, 50.0)
        first, second = (network(p, cells, ab, ab, torch.tensor([10.0])) for p in (plane, changed))
    touched = (first - second).abs().amax(dim=(0, 1, 2))
    assert touched[middle:].max() > 0.01
    assert touched[: middle - network.reach].max() == 0


@pytest.mark.parametrize("shuffle", [1, 2, 4])
def test_the_base_stays_where_lightness_has_no_texture(shuffle):
    torch.manual_seed(0)
    network = Compact((8, 8), shuffle).eval().requires_grad_(False)
    torch.nn.init.normal_(network.head.weight)
    ramp = torch.linspace(20, 80, 200).expand(1, 1, 96, 200)
    plane = torch.from_numpy(cielab.lightness_from_u8(cielab.lightness_to_u8(ramp.numpy()[0, 0])))[None, None]
    plane[..., :48] += torch.randn(48)
    ab = 20 * torch.randn(1, 2, 96, 200)
    moved = (network(plane, ramp, ab, ab, torch.tensor([10.0])) - ab).abs().amax(dim=(0, 1, 2))
    assert moved[:48].min() > 0
    assert moved[48 + 24 * shuffle :].max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (17, 3)])
def test_any_size(compact, shape):
    plane, grid = coded(*shape, 3)
    assert recolorize(plane, grid, compact).shape == (*shape, 3)


def test_without_a_grid_the_picture_is_grey():
    rgb = recolorize(np.arange(256, dtype=np.uint8).reshape(16, 16), None)
    assert (rgb[..., 0] == rgb[..., 1]).all()
    assert (rgb[..., 0] == rgb[..., 2]).all()


@pytest.mark.parametrize("sample", [-32768, 32767])
def test_samples_far_outside_srgb_give_a_picture_all_the_same(compact, sample):
    plane, _ = coded(30, 40, 8)
    grid = ColorGrid(np.full((2, 4, 5), sample, np.int16), 8, "mean", 65535 / 256)
    for backend in (None, compact):
        rgb = recolorize(plane, grid, backend)
        assert np.abs(cielab.rgb_to_lab(rgb)[0] - cielab.lightness_from_u8(plane)).max() < 1.5


def test_an_untrained_compact_network_gives_the_base():
    plane, grid = coded(40, 50, 10)
    lightness = cielab.lightness_from_u8(plane)
    planes = GuidedModel.fit(grid.ab(), lightness, grid.spacing, grid.sampling).planes(lightness)
    (ab,) = TorchBackend(Compact().eval(), "cpu").predict([planes._asdict()], 10)
    assert np.abs(ab - planes.base).max() < 1e-4


def test_the_compact_network_is_compact():
    assert macs_per_pixel(Compact()) < 20_000
    assert sum(parameter.numel() for parameter in Compact().parameters()) < 24_109_572 / 50


@pytest.mark.parametrize("n", [6, 10, 20])
def test_the_network_leaves_a_ramp_to_the_guided_base(compact, n):
    across, down = np.meshgrid(np.arange(256), np.arange(192))
    lightness, ab = cielab.rgb_to_lab(np.stack([across, 255 - across, down], axis=-1).astype(np.uint8))
    plane, grid = cielab.lightness_to_u8(lightness), sample_grid(ab, n)
    whole = slice(0, 192), slice(0, 256)
    guided, painted = (
        np.square(painter(plane, grid, backend)(whole) - ab).mean() for backend in (None, compact)
    )
    assert painted < 1.02 * guided
