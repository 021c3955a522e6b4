"""Levels of nested grids: cells and their details."""

from __future__ import annotations

import numpy as np
import pytest

from crayoncodec.color import features, geometry, levels


class TestLevels:
    @pytest.mark.parametrize("shape", [(8, 12), (7, 12), (5, 3), (1, 1)])
    def test_children_come_back_from_their_details(self, shape):
        cells = np.random.default_rng(0).integers(-9999, 9999, (2, *shape))
        parents = (sum(features.blocks(cells)) // 4)[..., :, :]
        again = features.children(parents, features.details(cells) >> 1)[..., : shape[0], : shape[1]]
        assert np.abs(again - cells).max() <= 3

    @pytest.mark.parametrize("shape", [(64, 128), (65, 127), (3, 200)])
    def test_pyramid(self, shape):
        plane = np.random.default_rng(1).integers(0, 256, (1, *shape))
        levels = features.pyramid(plane, 128)
        assert sorted(levels) == [1, 2, 4, 8, 16, 32, 64, 128]
        assert np.array_equal(levels[1].means, 64 * plane)
        assert not levels[1].ranges.any()
        for n, (means, ranges) in levels.items():
            assert means.shape == ranges.shape == (1, *geometry.grid_shape(*shape, n))
        cell = plane[0, :32, :32]
        if shape[0] >= 32:
            assert levels[32].means[0, 0, 0] == round(64 * cell.mean())
            assert levels[32].ranges[0, 0, 0] == np.ptp(cell)

    def test_guided_details_follow_the_lightness(self):
        """Where colour is a linear function of lightness, its details are predicted."""
        light = np.random.default_rng(2).integers(0, 256, (1, 64, 64))
        light = np.repeat(np.repeat(light[:, ::8, ::8], 8, 1), 8, 2)
        levels = features.pyramid(light, 8)
        cells = {n: np.concatenate([levels[n].means, -levels[n].means]) for n in (4, 8)}
        for parents, n in ((cells[8], 8),):
            guided, bicubic = features.guided_details(parents, levels[n], levels[n // 2])
            truth = features.details(cells[n // 2]) >> 1
            assert np.abs(guided - truth).mean() < np.abs(bicubic - truth).mean() / 4 + 1

    def test_steps_are_shared_out_by_area(self):
        assert levels.step_of(25600, 4) == (6400, 8 * 12 + 5 - 64)
        assert levels.step_of(3, 128) == (1, -64)
        for step in (1, 2, 255, 256, 257, 65535):
            assert levels.step_of(step, 1) == (step, int(np.floor(8 * np.log2(step) + 1e-9)) - 64)
