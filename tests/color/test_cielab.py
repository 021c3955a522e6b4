"""Colour agrees with the formulas of docs/format.md, section 2."""

from __future__ import annotations

import numpy as np
from skimage.color import rgb2lab

from crayoncodec.color import cielab

CUBE = np.stack(np.meshgrid(*[np.arange(0, 256, 15, np.uint8)] * 3, indexing="ij"), axis=-1).reshape(1, -1, 3)


def formulas(rgb):
    """Section 2, word for word, in float64."""
    v = rgb / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = linear @ matrix.T / np.array([0.9505, 1, 1.0890])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return 116 * y - 16, np.stack([500 * (x - y), 200 * (y - z)])


def test_lab_is_that_of_the_formulas():
    lightness, ab = cielab.rgb_to_lab(CUBE)
    true_lightness, true_ab = formulas(CUBE)
    assert np.abs(lightness - true_lightness).max() < 0.001
    assert np.abs(ab - true_ab).max() < 0.001


def test_lab_agrees_with_scikit_image():
    reference = rgb2lab(CUBE)
    lightness, ab = cielab.rgb_to_lab(CUBE)
    assert np.abs(lightness - reference[..., 0]).max() < 0.05
    assert np.abs(np.moveaxis(ab, 0, -1) - reference[..., 1:]).max() < 0.05


def test_greys_have_no_chroma():
    greys = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    _, ab = cielab.rgb_to_lab(greys)
    assert np.abs(ab).max() < 1e-3


def test_stored_lightness_is_rounded_as_specified(arithmetic):
    lightness, _ = cielab.rgb_to_lab(CUBE)
    scaled = formulas(CUBE)[0] * 255 / 100
    assert np.array_equal(cielab.stored_lightness(CUBE), np.floor(scaled + 0.5))
    assert np.abs(cielab.lightness_to_u8(lightness) - scaled).max() <= 0.5 + 1e-3
    assert cielab.lightness_from_u8(np.array([[0, 255]], np.uint8)).tolist() == [[0, 100]]


def test_stored_lightness_is_exact_for_nearly_all_colours(arithmetic):
    """A sixteenth of all colours; where float64 is within 1e-7 of a half either is right."""
    rgb = np.stack(np.meshgrid(np.arange(0, 256, 16), *[np.arange(256)] * 2, indexing="ij"), axis=-1)
    rgb = rgb.astype(np.uint8).reshape(-1, 256, 3)
    scaled = formulas(rgb)[0] * 255 / 100
    differing = cielab.stored_lightness(rgb) != np.floor(scaled + 0.5)
    assert np.abs(scaled[differing] % 1 - 0.5).max(initial=0) < 1e-6


def test_lightness_of_parts_in_threads_is_that_of_the_whole(arithmetic, four_threads):
    rgb = np.random.default_rng(0).integers(0, 256, (150, 70, 3), dtype=np.uint8)
    expected = np.floor(formulas(rgb)[0] * 255 / 100 + 0.5)
    assert np.array_equal(cielab.stored_lightness(rgb), expected)
    assert np.array_equal(cielab.stored_lightness(rgb[3:, 5:60]), expected[3:, 5:60])
    assert np.array_equal(cielab.stored_lightness(rgb[..., ::-1][..., ::-1]), expected)
    assert np.array_equal(cielab.stored_lightness(rgb.transpose(1, 0, 2)), expected.T)
