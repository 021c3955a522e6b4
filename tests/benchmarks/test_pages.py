"""Pages and plots, and documents in step with their results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from invoked import invoke
from PIL import Image

from benchmarks.measuring import results
from benchmarks.measuring.results import Row
from benchmarks.programs import report
from benchmarks.tables import plots

ROOT = Path(__file__).parents[2]


def test_a_report_is_a_page_with_plots_that_say_what_they_show(saved, tmp_path):
    values = {"color_bpp": 0.5, "ab_mse": 4.0, "ciede2000_mean": 1.0}
    rows = [
        Row("colors", "WebP", f"quality={q}", "a", {n: v * q for n, v in values.items()}) for q in (1, 2, 3)
    ]
    hole = Row("colors", "HEIC", "quality=1", "a", None, "no such library")
    found = saved(*rows, hole)
    invoke("report", found, "--out", tmp_path)
    page = (tmp_path / "x.md").read_text()
    assert "![The colour alone](x-colors.svg)" in page
    assert "| HEIC | 1 | no such library |" in page
    panels = plots.FIGURES["colors"].panels(results.load(found))
    assert panels[0].lines == {"WebP": [(0.5, 4.0), (1.0, 8.0), (1.5, 12.0)]}
    for suffix in plots.SUFFIXES:
        data = (tmp_path / f"x-colors{suffix}").read_bytes()
        assert plots.digest_in(data) == plots.digest(panels)
    assert np.asarray(Image.open(tmp_path / "x-colors.png")).std() > 0
    panels[0].lines["WebP"][0] = (0.5, 4.01)
    assert plots.digest_in(data) != plots.digest(panels)


def test_reports_leave_out_results_of_another_version(saved, tmp_path):
    good = saved(Row("choices", "x", "q=1", "a", {"bpp": 2.0}))
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema": 0}')
    done = invoke("report", bad, good)
    assert "has results of version 0, expected 1" in done.stderr
    assert "| x | q=1 | bpp | 2 |" in done.stdout


@pytest.mark.parametrize(
    ("document", "tables_in_it"),
    [
        ("README.md", 1),
        ("docs/results.md", 13),
        ("docs/training.md", 3),
        ("docs/paper.md", 5),
        ("docs/archives.md", 1),
    ],
)  # fmt: skip
def test_documents_are_in_step_with_results(document, tables_in_it):
    text = (ROOT / document).read_text(encoding="utf-8")
    assert text.count("<!-- results: ") >= tables_in_it
    assert report.filled(text) == text


@pytest.mark.parametrize("path", sorted(report.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_pages_and_plots_are_in_step_with_results(path):
    found = results.load(path)
    drawn = [name for name, figure in plots.FIGURES.items() if found.codecs(figure.suite)]
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    assert page == report.page(found, path.stem, drawn)
    for name in drawn:
        expected = plots.digest(plots.FIGURES[name].panels(found))
        for suffix in plots.SUFFIXES:
            assert plots.digest_in(path.with_name(f"{path.stem}-{name}{suffix}").read_bytes()) == expected
