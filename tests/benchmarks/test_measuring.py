"""Results and the clock: what is measured is what is written down."""

from __future__ import annotations

import time

from benchmarks.measuring import results
from benchmarks.measuring.clock import Clock
from benchmarks.measuring.results import Results, Row


def test_results_are_the_same_after_writing_and_reading(tmp_path):
    rows = [
        Row("files", "x", "q=1", "a", {"bpp": 1.5, "psnr": 30.25}),
        Row("files", "x", "q=1", "b", {"bpp": 1.25}),
        Row("files", "y", "q=1", "a", None, "why not"),
        Row("speed", "x", "q=1", "12 MP", {"encode_s": 0.125}),
    ]
    found = Results({"pictures": ["a", "b"]}, {"cpu": "any"}, {"x": {"lib": "1"}})
    found.add(rows)
    results.save(found, tmp_path / "r.json")
    assert results.load(tmp_path / "r.json") == found


def test_a_clock_gives_each_stage_its_own_time():
    clock = Clock()
    inner = clock.timed("inner", lambda: time.sleep(0.05))
    with clock.stage("outer"):
        time.sleep(0.02)
        inner()
    assert clock.seconds["inner"] >= 0.05
    assert 0.02 <= clock.seconds["outer"] < 0.05
