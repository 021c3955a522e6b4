"""The kernels of levels give what NumPy gives, for every version of them, and refuse what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crayoncodec.color import blocks, features, predictor
from crayoncodec.color.blocks import Compiled, Generic
from crayoncodec.color.geometry import grid_shape
from crayoncodec.color.levels import Stage
from crayoncodec.format import entropy, nested
from crayoncodec.machine import kernels, level_kernels, symbol_kernels, threads

pytestmark = pytest.mark.skipif(not kernels.are_there(), reason="the kernels were not built")


def ways():
    """NumPy, then every version of the kernels."""
    from crayoncodec.machine import _native

    return [None, *range(_native.best_version() + 1)]


def by_all(compute):
    """What ``compute`` gives, with NumPy and with every version of the kernels."""
    found = []
    for way in ways():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "version", lambda way=way: way)
            found.append(compute())
    return found


def assert_same(found):
    first, *others = found
    for other in others:
        for one, its in zip(first, other, strict=True):
            assert one.dtype == its.dtype
            assert np.array_equal(one, its)


@given(seed=st.integers(0, 99), height=st.integers(1, 70), width=st.integers(1, 300))
@settings(deadline=None, max_examples=40)
def test_pyramid(seed, height, width):
    plane = np.random.default_rng(seed).integers(0, 256, (1, height, width), np.uint8)
    assert_same(
        [array for level in found.values() for array in level]
        for found in by_all(lambda: features.pyramid(plane, 256))
    )


def test_sums_of_large_cells_do_not_overflow():
    plane = np.full((1, 3, 5), 255, np.uint8)
    for levels in by_all(lambda: features.pyramid(plane, 32768)):
        assert all((level.means == 255 * features.LIGHT).all() for level in levels.values())


@given(
    seed=st.integers(0, 999),
    height=st.integers(1, 24),
    width=st.one_of(st.integers(1, 24), st.integers(250, 700)),
    spacing=st.sampled_from([1, 2, 4, 2048]),
    step=st.sampled_from([1, 2, 31, 800, 8192, 8193, 65535]),
    largest=st.sampled_from([40, 4000, blocks.MAX_CELL]),
)
@settings(deadline=None, max_examples=60)
def test_a_level(seed, height, width, spacing, step, largest):
    """From features to children, with all of what networks are told in between."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 256, (1, height, width), np.uint8), np.zeros((1, height, width), np.uint8)
    kinds[1][:, :, width // 2 :] = 255
    shape = grid_shape(*grid_shape(height, width, spacing), 2)
    parents = rng.integers(-largest, largest + 1, (2, *shape))
    above = rng.integers(-12, 13, (6, *grid_shape(*shape, 2))).astype(np.int16) if seed % 3 else None
    symbols = rng.integers(-(2**15), 2**15, (2, 2, 3, *shape)).astype(np.int16) // rng.choice([1, 2**14])
    shifts = rng.integers(-4095, 4096, (2, 2, 3, *shape)).astype(np.int16)

    def compute():
        levels = features.pyramid(kinds[seed % 2], 2 * spacing)
        kind = blocks.kind(parents)
        assert kind is (Compiled if kernels.are_there() else Generic)
        level, given = kind.prepared(parents, above, levels, spacing, step, -3)
        yield from (level.guided, given)
        for half in range(2):
            mask = level.mask(half)
            for plane in range(2):
                if plane:
                    yield np.concatenate(level.first_plane())
                level.settle(half, plane, symbols[half, plane] * mask, shifts[half, plane])
            if half == 0:
                yield level.known()
        yield from (level.symbols, level.cells())

    assert_same(by_all(lambda: [*compute()]))


@given(seed=st.integers(0, 99), size=st.integers(0, 300), part=st.integers(1, 80))
@settings(deadline=None)
def test_symbols_are_sorted_by_spread(seed, size, part):
    rng = np.random.default_rng(seed)
    spreads, mask = rng.integers(0, 64, size, np.uint8), rng.integers(0, 4, size) > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_PART", part)
        found = by_all(lambda: entropy._groups(spreads, mask))
    decoded = rng.integers(-999, 999, int(mask.sum())).astype(np.int16)
    placed = np.zeros(size, np.int16)
    for at in range(0, decoded.size, part):
        symbol_kernels.place(found[1][0], decoded, slice(at, min(at + part, decoded.size)), placed)
    assert np.array_equal(placed[found[0][0]], decoded)
    assert not placed[~mask].any()
    for order, groups in found:
        assert np.array_equal(order, found[0][0])
        assert groups == found[0][1]


@given(
    seed=st.integers(0, 99),
    most=st.sampled_from([0, nested.PRICE, 3]),
    step=st.sampled_from([1, 9, 800, 65535]),
    spread=st.sampled_from([0.3, 3, 300, 1e6]),
)
@settings(deadline=None)
def test_encoders_choose_the_same_symbols(seed, most, step, spread):
    rng = np.random.default_rng(seed)
    shape = (3, 7, 9)
    guided = rng.integers(-9000, 9000, shape).astype(np.int32)
    shifts, spreads = rng.integers(-200, 201, shape).astype(np.int16), rng.integers(0, 64, shape, np.uint8)
    targets = 2 * guided + np.round(rng.normal(0, spread, shape), 1) * step
    stage = Stage(4, step, 0, rng.integers(0, 4, shape) > 0, guided, shifts, spreads)
    tables = nested._tables(predictor.VERSION)
    prices = (most * rng.integers(0, 3, shape[1:]) / 2).astype(np.float32)
    assert_same(by_all(lambda: [nested._chosen(stage, -3, targets, tables, prices)]))


@pytest.mark.parametrize("turn", range(64))
def test_turned_cells(turn):
    rng = np.random.default_rng(turn)
    largest = rng.choice([-65535, 65535], (2, 5, 3))
    for cells in (largest, rng.integers(-30000, 30001, (2, 41, 7)).astype(np.int32)):
        assert_same(by_all(lambda cells=cells: [nested._samples(cells, turn)]))


class TestRefusals:
    shape = level_kernels.Shape(3, 4, 5, 8)

    def prepared(self, **changes):
        given = {
            "shape": self.shape, "parents": np.zeros((2, 3, 4), np.int32), "symbols": None,
            "lightness": [np.zeros(size, np.int16) for size in ((3, 4), (5, 8), (5, 8), (9, 16))],
            "numbers": (5, 0, 0),
            "out": (np.zeros((6, 3, 4), np.int32), np.zeros((3, 4, 51), np.int8)), "rows": slice(0, 3),
        } | changes  # fmt: skip
        level_kernels.prepare(*given.values())

    @pytest.mark.parametrize(
        "changes",
        [
            {"rows": slice(0, 4)}, {"rows": slice(-1, 3)}, {"numbers": (0, 0, 0)},
            {"numbers": (70_000, 0, 0)}, {"numbers": (5, 200, 0)}, {"shape": (3, 4, 7, 8)},
            {"shape": (3, 4, 5, 9)}, {"shape": (0, 4, 0, 8)}, {"parents": np.zeros((2, 3, 3), np.int32)},
            {"symbols": np.zeros((6, 1, 2), np.int16)},
            {"lightness": [np.zeros(size, np.int16) for size in ((3, 4), (5, 8), (5, 8), (9, 14))]},
            {"lightness": [np.zeros(size, np.int16) for size in ((3, 4), (5, 8), (4, 8), (9, 16))]},
            {"out": (np.zeros((6, 3, 4), np.int32), np.zeros((3, 4, 50), np.int8))},
        ],
    )  # fmt: skip
    def test_features(self, changes):
        self.prepared()
        with pytest.raises(ValueError, match=r"out of range|bytes, expected"):
            self.prepared(**changes)

    def test_details(self):
        six, three = np.zeros((6, 3, 4), np.int16), np.zeros((3, 3, 4), np.int16)
        told = np.zeros((3, 4, 13), np.int8), np.zeros((3, 4, 6), np.int8)
        level_kernels.settle(self.shape, 5, 1, 1, (three, three), (six, six), told, slice(0, 3))
        for half, new, decoded, its, rows in (
            (2, three, six, told, slice(0, 3)), (1, six, six, told, slice(0, 3)),
            (1, three, three, told, slice(0, 3)), (1, three, six, told[::-1], slice(0, 3)),
            (1, three, six, told, slice(2, 5)),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=r"out of range|bytes, expected"):
                level_kernels.settle(self.shape, 5, half, 1, (new, new), (decoded, decoded), its, rows)

    def test_children(self):
        parents, guided = np.zeros((2, 3, 4), np.int32), np.zeros((6, 3, 4), np.int32)
        six, cells = np.zeros((6, 3, 4), np.int16), np.zeros((2, 5, 8), np.int32)
        level_kernels.children(self.shape, 5, parents, guided, (six, six), 9, cells, slice(0, 3))
        for step, out, rows in (
            (0, cells, slice(0, 3)),
            (5, cells[:, 1:].copy(), slice(0, 3)),
            (5, cells, slice(1, 4)),
        ):
            with pytest.raises(ValueError, match=r"out of range|bytes, expected"):
                level_kernels.children(self.shape, step, parents, guided, (six, six), 9, out, rows)

    def test_nothing_is_sorted_beyond_its_room(self):
        spreads, mask = np.zeros(9, np.uint8), np.ones(9, np.bool_)
        positions = np.full(12, 77, np.uint32)
        symbol_kernels.sort(spreads, mask, slice(0, 9), np.full(256, 5, np.int64), positions[:10])
        assert positions.tolist() == [77] * 5 + [0, 1, 2, 3, 4] + [77] * 2
        symbol_kernels.sort(spreads, mask, slice(0, 9), np.full(256, -5, np.int64), positions[:10])
        assert (positions[10:] == 77).all()
        with pytest.raises(ValueError, match="out of range"):
            symbol_kernels.sort(spreads, mask, slice(0, 10), np.zeros(256, np.int64), positions)
