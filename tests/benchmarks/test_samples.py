"""The suite ``samples``: bytes that a decoder could use, and experiments that do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invoked import invoke
from pictures import photo

import crayoncodec
from benchmarks.measuring import distortion, results
from benchmarks.suites import chosen, samples, segments
from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid
from crayoncodec.color.guided import guided_upsample


def lightness_of(rgb):
    return cielab.lightness_to_u8(cielab.rgb_to_lab(rgb)[0])


@given(data=st.data(), blocks=st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_extra_samples_come_back(data, blocks):
    places = sorted(data.draw(st.sets(st.integers(0, blocks - 1), max_size=60)))
    level = st.integers(-42, 42)
    values = data.draw(st.lists(st.tuples(level, level), min_size=len(places), max_size=len(places)))
    extra = chosen.Extra(np.array(places, np.int64), np.array(values, np.int16).reshape(-1, 2).T)
    back = chosen.decode(chosen.encode(extra, blocks), blocks)
    assert np.array_equal(back.blocks, extra.blocks)
    assert np.array_equal(back.samples, extra.samples)


def test_places_cost_what_their_number_implies():
    rng = np.random.default_rng(0)
    places = np.sort(rng.choice(10_000, 300, replace=False))
    extra = chosen.Extra(places, np.zeros((2, 300), np.int16))
    share = 300 / 10_000
    bits = -10_000 * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert len(chosen.encode(extra, 10_000)) < bits / 8 + 80


def test_a_small_red_thing_that_the_grid_missed_is_found():
    lightness = np.full((80, 96), 50.0, np.float32)
    lightness[41:47, 53:59] = 80
    ab = np.zeros((2, 80, 96), np.float32)
    ab[0, 41:47, 53:59] = 60
    plane = cielab.lightness_to_u8(lightness)
    base = guided_upsample(sample_grid(ab, 40), lightness)
    kernels = chosen.Kernels(plane, 12)
    extra = chosen.choose(ab - base, kernels, 2000)
    assert 1 <= extra.blocks.size <= 6
    rows, columns = (middle[extra.blocks] for middle in kernels.middles)
    assert (np.abs(rows - 44) <= 12).all()
    assert (np.abs(columns - 56) <= 12).all()
    left = np.square(ab - base - kernels.painted(extra)).sum()
    assert left < 0.7 * np.square(ab - base).sum()


def test_nothing_is_chosen_where_nothing_is_missed():
    kernels = chosen.Kernels(np.full((30, 50), 128, np.uint8), 20)
    extra = chosen.choose(np.zeros((2, 30, 50), np.float32), kernels, 100)
    assert extra.blocks.size == 0
    assert not kernels.painted(chosen.decode(chosen.encode(extra, kernels.blocks), kernels.blocks)).any()


@pytest.mark.parametrize("segmented", [segments.felzenszwalb, segments.slic])
@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (64, 48)])
def test_segments_come_back_from_lightness_and_bytes_alone(segmented, shape):
    pytest.importorskip("skimage")
    rgb = photo(*shape)
    plane = lightness_of(rgb)
    _, ab = cielab.rgb_to_lab(rgb)
    labels = segmented(plane, 9)
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    means = segments.means(ab, labels)
    data, coder = segments.encode(means, labels)
    back = segments.decode(data, coder, segmented(plane, 9))
    assert np.array_equal(back, means)
    flat = segments.flat(back, labels)
    for label in range(labels.max() + 1):
        assert (
            np.abs(flat[:, labels == label].mean(axis=1) - ab[:, labels == label].mean(axis=1)).max() <= 0.51
        )
    assert segments.filtered(flat, plane, 9).shape == flat.shape


def test_segments_are_of_about_the_wanted_size():
    pytest.importorskip("skimage")
    plane = lightness_of(photo(160, 160))
    for segmented in (segments.felzenszwalb, segments.slic):
        assert 0.25 < (segmented(plane, 16).max() + 1) / 100 < 4


@pytest.mark.parametrize("codec", [samples.ONE_GRID, samples.COMPACT])
def test_one_grid_is_what_the_product_writes_and_shows(codec):
    rgb = photo(72, 96)
    data = crayoncodec.encode(rgb, n=10, quality=80, lightness="avif")
    found = samples.measure(codec, "n=10", rgb)
    (grid,) = [chunk.size for chunk in crayoncodec.info(data).chunks if chunk.type == "GRID"]
    assert found["color_bytes"] == grid
    color = "guided" if codec == samples.ONE_GRID else "neural"
    shown = distortion.of_color(rgb, crayoncodec.decode(data, color=color, device="cpu"))
    assert found["ab_mse"] == pytest.approx(shown["ab_mse"])
    if codec == samples.ONE_GRID:
        assert found["ratio"] == len(data) / rgb.size
        lossless = crayoncodec.encode(rgb, n=10, lossless=True, lightness="webp")
        assert found["lossless_ratio"] == len(lossless) / rgb.size


def test_every_kind_is_measured_and_shown(photos, tmp_path):
    pytest.importorskip("skimage")
    out = tmp_path / "x.json"
    invoke("run", photos(1, 64, 72), "--out", out, "--suite", "samples", "--jobs", 1)
    found = results.load(out)
    assert not list(found.holes("samples"))
    assert found.mean("samples", samples.NO_COLOR, "n=0", "color_bytes") == 0
    for codec in found.codecs("samples"):
        sizes = [found.mean("samples", codec, s, "color_bytes") for s in found.settings("samples", codec)]
        assert sizes == sorted(sizes, reverse=sizes[0] > sizes[-1])
    page = invoke("report", out).stdout
    for title in ("Colour stored in other ways", "What samples are worth", "Equation 1 in bytes"):
        assert f"## {title}" in page
