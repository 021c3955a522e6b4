"""Means of AB straight from RGB are those of the formulas, and the same in C and NumPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo

from crayoncodec.color import cielab, grid, means
from crayoncodec.machine import kernels, lab


def drawn(seed, height, width):
    """Half of it dark, where the formulas bend most."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rgb[::2] //= 16
    return rgb


@pytest.mark.parametrize("spacing", [1, 2, 3, 4, 20, 300])
def test_they_are_those_of_ab(spacing, arithmetic):
    for rgb in (
        drawn(0, 130, 170),
        photo(61, 83),
        np.full((2, 3, 3), 255, np.uint8),
        np.zeros((5, 1, 3), np.uint8),
    ):
        expected = grid.reduce_to_cells(cielab.rgb_to_lab(rgb)[1], spacing, "mean")
        found = means.mean_ab(rgb, spacing)
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 0.005


@pytest.mark.skipif(not kernels.are_there(), reason="the kernels were not built")
@given(
    seed=st.integers(0, 99), height=st.integers(1, 40), width=st.integers(1, 40), spacing=st.integers(1, 45)
)
@settings(deadline=None)
def test_the_kernel_sums_what_numpy_makes(seed, height, width, spacing):
    rgb = drawn(seed, height, width)
    differences = means._differences(rgb).astype(np.int64)
    expected = np.add.reduceat(
        np.add.reduceat(differences, range(0, height, spacing), axis=1), range(0, width, spacing), axis=2
    )
    assert np.array_equal(lab.to_sums(means._ratios(), means._roots(), rgb, spacing), expected)
    wide = np.zeros((height, width + 3, 3), np.uint8)
    wide[:, 2:-1] = rgb
    part = lab.to_sums(means._ratios(), means._roots(), wide[:, 2:-1], spacing)
    assert np.array_equal(part, expected)


def test_c_and_numpy_give_the_same_samples(monkeypatch, four_threads):
    rgb = drawn(1, 201, 333)
    found = [means.mean_ab(rgb, spacing) for spacing in (1, 2, 4, 7)]
    monkeypatch.setattr("crayoncodec.machine.kernels.version", lambda: None)
    assert all(np.array_equal(a, means.mean_ab(rgb, n)) for a, n in zip(found, (1, 2, 4, 7), strict=True))


def test_greys_have_no_chroma(arithmetic):
    greys = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    assert np.abs(means.mean_ab(greys, 1)).max() < 1e-3


def test_no_root_is_near_a_half():
    """So that they are the same whatever library computes cube roots, to a few last bits."""
    for step, root in enumerate(means._roots().tolist()):
        twice = Fraction(2 * root - 1, 2**24), Fraction(2 * root + 1, 2**24)
        margin = Fraction(1, 2**46)
        if step / 4096 > (6 / 29) ** 3:
            assert (twice[0] + margin) ** 3 < Fraction(step, 4096) < (twice[1] - margin) ** 3
        else:
            f = Fraction(step, 4096) * Fraction(841, 108) + Fraction(4, 29)
            assert twice[0] + margin < f < twice[1] - margin


@pytest.mark.skipif(not kernels.are_there(), reason="the kernels were not built")
def test_what_does_not_fit_is_refused():
    rgb, ratios, roots = drawn(0, 5, 6), means._ratios(), means._roots()
    for arguments in (
        (ratios[:2], roots, rgb, 2),
        (ratios, roots[1:], rgb, 2),
        (ratios, roots, rgb[..., :2], 2),
    ):
        with pytest.raises(ValueError, match="expected"):
            lab.to_sums(*arguments)
    with pytest.raises(ValueError, match="out of range"):
        lab.to_sums(ratios, roots, rgb, 65536)
