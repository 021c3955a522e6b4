"""Pictures that are decoded smaller: their sizes, lightness and colours, and what is left undone for them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo

import crayoncodec
from crayoncodec.codec import Decoder
from crayoncodec.color.cielab import lightness_to_u8, rgb_to_lab
from crayoncodec.color.geometry import SCALES
from crayoncodec.color.grid import reduce_to_cells
from crayoncodec.color.srgb import lab_to_rgb, shades
from crayoncodec.format import container, decoding, nested
from crayoncodec.painting import reduced

SMALLER = SCALES[1:]
KINDS = {
    "nested": {},
    "nested, fine": {"quality": 95},
    "nested, coarse": {"color_quality": 10},
    "WebP": {"lightness": "webp"},
    "zstd": {"lossless": True, "lightness": "zstd"},
    **{f"n = {n}": {"n": n} for n in (1, 2, 3, 6, 8, 20, 40)},
    "n = 16, points": {"n": 16, "sampling": "point"},
    "n = 12, points": {"n": 12, "sampling": "point"},
}
kinds = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)


@pytest.fixture(scope="module")
def files():
    """What options encode of one picture, each once."""
    image, made = photo(213, 330), {}

    def file(**options):
        key = tuple(options.items())
        if key not in made:
            made[key] = crayoncodec.encode(image, **options)
        return made[key]

    return file


def planes(data, levels=None):
    file = container.unpack(data)
    lightness = decoding.decode_lightness(file)
    return lightness, decoding.decode_grid(file, lightness, levels)


def off(found, expected):
    """Mean distance in AB of two pictures."""
    return np.hypot(*(rgb_to_lab(found)[1] - rgb_to_lab(expected)[1])).mean()


@settings(deadline=None, max_examples=60)
@given(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.sampled_from(SMALLER), st.integers(0, 2**32 - 1))
def test_means_are_the_nearest_integers(shape, scale, seed):
    plane = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    exact = reduce_to_cells(plane.astype(np.float32), scale, "mean").astype(np.float64)
    found = reduced.means(plane, scale)
    assert found.dtype == np.uint8
    assert found.shape == tuple(-(-side // scale) for side in shape)
    assert np.abs(found - exact).max() <= 2 / 3 + 1e-4
    whole = tuple(slice(side // scale) for side in shape)
    assert np.array_equal(found[whole], np.floor(exact[whole] + 0.5))


@pytest.mark.parametrize("shape", [(1, 1), (1, 77), (50, 1), (17, 33), (16, 32), (31, 47), (3, 130)])
@pytest.mark.parametrize("options", [{}, {"n": 3}, {"n": 8, "sampling": "point"}], ids=str)
def test_sizes_are_rounded_up(shape, options):
    data = crayoncodec.encode(photo(*shape), **options)
    for scale in SCALES:
        height, width = (-(-side // scale) for side in shape)
        assert crayoncodec.decode(data, scale=scale, color="guided").shape == (height, width, 3)


@kinds
@pytest.mark.parametrize("scale", SMALLER)
def test_it_is_the_whole_picture_reduced(files, options, scale):
    data = files(**options)
    whole, found = crayoncodec.decode(data, color="guided"), crayoncodec.decode(data, scale=scale)
    lightness, ab = (reduce_to_cells(plane, scale, "mean") for plane in rgb_to_lab(whole))
    expected = lab_to_rgb(lightness_to_u8(lightness), ab)
    # What rounding L* and RGB, and clipping, may do to one of the two.
    assert np.abs(rgb_to_lab(found)[0] - lightness).max() < 0.8
    assert off(found, expected) < 0.5
    assert off(np.roll(found, 1, axis=1), expected) > 1.0  # which a bound like that finds


@pytest.mark.parametrize("scale", SMALLER)
def test_cells_that_fit_are_the_colours(files, scale):
    data = files()
    lightness, grid = planes(data, container.unpack(data).levels_to(scale))
    assert grid.spacing == scale
    expected = lab_to_rgb(reduced.means(lightness, scale), grid.ab())
    assert np.array_equal(crayoncodec.decode(data, scale=scale), expected)


def test_finer_levels_are_not_decoded(files, monkeypatch):
    found = []

    def decode(*arguments):
        samples, spacing = nested_decode(*arguments)
        found.append(spacing)
        return samples, spacing

    nested_decode = nested.decode
    monkeypatch.setattr(nested, "decode", decode)
    for scale in SCALES:
        crayoncodec.decode(files(quality=95), scale=scale, color="guided")
        crayoncodec.decode(files(color_quality=10), scale=scale, color="guided")
    crayoncodec.decode(files(), scale=4, levels=2)
    coarse = planes(files(color_quality=10))[1].spacing
    assert coarse > 2
    assert found == [
        spacing for scale in SCALES for spacing in (scale, max(scale, coarse))
    ] + [64, coarse]  # fmt: skip


def test_levels_that_a_file_could_have():
    file = container.unpack(crayoncodec.encode(photo(20, 30)))
    assert [file.levels_to(spacing) for spacing in (256, 128, 64, 16, 2, 1)] == [1, 1, 2, 4, 7, 8]


@pytest.mark.parametrize("scale", SMALLER)
def test_grey_and_alpha(scale):
    rgba = np.dstack([photo(45, 70), photo(45, 70, seed=3)[..., 0]])
    found = crayoncodec.decode(crayoncodec.encode(rgba), scale=scale)
    assert np.array_equal(found[..., 3], reduced.means(rgba[..., 3], scale))
    data = crayoncodec.encode(rgba[..., 0])
    gray = shades(reduced.means(planes(data)[0], scale))
    assert np.array_equal(crayoncodec.decode(data, scale=scale), gray)
    colored = crayoncodec.encode(photo(45, 70))
    gray = shades(reduced.means(planes(colored)[0], scale))
    assert np.array_equal(crayoncodec.decode(colored, scale=scale, color="gray"), gray)


@pytest.mark.parametrize("options", [{}, {"n": 6}, {"color_quality": 10}], ids=str)
@pytest.mark.usefixtures("four_threads")
def test_any_number_of_threads_gives_the_same(files, options):
    by_four = crayoncodec.decode(files(**options), scale=4)
    cv2.setNumThreads(1)
    assert np.array_equal(crayoncodec.decode(files(**options), scale=4), by_four)


def test_no_network_is_loaded(files, monkeypatch):
    monkeypatch.setattr(Decoder, "network", lambda *_: pytest.fail("a network was asked for"))
    for options in ({}, {"color_quality": 10}, {"n": 20}):
        for scale in SMALLER:
            crayoncodec.decode(files(**options), scale=scale)
