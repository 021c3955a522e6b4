"""CIELAB to RGB is that of docs/format.md, section 7, to the bit, and that of section 2 to a last bit."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo

from crayoncodec.color import cielab, srgb
from crayoncodec.machine import kernels, lab

CUBE = np.stack(np.meshgrid(*[np.arange(0, 256, 15, np.uint8)] * 3, indexing="ij"), axis=-1).reshape(1, -1, 3)
RGB_TO_XYZ = [[4124, 3576, 1805], [2126, 7152, 722], [193, 1192, 9505]]
THRESHOLDS = srgb.thresholds()
TO_LINEAR = [[9208016, -4595341, -1623268], [-2753151, 5607399, 135159], [158297, -609902, 3441012]]


def in_whole_numbers(v, a, b):
    """Section 7, word for word, of one colour."""

    def divided(number, power):
        return (number + 2 ** (power - 1)) // 2**power

    def t(f):
        g = max(f, 1224000)
        return divided(divided(g * g, 20) * g, 21) - divided(2143158 * max(1224000 - f, 0), 20)

    def linear(k):
        y = 4000 * (5 * v + 204)
        x, z = y + divided(1479 * a * k, 15), y - divided(7395 * b * k, 16)
        return [divided(sum(m * t(f) for m, f in zip(row, (x, y, z), strict=True)), 24) for row in TO_LINEAR]

    def fits(k):
        found = linear(k)
        red, green, blue = (min(max(c, 0), 2**24) for c in found)
        near = all(-335544 <= c <= 18454937 for c in found)
        least, most = (divided(2989407 * t(4000 * (5 * v + 204) + c), 24) for c in (-51000, 51000))
        return near and 10000 * least <= 2126 * red + 7152 * green + 722 * blue <= 10000 * most

    k = next((k for k in range(1024, 0, -64) if fits(k)), 0)
    if k < 1024:
        for step in (32, 16, 8, 4, 2, 1):
            k += step * fits(k + step)
    return [sum(c >= threshold for threshold in THRESHOLDS) for c in linear(k)]


def ways():
    """NumPy, and every version of the kernels."""
    if not kernels.are_there():
        return [None]
    from crayoncodec.machine import _native

    return [None, *range(_native.best_version() + 1)]


def painted(way, lightness, ab):
    rgb = np.full((*lightness.shape, 3), 77, np.uint8)
    if way is None:
        srgb._compute(lightness, ab, rgb)
    else:
        lab.to_rgb(srgb._tables(), lightness, ab, rgb, way)
    return rgb


def drawn(seed, height, width, most):
    rng = np.random.default_rng(seed)
    ab = rng.integers(-most, most, (2, height, width), endpoint=True).astype(np.int32)
    return rng.integers(0, 256, (height, width), dtype=np.uint8), ab


@given(
    v=st.integers(0, 255),
    a=st.integers(-65535, 65535) | st.integers(-30000, 30000),
    b=st.integers(-65535, 65535) | st.integers(-30000, 30000),
)
@settings(max_examples=300, deadline=None)
def test_colours_are_those_of_the_document(v, a, b):
    expected = in_whole_numbers(v, a, b)
    lightness, ab = np.array([[v]], np.uint8), np.array([a, b], np.int32).reshape(2, 1, 1)
    for way in ways():
        assert painted(way, lightness, ab).ravel().tolist() == expected


@given(
    seed=st.integers(0, 99),
    height=st.integers(1, 5),
    width=st.integers(1, 600),
    most=st.sampled_from([0, 3000, 15000, 40000, 65535, 2**31 - 1]),
)
@settings(deadline=None)
def test_kernels_and_numpy_paint_the_same(seed, height, width, most):
    lightness, ab = drawn(seed, height, width, most)
    expected = painted(None, lightness, ab)
    for way in ways():
        assert np.array_equal(painted(way, lightness, ab), expected)
        if most <= 65535:
            assert np.array_equal(painted(way, lightness, (ab / 256).astype(np.float32)), expected)


@pytest.mark.parametrize("way", ways())
def test_floats_are_rounded_and_limited(way):
    given = [0.5, 1.5, -0.5, 2.49, 1e30, -1e30, np.inf, -np.inf, np.nan]
    whole = [0, 2, 0, 2, 65535, -65535, 65535, -65535, -65535]
    lightness = np.arange(9 * 28, dtype=np.uint8).reshape(28, 9)
    floats = np.broadcast_to(np.array(given, np.float32) / 256, (2, 28, 9))
    with np.errstate(invalid="ignore"):
        found = painted(way, lightness, floats)
    assert np.array_equal(
        found, painted(way, lightness, np.broadcast_to(np.array(whole, np.int32), (2, 28, 9)))
    )


def test_parts_of_arrays_in_threads_are_those_of_the_whole(arithmetic, four_threads):
    lightness, ab = drawn(1, 200, 90, 20000)
    expected = painted(None, lightness, ab)
    assert np.array_equal(srgb.lab_to_rgb(lightness, ab), expected)
    out = np.zeros((210, 100, 3), np.uint8)
    srgb.lab_to_rgb(lightness[20:150, 3:80], ab[:, 20:150, 3:80], out[30:160, 5:82])
    assert np.array_equal(out[30:160, 5:82], expected[20:150, 3:80])
    out[30:160, 5:82] = 0
    assert not out.any()
    turned = srgb.lab_to_rgb(lightness.T, ab.transpose(0, 2, 1).astype(np.float32) / np.float32(256))
    assert np.array_equal(turned, expected.transpose(1, 0, 2))


def test_greys_are_grey(arithmetic):
    every = np.arange(256, dtype=np.uint8)[None]
    rgb = srgb.lab_to_rgb(every, np.zeros((2, 1, 256), np.float32))
    assert (rgb == rgb[..., :1]).all()
    assert rgb[0, [0, 255], 0].tolist() == [0, 255]
    # Where lightness has steps that greys have not, it is that of the nearest.
    assert np.abs(cielab.lightness_to_u8(cielab.rgb_to_lightness(rgb)).astype(int) - every).max() <= 1
    srgb._grays.cache_clear()
    assert np.array_equal(srgb.shades(every), rgb)


def test_the_matrix_is_the_inverse_of_the_document():
    """In the units that t and linear light are in, and with equal sums."""
    ratios = [[Fraction(value, sum(row)) for value in row] for row in RGB_TO_XYZ]
    unit = Fraction(2**48 * srgb._F_UNIT**3 // 1, 2**41) / Fraction(srgb._F_UNIT**3, 2**41) ** 2
    for i, row in enumerate(srgb.MATRIX):
        product = [sum(row[k] * ratios[k][j] for k in range(3)) / unit for j in range(3)]
        assert max(abs(value - (i == j)) for j, value in enumerate(product)) < 1e-6
    assert {sum(row) for row in srgb.MATRIX} == {2989407} == {int(unit)}
    assert abs(srgb._SLOPE - Fraction(3 * srgb._KNEE**2, 2**21)) < 0.5


def test_nothing_reaches_2_to_the_53():
    extremes = [4000 * (5 * v + 204) for v in (0, 255)]
    f = max(extremes) + 65535 * 7395 // 64 + 1, min(extremes) - 65535 * 7395 // 64 - 1
    t = [int(srgb._ratio(np.array([each]))[0]) for each in f]
    assert max(f) ** 2 < 2**53
    assert (max(f) ** 2 // 2**20 + 1) * max(f) < 2**53
    assert -(2**31) < t[1] < t[0] < 2**31
    ends = max(extremes) + 65535 * 1479 // 32 + 1, max(extremes), f[0]
    most = [int(srgb._ratio(np.array([each]))[0]) for each in ends]
    for row in srgb.MATRIX:
        assert sum(abs(value) * each for value, each in zip(row, most, strict=True)) < 2**53


def test_thresholds_are_those_of_the_curve():
    with localcontext() as context:
        context.prec = 50
        for value, threshold in enumerate(THRESHOLDS, 1):
            v = (Decimal(value) - Decimal("0.5")) / 255
            linear = v / Decimal("12.92")
            if v > Decimal("0.04045"):
                linear = ((v + Decimal("0.055")) / Decimal("1.055")) ** Decimal("2.4")
            assert threshold == (linear * 2**24).to_integral_value("ROUND_CEILING")


def test_linear_light_becomes_the_number_of_thresholds_it_reaches():
    curve = srgb._tables().curve
    near = np.add.outer([-1, 0, 1], THRESHOLDS).ravel()
    linear = np.concatenate([near, np.arange(0, 2**24, 997), [0, 2**24 - 1]])
    expected = np.searchsorted(THRESHOLDS, linear, side="right")
    assert np.array_equal((curve[linear >> 12] + linear) >> 12, expected)
    assert expected.max() == 255


def test_it_is_the_formulas_to_a_last_bit(arithmetic):
    """Section 2, "Back", in float64, for what lies in the gamut: two in ten thousand differ, by 1."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (200, 1000, 3), dtype=np.uint8)
    lightness, ab = cielab.rgb_to_lab(rgb)
    plane, whole = cielab.lightness_to_u8(lightness), np.rint(ab * 256).astype(np.int32)
    y = (plane * (100 / 255) + 16) / 116
    f = np.stack([y + whole[0] / 128000, y, y - whole[1] / 51200], axis=-1)
    t = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    matrix = np.array(RGB_TO_XYZ) / 10000
    linear = (t * matrix.sum(axis=1)) @ np.linalg.inv(matrix).T
    inside = ((linear >= 0) & (linear <= 1)).all(axis=-1)
    assert inside.mean() > 0.9
    linear = linear[inside]
    values = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    differing = np.abs(srgb.lab_to_rgb(plane, whole)[inside] - np.floor(255 * values + 0.5))
    assert differing.max() <= 1
    assert differing.max(axis=-1).mean() < 3e-4


def test_rounding_lightness_moves_rgb_by_little_and_lightness_not_at_all(arithmetic):
    for rgb in (CUBE, photo(60, 80)):
        lightness, ab = cielab.rgb_to_lab(rgb)
        plane = cielab.lightness_to_u8(lightness)
        back = srgb.lab_to_rgb(plane, ab)
        assert np.abs(back.astype(int) - rgb).max() <= 4
        assert np.array_equal(cielab.lightness_to_u8(cielab.rgb_to_lab(back)[0]), plane)


def test_rounding_ab_too_leaves_saturated_colours_saturated():
    """Yellow's trap: just outside the gamut, the next colour of its hue inside has half the chroma."""
    lightness, ab = cielab.rgb_to_lab(CUBE)
    plane = cielab.lightness_to_u8(lightness)
    back = srgb.lab_to_rgb(plane, np.rint(ab))
    assert np.abs(back.astype(int) - CUBE).max() <= 25
    assert np.abs(cielab.rgb_to_lab(back)[0] - cielab.lightness_from_u8(plane)).max() < 0.4


@pytest.mark.parametrize("stretch", [1.5, 3, 3.8])
def test_colours_outside_the_gamut_nearly_keep_lightness_and_hue(stretch):
    lightness, ab = cielab.rgb_to_lab(photo(40, 50))
    plane, stretched = cielab.lightness_to_u8(lightness), ab * np.float32(stretch)
    back_lightness, back_ab = cielab.rgb_to_lab(srgb.lab_to_rgb(plane, stretched))
    assert np.abs(stretched).max() < 256  # beyond, a* and b* are limited by themselves
    assert np.abs(back_lightness - cielab.lightness_from_u8(plane)).max() < 1.5
    before, after = (np.hypot(*planes) for planes in (stretched, back_ab))
    assert (after <= before + 1).all()
    chromatic = (after > 20) & (before > 20)
    assert chromatic.any()
    cosine = (stretched * back_ab).sum(axis=0)[chromatic] / (before * after)[chromatic]
    assert np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).max() < 15


@pytest.mark.skipif(not kernels.are_there(), reason="the kernels were not built")
def test_a_version_that_errs_is_not_taken(monkeypatch):
    best, right = max(ways()[1:]), srgb._checksum(0)
    monkeypatch.setattr(srgb, "_checksum", lambda version: right + (version == best))
    srgb._right.cache_clear()
    assert srgb._version() == (best - 1 if best else None)
    monkeypatch.undo()
    srgb._right.cache_clear()
    assert srgb._version() == best


@pytest.mark.skipif(not kernels.are_there(), reason="the kernels were not built")
def test_what_does_not_fit_is_refused():
    lightness, ab = drawn(0, 6, 7, 1000)
    rgb, tables = np.empty((6, 7, 3), np.uint8), srgb._tables()
    unaligned = np.frombuffer(b"\0" * (ab.nbytes + 1), np.uint8)[1:].view(np.int32).reshape(ab.shape)
    gaps = np.empty((6, 7, 4), np.uint8)[..., :3]
    for arguments in (
        (tables, lightness, ab[:1], rgb, 0), (tables, lightness, ab[:, :5], rgb, 0),
        (tables, lightness, ab.astype(np.float64), rgb, 0), (tables, lightness, unaligned, rgb, 0),
        (tables, lightness, ab, rgb[:5], 0), (tables, lightness, ab, gaps, 0),
        (tables._replace(curve=tables.curve[1:]), lightness, ab, rgb, 0), (tables, lightness, ab, rgb, 9),
        (tables, lightness, ab, rgb[..., ::-1], 0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"expected|out of range|has gaps"):
            lab.to_rgb(*arguments)
    rgb.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        lab.to_rgb(tables, lightness, ab, rgb, 0)
