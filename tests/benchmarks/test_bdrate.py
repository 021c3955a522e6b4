"""BD-rates, by a second implementation and by what they mean."""

from __future__ import annotations

import pytest

from benchmarks.tables.bdrate import bd_rate

RATES = [(0.1, 30.0), (0.2, 33.0), (0.4, 36.5), (0.9, 40.0), (1.7, 43.0)]
OTHERS = [(0.12, 31.0), (0.2, 34.0), (0.5, 38.0), (1.0, 42.5)]


class TestBdRate:
    def test_as_the_bjontegaard_package_has_it(self):
        bjontegaard = pytest.importorskip("bjontegaard", reason="the second implementation is not installed")
        (r1, q1), (r2, q2) = zip(*RATES, strict=True), zip(*OTHERS, strict=True)
        theirs = bjontegaard.bd_rate(r1, q1, r2, q2, "pchip", require_matching_points=False, min_overlap=0)
        assert bd_rate(RATES, OTHERS) == pytest.approx(theirs / 100, abs=1e-9)

    def test_a_curve_with_half_the_rate_everywhere(self):
        half = [(rate / 2, quality) for rate, quality in RATES]
        assert bd_rate(RATES, half) == pytest.approx(-0.5)
        assert bd_rate(RATES, half, (34, 38)) == pytest.approx(-0.5)

    def test_only_the_interval_counts(self):
        cheap_above_37 = [(rate if quality < 37 else rate / 3, quality) for rate, quality in RATES]
        assert bd_rate(RATES, cheap_above_37, (30, 33)) == pytest.approx(0, abs=0.05)

    @pytest.mark.parametrize("test", [
        [(rate, quality + 50) for rate, quality in RATES], RATES[:2], [(1.0, 30.0), (2.0, 29.0), (3.0, 28.0)],
    ])  # fmt: skip
    def test_nothing_to_compare(self, test):
        assert bd_rate(RATES, test) is None

    def test_an_overlap_that_is_too_short(self):
        assert bd_rate(RATES, RATES, (42, 60), least_overlap=2) is None
        assert bd_rate(RATES, RATES, (42, 60)) == 0
