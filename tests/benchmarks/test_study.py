"""Networks that are trained to be compared."""

from __future__ import annotations

from invoked import invoke

from benchmarks.codecs.rivals import ANCHORS
from benchmarks.measuring import results
from benchmarks.programs import study
from benchmarks.tables import plots, trained
from benchmarks.tables.cells import gain, percentage


def test_a_study_trains_and_measures_what_is_missing(photos, tmp_path, monkeypatch):
    variants = {"baseline": (), "hue": ("hue=30.0",), "sparse": ("architecture=crayon", "network={width=2}")}
    small = ("side=64", "crop=64", "batch=8192", "evaluated=[6]", "network={widths=[4,4]}")
    monkeypatch.setattr(study, "_COMMON", small)
    monkeypatch.setattr(study, "SPACINGS", (6, 10))
    monkeypatch.setitem(study.SUITES, "study", variants)
    monkeypatch.setitem(study.SUITES, "sizes", {"4, 8": ("network={widths=[4,8]}",)})
    monkeypatch.setattr(study, "_cost", lambda recipe: 2.0)
    folder, runs, out = photos(3, 64, 80), tmp_path / "runs", tmp_path / "study.json"

    def train(*options):
        invoke("study", folder, "--data", folder, "--validation", folder, "--out", out, "--runs", runs,
               "--steps", 6, *options)  # fmt: skip

    for suite in ("sizes", "study"):
        train("--suite", suite)
    found = results.load(out)
    assert found.codecs("study") == ["guided", *variants]
    steps = [found.versions[name]["steps"] for name in (*variants, "4, 8")]
    assert steps == ["6", "3", "3", "6"]
    gains = [gain(found, "study", ("guided", name), "n=6") for name in variants]
    assert len({*gains}) == 3
    table = trained.study(found)
    assert (
        f"| hue | hue=30.0 | 3 | {found.versions['hue']['MAC per pixel']} | {percentage(gains[1])} /" in table
    )
    (panel,) = plots.FIGURES["sizes"].panels(found)
    macs, change = panel.lines["cray n=10"][0]
    expected = gain(found, "sizes", ("guided", "4, 8"), "n=10")
    assert (macs, change / 100) == (float(found.versions["4, 8"]["MAC per pixel"]), expected)
    monkeypatch.setitem(study.SUITES, "study", variants | {"zoom": ("zoom=1.5",)})
    train()
    again = results.load(out)
    assert again.codecs("study") == ["guided", *variants, "zoom"]
    assert all(again.rows[key] == row for key, row in found.rows.items())
    (folder / "0.png").unlink()
    done = invoke("study", folder, "--data", folder, "--validation", folder, "--out", out, "--runs", runs,
                  code=1)  # fmt: skip
    assert "is of other pictures than those in" in done.stderr


def test_networks_behind_nested_grids_are_compared_by_cost(photos, tmp_path, monkeypatch):
    small = ("side=128", "crop=128", "batch=16384", "warmup=1", "precision=float32")
    names = [f"nested {widths}" for widths in ("4, 4", "6, 6")]
    monkeypatch.setattr(study, "_NESTED_COMMON", small)
    monkeypatch.setattr(study, "_NESTED_QUALITIES", (0, 20, 40))
    monkeypatch.setitem(
        study.SUITES, "nested-sizes",
        {name: (f"network={{widths=[{name.removeprefix('nested ')}]}}",) for name in names},
    )  # fmt: skip
    folder, runs, out = photos(2, 160, 192), tmp_path / "runs", tmp_path / "study.json"
    invoke("study", folder, "--suite", "nested-sizes", "--data", folder, "--validation", folder, "--out", out,
           "--runs", runs, "--steps", 3)  # fmt: skip
    found = results.load(out)
    assert found.codecs("nested-sizes") == [*ANCHORS, "guided", *names]
    sizes, errors = (
        [found.values("nested-sizes", name, "color_quality=20", measure) for name in ("guided", *names)]
        for measure in ("color_bytes", "ab_mse")
    )
    assert sizes[0] == sizes[1] == sizes[2]
    assert errors[0] != errors[1] != errors[2]
    own = [int(found.versions[name]["MAC per pixel"]) for name in names]
    assert 0 < own[0] < own[1]
    assert 2000 < trained.loop_macs() < 3000
    table = trained.nested_sizes(found)
    assert f"| nested 6, 6 | {trained.loop_macs() + own[1]:,} |" in table
    assert f"| guided | {trained.loop_macs():,} |" in table


def test_the_cost_of_a_step_is_measured(monkeypatch):
    monkeypatch.setattr(study, "_COMMON", ("side=64", "crop=64", "batch=16384", "network={widths=[8,8]}"))
    wide = study.recipes.load("compact", [*study._COMMON, "network={widths=[96,96]}"])
    assert study._cost(wide) > 1.3
