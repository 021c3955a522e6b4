"""Batches: what a network is given in training is what the decoder gives it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pictures import photo
from training_runs import CPU, SIDE, SMALL

from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid, scatter_samples
from crayoncodec.color.guided import GuidedModel
from crayoncodec.networks import Compact, Crayon
from crayoncodec.networks.inputs import back_project, paint
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.painting.recolorize import painter
from crayoncodec.training import batches, data, drawings, recipes


class TestBatches:
    @pytest.mark.parametrize("sampling", ["mean", "point"])
    @pytest.mark.parametrize(
        ("spacing", "shape"), [(2, (64, 64)), (6, (50, 64)), (20, (64, 96)), (100, (64, 64))]
    )
    def test_planes_are_those_of_the_decoder(self, sampling, spacing, shape):
        pictures = [cielab.rgb_to_lab(photo(*shape, seed)) for seed in range(2)]
        lightness, ab = (torch.from_numpy(np.stack(planes)) for planes in zip(*pictures, strict=True))
        inputs = batches.planes_of(lightness[:, None], ab, spacing, sampling, 0.5)
        found = inputs.planes
        for index, (plane, colors) in enumerate(pictures):
            grid = sample_grid(colors, spacing, sampling, 0.5)
            expected = GuidedModel.fit(grid.ab(), plane, grid.spacing, grid.sampling).planes(plane)._asdict()
            expected["sparse"] = scatter_samples(grid, shape, (slice(0, shape[0]), slice(0, shape[1])))
            for name, array in expected.items():
                # A sample that lies between two steps may be rounded to the other one.
                wrong = np.abs(found[name][index].numpy().reshape(array.shape) - array) > 0.01
                assert wrong.mean() < 0.02, name
        assert found["coarseness"].tolist() == [spacing, spacing]

    @pytest.mark.parametrize(("spacing", "sampling"), [(6, "mean"), (20, "mean"), (9, "point")])
    def test_what_is_painted_is_what_the_decoder_paints(self, spacing, sampling):
        network = Compact((8, 8)).eval().requires_grad_(False)
        torch.nn.init.normal_(network.head.weight, std=0.05)
        lightness, ab = cielab.rgb_to_lab(photo(50, 64))
        plane = cielab.lightness_to_u8(lightness)
        expected = painter(plane, sample_grid(ab, spacing, sampling), TorchBackend(network, "cpu"))
        exact = torch.from_numpy(cielab.lightness_from_u8(plane))[None, None]
        inputs = batches.planes_of(exact, torch.from_numpy(ab)[None], spacing, sampling, 1.0)
        with torch.autocast("cpu", torch.bfloat16):
            coarse = back_project(paint(network, inputs), inputs)[0].numpy()
        alone = paint(network, inputs)
        painted = back_project(alone, inputs)[0].numpy()
        wanted = expected((slice(0, 50), slice(0, 64)))
        assert np.abs(painted - wanted).max() < 0.1
        assert np.abs(coarse - wanted).mean() < 0.1
        assert np.abs(alone[0].numpy() - wanted).max() > 0.5

    @pytest.mark.parametrize("seed", range(6))
    def test_are_what_networks_take(self, dataset, seed):
        recipe = recipes.load("compact", [*SMALL, "hue=20", "lossy=0.5"])
        rng = np.random.default_rng(seed)
        inputs, truth = batches.draw(dataset.squares, range(4), recipe, 3 * SIDE * SIDE, rng, CPU)
        assert truth.shape == (3, 2, SIDE, SIDE)
        for network in (Compact(), Crayon(4), Crayon(4, residual=True), Crayon(4, mask=True)):
            assert paint(network, inputs).shape == truth.shape

    def test_zoomed_squares_are_smoother(self, dataset):
        roughness = []
        for zoom in (1, 4):
            recipe = recipes.load("compact", [*SMALL, f"zoom={zoom}"])
            drawn = [
                batches.draw(
                    dataset.squares, range(4), recipe, 4 * SIDE * SIDE, np.random.default_rng(seed), CPU
                )
                for seed in range(4)
            ]
            assert all(truth.shape == (4, 2, SIDE, SIDE) for _, truth in drawn)
            roughness.append(np.mean([float(truth.diff(dim=-1).abs().mean()) for _, truth in drawn]))
        assert roughness[1] < 0.8 * roughness[0]

    def test_ramps_are_smooth_and_of_all_colors(self):
        for seed in range(6):
            drawn = drawings.ramps(4, SIDE, np.random.default_rng(seed))
            assert drawn.shape == (4, 3, SIDE, SIDE)
            assert drawn.diff(dim=-1).abs().max() < 20
            steps = drawn[:, 0] * 255 / 100
            assert torch.allclose(steps, steps.round(), atol=1e-3)
            assert drawn[:, 1:].std() > 10
            assert drawn[:, 0].std() > 5

    def test_shapes_are_flat_and_of_all_colors(self):
        drawn = drawings.shapes(8, SIDE, np.random.default_rng(0))
        assert drawn.shape == (8, 3, SIDE, SIDE)
        assert (drawn.diff(dim=-1) == 0).float().mean() > 0.8
        assert (drawn.diff(dim=-1).abs() > 10).float().mean() > 0.002
        assert drawn[:, 1:].std() > 10

    def test_some_batches_are_drawn(self, dataset):
        squares = dataset.squares[:1]
        found = set()
        for seed in range(12):
            recipe = recipes.load("compact", [*SMALL, "graphics=0.5", "zoom=1", "flips=false"])
            rng = np.random.default_rng(seed)
            _, truth = batches.draw(squares, [0], recipe, 2 * SIDE * SIDE, rng, CPU)
            assert truth.shape == (2, 2, SIDE, SIDE)
            photograph = torch.from_numpy(squares[0, 1:3].astype(np.float32)) / data.UNIT
            found.add(bool(torch.allclose(truth[0], photograph)))
        assert found == {True, False}

    def test_hue_turns_colors_and_keeps_their_chroma(self, dataset):
        pair = []
        for hue in (0, 30):
            recipe = recipes.load("compact", [*SMALL, f"hue={hue}", "flips=false"])
            pair.append(
                batches.draw(dataset.squares, [0], recipe, SIDE * SIDE, np.random.default_rng(3), CPU)[1]
            )
        plain, turned = pair
        assert torch.allclose(plain.square().sum(1), turned.square().sum(1), rtol=1e-3, atol=1e-2)
        assert (plain - turned).abs().max() > 1


def test_the_residual_crayon_begins_as_the_guided_base(dataset):
    recipe = recipes.load("crayon", [*SMALL, "network={width=4, residual=true}"])
    inputs, _ = batches.draw(dataset.squares, range(4), recipe, SIDE * SIDE, np.random.default_rng(0), CPU)
    network = Crayon(width=4, residual=True)
    assert torch.equal(paint(network, inputs), inputs.planes["base"])
