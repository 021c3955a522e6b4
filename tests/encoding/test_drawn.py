"""Drawings: kept exactly, in fewer bytes than otherwise, and photographs are not taken for them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import chart, photo
from PIL import Image, ImageDraw

import crayoncodec
from crayoncodec.color import cielab
from crayoncodec.encoding import drawn, metrics
from crayoncodec.format import container, decoding, palette


def coders(data: bytes) -> tuple[str, list[str]]:
    info = crayoncodec.info(data)
    return info.lightness_coder, [grid.coder for grid in info.grids]


@pytest.mark.parametrize(
    "options", [{}, {"quality": 95}, {"color_quality": 100}, {"max_delta_e": 1.0}, {"lossless": True}]
)
def test_a_drawing_is_kept_exactly_in_fewer_bytes(options):
    image = chart()
    data = crayoncodec.encode(image, **options)
    assert coders(data) == ("webp", ["palette"])
    quick = crayoncodec.encode(image, effort=4, **options)
    assert len(data) < 0.8 * len(quick)
    found = metrics.compare(image, crayoncodec.decode(data))
    assert found.ciede2000_mean < 0.1
    assert found.ab_mse < metrics.compare(image, crayoncodec.decode(quick)).ab_mse
    plane = decoding.decode_lightness(container.unpack(data))
    assert np.array_equal(plane, cielab.stored_lightness(image))


@pytest.mark.parametrize("color", ["auto", "guided", "neural"])
def test_all_ways_of_painting_show_the_same(color):
    data = crayoncodec.encode(chart())
    assert np.array_equal(crayoncodec.decode(data, color=color), crayoncodec.decode(data, color="guided"))


def test_it_is_told_another_way():
    assert coders(crayoncodec.encode(chart(), lightness="avif"))[1] == ["nested"] * 7
    assert coders(crayoncodec.encode(chart(), effort=4))[1] == ["nested"] * 7
    assert coders(crayoncodec.encode(chart(), n=4))[1] != ["palette"]


def test_an_exact_file_may_take_an_eighth_more(monkeypatch):
    image = chart()
    exact, lossy = (len(crayoncodec.encode(image, **options)) for options in ({}, {"lightness": "avif"}))
    for worth, taken in ((1.001, True), (0.999, False)):
        monkeypatch.setattr(drawn, "EXACT_IS_WORTH", worth * exact / lossy)
        assert (coders(crayoncodec.encode(image))[1] == ["palette"]) == taken


def test_a_target_size_is_kept():
    image = chart()
    exact = crayoncodec.encode(image)
    assert crayoncodec.encode(image, target_size=len(exact)) == exact
    smaller = crayoncodec.encode(image, target_size=len(exact) - 1)
    assert len(smaller) < len(exact)
    assert coders(smaller)[1] != ["palette"]


def test_a_grey_drawing():
    grey = chart()[..., 1]
    data = crayoncodec.encode(grey)
    assert coders(data) == ("webp", [])
    assert np.abs(crayoncodec.decode(data)[..., 0].astype(int) - grey).max() <= 1


def test_transparent_drawings():
    image = np.dstack([chart(), np.full((120, 160), 255, np.uint8)])
    image[:40, :40, 3] = 0
    data = crayoncodec.encode(image)
    assert coders(data)[1] == ["palette"]
    assert np.array_equal(crayoncodec.decode(data)[..., 3], image[..., 3])


def test_files_are_the_same_whatever_computes_them(arithmetic):
    """With kernels and with NumPy; the first of the runs says what is right."""
    data = crayoncodec.encode(chart())
    assert _FOUND.setdefault("file", data) == data


_FOUND: dict[str, bytes] = {}


@pytest.mark.parametrize("scale", [2, 16])
def test_reduced(scale):
    data = crayoncodec.encode(chart())
    assert crayoncodec.decode(data, scale=scale).shape == (-(-120 // scale), -(-160 // scale), 3)


def test_photographs_are_none():
    assert not drawn.is_drawn(photo(90, 120))
    assert drawn.is_drawn(chart())


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5)])
def test_any_shape(shape):
    image = np.full((*shape, 3), (200, 30, 40), np.uint8)
    found = crayoncodec.decode(crayoncodec.encode(image))
    assert np.abs(found.astype(int) - image).max() <= 4


def test_too_many_colors_have_no_palette():
    y, x = np.mgrid[:256, :257]
    assert drawn.drawing_of(np.stack([y, x % 256, x // 256 * 255], -1).astype(np.uint8)) is None
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3), -1).reshape(1, -1, 3).astype(np.uint8)
    alike = cube[cielab.stored_lightness(cube) == 128][None]
    assert alike.shape[1] > palette.MOST_ALIKE
    assert drawn.drawing_of(alike) is None
    assert drawn.drawing_of(alike[:, : palette.MOST_ALIKE]) is not None


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_a_palette_has_the_colors_of_a_picture(height, width, count, seed):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (count, 3), dtype=np.uint8)[rng.integers(0, count, (height, width))]
    colors, indices, step = drawn.drawing_of(rgb)
    there = len(np.unique(rgb.reshape(-1, 3), axis=0))
    assert step == (1 / 16 if there <= 256 else 1 / 2)
    assert len(colors.lightness) <= there
    found = palette.decode(palette.encode(colors, indices), cielab.stored_lightness(rgb), "grid")
    assert np.abs(found * step - cielab.rgb_to_lab(rgb)[1]).max() <= step / 2 + 0.01


def test_two_colors_take_fewer_bytes_than_in_avif():
    """Red lines on white took eight times AVIF's bytes once, at a CIEDE2000 of 4."""
    image = Image.new("RGB", (256, 192), "white")
    for x in range(8, 256, 16):
        ImageDraw.Draw(image).line([(x, 8), (x, 183)], fill=(255, 0, 0), width=2)
    data = crayoncodec.encode(image)
    stream = io.BytesIO()
    image.save(stream, "AVIF", quality=80, subsampling="4:4:4")
    assert len(data) < len(stream.getvalue())
    assert np.abs(crayoncodec.decode(data).astype(int) - np.asarray(image)).max() <= 1
