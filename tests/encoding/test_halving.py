"""Guided details of one level as a linear map: what decoders do in whole numbers, and the transpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crayoncodec.color import cielab
from crayoncodec.color.features import COLOR, pyramid
from crayoncodec.color.refiner import continued
from crayoncodec.encoding.halving import REACH, Halving

SIDES = st.integers(1, 40)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_it_is_what_decoders_do(height, width, seed):
    rng = np.random.default_rng(seed)
    plane = rng.integers(0, 256, (height, width), np.uint8)
    shape = (2, -(-height // 2), -(-width // 2))
    cells = rng.integers(-100 * COLOR, 100 * COLOR, shape, np.int32)
    expected = continued(cells, pyramid(plane[None], 2), 2, 1) / COLOR
    halving = Halving(cielab.lightness_from_u8(plane))
    assert np.abs(halving((cells / COLOR).astype(np.float32)) - expected).max() < 0.1


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_its_transpose(height, width, seed):
    rng = np.random.default_rng(seed)
    halving = Halving(rng.uniform(0, 100, (height, width)).astype(np.float32))
    cells = rng.normal(size=(2, -(-height // 2), -(-width // 2))).astype(np.float32)
    other = rng.normal(size=(2, height, width)).astype(np.float32)
    one, two = np.vdot(halving(cells), other), np.vdot(cells, halving.adjoint(other))
    assert one == pytest.approx(two, rel=1e-4, abs=1e-2)


def test_windows_with_what_it_reaches_are_parts_of_the_whole():
    rng = np.random.default_rng(0)
    lightness = rng.uniform(0, 100, (81, 50)).astype(np.float32)
    cells, other = (rng.normal(size=(2, *shape)).astype(np.float32) for shape in ((41, 25), (81, 50)))

    def step(rows):
        pixels = slice(2 * rows.start, 2 * rows.stop)
        halving = Halving(lightness[pixels])
        return halving.adjoint(other[:, pixels] - halving(cells[:, rows]))

    part = step(slice(10 - REACH, 20 + REACH))
    assert np.array_equal(part[:, REACH:-REACH], step(slice(0, 41))[:, 10:20])
