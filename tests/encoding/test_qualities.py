"""Qualities of colours, of nested grids: steps, efforts, largest errors and sizes that are aimed at."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pictures import photo

import crayoncodec
from crayoncodec.encoding import closer, metrics
from crayoncodec.encoding.encoder import pixel_step
from crayoncodec.format import nested
from crayoncodec.format.chunks import PAINTING_SIZE


class TestQualities:
    def test_better_qualities_are_nearer_and_larger(self):
        image = photo(120, 160)
        found = []
        for quality in (0, 20, 40, 60, 80, 100):
            data = crayoncodec.encode(image, quality=90, color_quality=quality)
            decoded = crayoncodec.decode(data, color="guided")
            found.append((len(data), -metrics.compare(image, decoded).ab_mse))
        assert found == sorted(found)

    def test_steps_fall(self):
        steps = [pixel_step(quality) for quality in range(101)]
        assert steps == sorted(steps, reverse=True)
        assert (steps[0], steps[100]) == (128, 1)

    @pytest.mark.parametrize(("quick", "slow", "decoder"), [(1, 5, "guided"), (5, 7, "neural")])
    def test_effort_lowers_the_error_of_soft_texture(self, quick, slow, decoder, monkeypatch):
        """Where all go equally deep, bits have no price, and the network is said to be closer."""
        monkeypatch.setattr(nested, "PRICE", 0.0)
        monkeypatch.setattr(closer, "network_is", lambda *_: True)
        noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, (240, 320, 3)), (0, 0), 1.5)
        image = np.clip(photo(240, 320) + noise, 0, 255).astype(np.uint8)
        sizes, errors = [], []
        for effort in (quick, slow):
            data = crayoncodec.encode(image, color_quality=70, effort=effort, lightness="webp")
            sizes.append(sum(chunk.size for chunk in crayoncodec.info(data).chunks if chunk.type == "GRID"))
            errors.append(metrics.compare(image, crayoncodec.decode(data, color=decoder)).ab_mse)
        assert errors[1] < 0.98 * errors[0]
        assert sizes[1] < 1.06 * sizes[0]

    @pytest.mark.parametrize("largest", [2.0, 3.0])
    def test_largest_error(self, largest):
        image = photo(90, 120)
        data = crayoncodec.encode(image, max_delta_e=largest)
        found = metrics.compare(image, crayoncodec.decode(data, color="guided")).ciede2000_p95
        assert found <= largest
        assert len(crayoncodec.encode(image, max_delta_e=12)) < len(data)

    def test_an_error_that_cannot_be_had(self):
        with pytest.warns(crayoncodec.CrayWarning, match=r"no quality brings CIEDE2000 down to 0.001"):
            data = crayoncodec.encode(photo(40, 40), max_delta_e=0.001)
        assert crayoncodec.info(data).lightness_quality == 100

    def test_transparent_pixels_do_not_count(self):
        image = np.dstack([photo(60, 60), np.full((60, 60), 255, np.uint8)])
        image[:30, :, :3] = np.random.default_rng(0).integers(0, 256, (30, 60, 3))
        hidden = image.copy()
        hidden[:30, :, 3] = 0
        sizes = [
            sum(chunk.size for chunk in crayoncodec.info(data).chunks if chunk.type == "GRID")
            for data in (crayoncodec.encode(each, max_delta_e=12) for each in (hidden, image))
        ]
        assert sizes[0] < sizes[1] / 2

    @pytest.mark.parametrize("size", [1200, 3000, 9000])
    def test_target_size(self, size):
        image = photo(150, 200)
        data = crayoncodec.encode(image, target_size=size, exif=b"II*\0")
        assert len(data) <= size
        assert len(data) > 0.9 * size or crayoncodec.info(data).lightness_quality == 100
        assert crayoncodec.info(data).metadata == ("exif",)

    def test_a_target_that_is_too_small(self):
        image = photo(150, 200)
        with pytest.raises(
            crayoncodec.ImageError, match=r"cannot have 150 bytes, expected at least \d+"
        ) as said:
            crayoncodec.encode(image, target_size=150)
        least = int(str(said.value).split()[-1])
        assert least - len(crayoncodec.encode(image, target_size=least)) in (0, PAINTING_SIZE)

    def test_grey_pictures_have_no_colour_to_pay_for(self):
        grey = photo(80, 80)[..., 0]
        for options in ({}, {"max_delta_e": 3.0}, {"target_size": 1500}):
            data = crayoncodec.encode(grey, **options)
            assert crayoncodec.info(data).grids == ()

    def test_levels_of_a_file(self):
        image = photo(150, 200)
        data = crayoncodec.encode(image)
        errors = [
            metrics.compare(image, crayoncodec.decode(data, color="guided", levels=levels)).ab_mse
            for levels in (1, 4, 7)
        ]
        assert errors == sorted(errors, reverse=True)
        with pytest.raises(ValueError, match="levels is 0, expected 1 or more"):
            crayoncodec.decode(data, levels=0)
