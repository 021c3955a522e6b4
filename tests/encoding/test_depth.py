"""How deep levels go: a picture's fine colours get them, soft ones do not, on every machine the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo

import crayoncodec
from crayoncodec.encoding import depth
from crayoncodec.encoding.fitting import Smaller, fit_nested
from crayoncodec.machine import threads


def painted(colors: np.ndarray) -> np.ndarray:
    """a* and b* f32[2,H,W] at one lightness, as sRGB."""
    lab = np.dstack([np.full(colors.shape[1:], 60, np.float32), *colors.astype(np.float32)])
    return (cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255).round().astype(np.uint8)


def woven(height: int, width: int) -> np.ndarray:
    """Threads of two colours, 2 pixels wide, that lightness says nothing of."""
    y, x = np.mgrid[:height, :width] // 2
    return painted(np.stack([30.0 * ((x + y) % 2) - 15, 20.0 * (x % 2) - 10]))


def soft(height: int, width: int) -> np.ndarray:
    """Colours that change slowly, as does lightness."""
    y, x = np.mgrid[:height, :width] / 20
    return painted(np.stack([25 * np.sin(x), 25 * np.cos(y)]))


def finest(image: np.ndarray, **options: object) -> int:
    """Beside AVIF, with which nothing is coded as a drawing."""
    return crayoncodec.info(crayoncodec.encode(image, lightness="avif", **options)).grids[-1].n


@pytest.mark.parametrize(("quality", "fine", "smooth"), [(0, 4, 4), (40, 2, 4), (60, 2, 4), (80, 2, 4)])
def test_fine_colors_get_a_level_that_soft_ones_do_not(quality, fine, smooth):
    assert finest(woven(96, 120), quality=quality) == fine
    assert finest(soft(96, 120), quality=quality) == smooth


def test_a_small_part_with_fine_colors_is_enough():
    image = soft(128, 128)
    image[:32, :32] = woven(32, 32)
    assert finest(image, quality=60) == 2


def test_every_pixel_gets_a_sample_where_colors_are_finer_still_and_steps_small():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert [finest(noise, quality=quality) for quality in (80, 95)] == [2, 1]


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1), (3, 5)])
def test_any_shape_has_a_depth(shape):
    rng = np.random.default_rng(0)
    assert finest(rng.integers(0, 256, (*shape, 3), np.uint8), quality=80) in (2, 4)


def test_a_line_of_fine_colors_gets_a_level():
    assert finest(woven(1, 80), quality=60) == 2


def test_hidden_pixels_do_not_deserve_a_level():
    image = np.dstack([soft(64, 64), np.full((64, 64), 255, np.uint8)])
    image[20:40, 20:40, :3] = woven(20, 20)
    image[18:42, 18:42, 3] = 0
    assert finest(image, quality=60) == 4


@pytest.mark.parametrize("effort", [1, 4])
def test_quick_encoders_go_by_the_step_alone(effort):
    for image in (woven(64, 64), soft(64, 64)):
        assert [finest(image, quality=q, effort=effort) for q in (60, 80, 95)] == [4, 2, 1]


def test_files_are_the_same_whatever_computes_them(arithmetic, monkeypatch):
    """With kernels and with NumPy; the first of the runs says what is right."""
    image = np.vstack([woven(80, 150), photo(160, 150)])
    files = set()
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        files.add(crayoncodec.encode(image, quality=55, lightness="webp"))
    assert len(files) == 1
    assert _FOUND.setdefault("file", files) == files


_FOUND: dict[str, set[bytes]] = {}


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.floats(0.2, 30))
def test_it_is_the_mean_excess_of_details_over_a_step(height, width, seed, step):
    """Classes are a quarter of an octave wide, so that what they give is within 13 % of the squares."""
    missing = np.random.default_rng(seed).normal(0, 4, (2, height, width)).astype(np.float32)
    even = np.pad(missing, [(0, 0), (0, height % 2), (0, width % 2)], mode="edge").astype(np.float64)
    a, b, c, d = even[:, ::2, ::2], even[:, ::2, 1::2], even[:, 1::2, ::2], even[:, 1::2, 1::2]
    squares = np.square(np.stack([a - b + c - d, a + b - c - d, a - b - c + d]) / 2)
    counts = depth.tally(missing)
    assert counts.sum() == squares.size
    low, high = (np.maximum(squares * k / step**2 - 1, 0).mean() > 0.002 for k in (0.87, 1.13))
    assert low <= depth.pays(counts, step) <= high


def test_the_tally_is_of_what_cells_lack():
    rng = np.random.default_rng(0)
    cells = rng.normal(0, 20, (2, 150, 40)).astype(np.float32)
    flat = np.full((300, 80), 50, np.float32)
    fine = rng.normal(0, 20, (2, 300, 80)).astype(np.float32)
    found = fit_nested(cells, lambda rows: Smaller(flat[rows], fine[:, rows], None)).lacking
    assert found.sum() == 6 * 150 * 40
