"""The benchmarks: adapters, BD-rates, runs that go on, and documents in step with their results."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import photo
from PIL import Image
from torch import nn

import crayoncodec
from benchmarks import equal, painting, plots, report, results, runner, stages, study, tables
from benchmarks.__main__ import main
from benchmarks.bdrate import bd_rate
from benchmarks.codecs import CODECS, Codec
from benchmarks.dataset import Dataset
from benchmarks.grids import LIGHTNESS, bilinear
from benchmarks.results import Results, Row
from benchmarks.runner import Task
from crayoncodec import CheckpointError, checkpoints, color, metrics
from crayoncodec.backends.pytorch import TorchBackend
from crayoncodec.grid import sample_grid
from crayoncodec.networks import Compact
from crayoncodec.recolorize import painter

ROOT = Path(__file__).parent.parent
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


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_every_codec_gives_a_picture_back_and_has_bytes_for_its_colour(codec: Codec):
    rgb = photo(48, 64)
    options = (codec.files or codec.colors or (codec.typical,))[-1]
    data = codec.encode(rgb, options)
    decoded = codec.decode(data)
    assert codec.versions()
    assert decoded.shape == rgb.shape
    assert 0 < codec.color_bytes(rgb, data, options) < len(data)
    error = np.abs(decoded.astype(int) - rgb)
    assert error.max() == 0 if options == {} else error.mean() < 40


def test_painting_measures_what_the_decoders_show():
    rgb = photo(48, 64)
    data = crayoncodec.encode(rgb, quality=80, color_quality=50)
    for setting, levels, spacing in (
        ("color_quality=50", None, 4),
        ("color_quality=50 levels=5", 5, 8),
    ):
        codec = "nested, lightness q=80" if levels is None else "nested, levels left out"
        found = painting.measure(codec, setting, rgb)
        assert found["spacing"] == spacing
        for kind in ("guided", "neural"):
            decoded = crayoncodec.decode(data, color=kind, levels=levels, backend="opencv", device="cpu")
            assert found[f"ab_mse_{kind}"] == pytest.approx(metrics.compare(rgb, decoded).ab_mse)
    assert painting.measure("one grid", "n=6", rgb)["spacing"] == 6


def test_files_of_equal_quality_are_as_good_as_the_rival():
    found = equal.measure("cray without a network", "AVIF 4:2:0 quality=50", photo(96, 128))
    assert found["psnr_lightness"] >= found["rival_psnr_lightness"]
    assert found["ciede2000_mean"] <= found["rival_ciede2000_mean"]
    assert 0 < found["bytes_interpolated"] <= found["bytes"]


def test_bytes_of_exactly_equal_quality_are_interpolated():
    def size(psnr, ciede):
        return round(np.exp(9 + 0.1 * psnr - 0.5 * ciede)), psnr, ciede

    found = equal.interpolated(size(0.3, -0.02), size(-0.4, -0.01), size(0.29, 0.03))
    assert found == pytest.approx(np.exp(9), rel=1e-4)
    with pytest.raises(ValueError, match="no different"):
        equal.interpolated(size(0.3, -0.02), size(0.3, -0.02), size(0.29, 0.03))


@pytest.mark.parametrize("threshold", [0, 1, 37, 100])
def test_the_least_that_is_good(threshold):
    assert equal._least(lambda quality: quality >= threshold) == threshold


def test_table_of_equal_quality():
    found = Results({"pictures": ["a", "b"]}, {}, {})
    for picture, ours in (("a", 80), ("b", 110)):
        values = {"rival_bytes": 100, "bytes": ours, "bytes_interpolated": ours - 15.0}
        found.add([Row("equal", "cray", "AVIF 4:2:0 quality=50", picture, values)])
    row = tables.equal(found).splitlines()[-1]
    assert row == (
        "| cray | AVIF 4:2:0 quality=50 | −5.0 % | −20.0 % to +10.0 % | 1 of 2 "
        "| −20.0 % | −35.0 % to −5.0 % | 2 of 2 |"
    )


def test_table_of_nested_grids_has_each_rivals_worst_picture():
    found = Results({"pictures": ["a", "b"]}, {}, {})
    for picture, factor in (("a", 0.5), ("b", 0.8)):
        for codec, size in (("AVIF 4:2:0", 1.0), ("cray nested", factor)):
            for setting, error in (("1", 9.5), ("2", 6.0), ("3", 4.0), ("4", 3.2)):
                values = {"color_bpp": size / error, "ab_mse": error, "ciede2000_mean": error / 3,
                          "ciede2000_p99": error}  # fmt: skip
                found.add([Row("colors", codec, setting, picture, values)])
    (row,) = [
        line for line in tables.nested(found).splitlines() if line.startswith("| cray nested | AVIF 4:2:0 |")
    ]
    assert row.split("|")[3] == " −35.0 % (2 of 2) / −20.0 % "


def test_bilinear_meets_the_samples_at_their_pixels():
    ab = np.random.default_rng(0).uniform(-60, 60, (2, 35, 50)).astype(np.float32)
    grid = sample_grid(ab, 10, "point")
    painted = bilinear(grid, (35, 50))
    assert painted.shape == ab.shape
    assert np.allclose(painted[:, 5::10, 5::10], grid.ab()[:, :3], atol=1e-4)


@pytest.fixture
def folder(tmp_path):
    pictures = tmp_path / "pictures"
    (pictures / "deeper").mkdir(parents=True)
    Image.fromarray(photo(40, 56)).save(pictures / "a.png")
    Image.fromarray(photo(56, 40)[::-1]).save(pictures / "deeper" / "b.png")
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (pictures / "notes.txt").write_text("not looked at")
    return pictures


def bench(folder, out, *options):
    arguments = ["run", str(folder), "--out", str(out), "--jobs", "1", "--suite", "grids"]
    return CliRunner().invoke(
        main, [*arguments, "--codec", "bicubic, means", *options], catch_exceptions=False
    )


class Deadly(Task):
    """Does as its picture is called."""

    def rows(self):
        if self.picture == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.picture == "endless":
            time.sleep(1000)
        return [Row(self.suite, self.codec, "webp", self.picture, {"bpp": 1.0})]


class TestRun:
    def test_what_cannot_be_read_or_run_is_said_and_becomes_a_hole(self, folder, tmp_path, monkeypatch):
        def missing(name):
            raise CheckpointError(f"no checkpoint {name!r}")

        monkeypatch.setattr(checkpoints, "verify", missing)
        monkeypatch.setattr(runner, "in_processes", lambda tasks, jobs: (task.rows() for task in tasks))
        done = bench(folder, tmp_path / "r.json", "--codec", "crayon, means")
        assert done.exit_code == 0
        assert "broken.jpg is left out: " in done.stderr
        assert "not measured: grids, crayon, means: no checkpoint 'crayon'" in done.stderr
        found = results.load(tmp_path / "r.json")
        assert found.dataset["pictures"] == ["a.png", "deeper/b.png"]
        assert list(found.dataset["skipped"]) == ["broken.jpg"]
        assert len(found.values("grids", "bicubic, means", "n=10", "ab_mse")) == 2
        assert {row.codec for row in found.holes("grids")} == {"crayon, means"}

    def test_a_run_goes_on_where_it_was_and_records_nothing_twice(self, folder, tmp_path):
        out, journal = tmp_path / "r.json", tmp_path / "r.partial.jsonl"
        bench(folder, out)
        whole = results.load(out)
        with results.journal(journal, Results(whole.dataset, whole.environment, whole.versions)) as append:
            kept = [row for row in whole.rows.values() if row.picture == "a.png"]
            marked = [Row(*row.key, row.values | {"ab_mse": -1.0}) for row in kept]
            append(marked)
        with journal.open("a") as stream:
            stream.write('{"suite": "grids", "codec": "bicu')  # cut short
        out.unlink()
        done = bench(folder, out)
        assert f"{len(kept)} rows are there already" in done.stderr
        found = results.load(out)
        assert not journal.exists()
        assert found.rows.keys() == whole.rows.keys()
        errors = found.values("grids", "bicubic, means", "n=10", "ab_mse")
        assert errors["a.png"] == -1
        assert (
            errors["deeper/b.png"]
            == whole.values("grids", "bicubic, means", "n=10", "ab_mse")["deeper/b.png"]
        )

    @pytest.mark.parametrize("change", [
        lambda content: content | {"schema": 999},
        lambda content: content | {"environment": content["environment"] | {"python": "2.7"}},
        lambda content: content | {"dataset": content["dataset"] | {"sha256": "0"}},
        lambda content: {"something": "else"},
    ])  # fmt: skip
    def test_results_of_another_version_or_dataset_are_put_aside(self, folder, tmp_path, change):
        out = tmp_path / "r.json"
        bench(folder, out)
        old = json.dumps(change(json.loads(out.read_text())))
        out.write_text(old)
        done = bench(folder, out)
        assert done.exit_code == 0
        assert "it is now r.json.old1" in done.stderr
        assert (tmp_path / "r.json.old1").read_text() == old
        assert len(results.load(out).values("grids", "bicubic, means", "n=10", "ab_mse")) == 2

    def test_another_machine_changes_timings_only(self, folder, tmp_path):
        out = tmp_path / "r.json"
        bench(folder, out)
        found = results.load(out)
        found.environment["cpu"] = "another"
        found.add([Row("grids", "bicubic, means", "n=10", "a.png", {"ab_mse": -1.0})])
        found.add([Row("times", "PNG", "lossless", "a.png", {"encode_s": -1.0})])
        results.save(found, out)

        def kept():
            found = results.load(out)
            error = found.values("grids", "bicubic, means", "n=10", "ab_mse")["a.png"]
            return found.environment["cpu"], error, found.values("times", "PNG", "lossless", "encode_s")

        bench(folder, out)
        assert kept() == ("another", -1, {"a.png": -1})
        said = bench(folder, out, "--suite", "times", "--codec", "PNG", "--timed", "1").stderr
        assert "timings are of another machine and are left out: cpu another, here " in said
        cpu, error, seconds = kept()
        assert cpu == results.environment()["cpu"]
        assert error == -1
        assert seconds["a.png"] > 0

    def test_a_codec_of_another_version_is_measured_anew(self, folder, tmp_path):
        out = tmp_path / "r.json"
        bench(folder, out)
        found = results.load(out)
        found.versions["bicubic, means"]["crayoncodec"] = "0.0.0"
        results.save(found, out)
        assert "bicubic, means was of other versions and is measured anew" in bench(folder, out).stderr
        assert results.load(out).versions["bicubic, means"]["crayoncodec"] != "0.0.0"

    def test_a_task_that_kills_its_process_is_a_hole_and_the_others_are_done(self):
        data = Dataset(Path(), 0, (), {}, "")
        tasks = [Deadly("grids", LIGHTNESS, picture, data) for picture in ("a", "deadly", "b", "c")]
        rows = {row.picture: row for (row,) in runner.in_processes(tasks, 2)}
        assert {name: row.values for name, row in rows.items()} == {
            "a": {"bpp": 1.0}, "deadly": None, "b": {"bpp": 1.0}, "c": {"bpp": 1.0}
        }  # fmt: skip
        assert rows["deadly"].reason == "its process died, out of memory?"

    def test_processes_end_with_the_run(self):
        data = Dataset(Path(), 0, (), {}, "")
        rows = runner.in_processes([Deadly("grids", LIGHTNESS, name, data) for name in ("a", "endless")], 2)
        next(rows)
        start = time.monotonic()
        rows.close()
        assert time.monotonic() - start < 10
        assert not multiprocessing.active_children()

    @pytest.mark.skipif(
        not Path(f"/proc/self/task/{os.getpid()}/children").exists(),
        reason="child processes are not in /proc",
    )
    def test_processes_end_with_a_run_that_was_killed(self, tmp_path):
        program = (
            "from pathlib import Path\n"
            "from benchmarks import runner\n"
            "from benchmarks.dataset import Dataset\n"
            "from test_benchmarks import Deadly\n"
            "if __name__ == '__main__':\n"
            "    data = Dataset(Path(), 0, (), {}, '')\n"
            "    tasks = [Deadly('grids', 'x', name, data) for name in ('a', 'endless')]\n"
            "    rows = runner.in_processes(tasks, 1)\n"
            "    print(next(rows), flush=True)\n"
            "    next(rows)\n"
        )
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        (tmp_path / "program.py").write_text(program)
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "program.py")],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert "bpp" in process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 20
        alive = children
        while alive and time.monotonic() < deadline:
            time.sleep(0.1)
            alive = [child for child in children if Path(f"/proc/{child}").exists()]
        assert children
        assert not alive

    def test_a_folder_without_pictures(self, tmp_path):
        done = bench(tmp_path, tmp_path / "r.json")
        assert done.exit_code == 2
        assert "has no images that can be read" in done.stderr

    def test_times_come_from_fresh_processes(self, folder, tmp_path):
        out = tmp_path / "r.json"
        arguments = [
            "run",
            str(folder),
            "--out",
            str(out),
            "--suite",
            "times",
            "--timed",
            "1",
            "--codec",
            "PNG",
        ]
        assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
        found = results.load(out)
        for measure in ("encode_s", "decode_s", "peak_mb"):
            assert found.values("times", "PNG", "lossless", measure)["a.png"] > 0


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


def saved(path, *rows):
    dataset = {"folder": "x", "crop": 0, "sha256": "0", "pictures": ["a", "b"], "skipped": {"c": "broken"}}
    found = Results(dataset, {}, {})
    found.add(rows)
    results.save(found, path)
    return str(path)


def test_compare_shows_what_changed_on_common_pictures(tmp_path):
    first = saved(
        tmp_path / "1.json",
        Row("files", "x", "q=1", "a", {"bpp": 2.0, "psnr_rgb": 30.0}),
        Row("files", "x", "q=1", "b", {"bpp": 9.0, "psnr_rgb": 10.0}),
    )
    second = saved(tmp_path / "2.json", Row("files", "x", "q=1", "a", {"bpp": 1.5, "psnr_rgb": 30.0}))
    shown = CliRunner().invoke(main, ["compare", first, second], catch_exceptions=False).stdout
    assert "| files | x | q=1 | bpp | 2 | 1.5 | −25.0 % | 1 |" in shown
    assert "1 rows in both, 1 in the first alone, 0 in the second alone; 1 of 2 means are equal." in shown


def test_reports_leave_out_results_of_another_version(tmp_path):
    good = saved(tmp_path / "good.json", Row("choices", "x", "q=1", "a", {"bpp": 2.0}))
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema": 0}')
    done = CliRunner().invoke(main, ["report", str(bad), good], catch_exceptions=False)
    assert done.exit_code == 0
    assert "has results of version 0, expected 1" in done.stderr
    assert "| x | q=1 | bpp | 2 |" in done.stdout


def test_contact_sheet_of_what_is_no_picture(folder, tmp_path):
    done = CliRunner().invoke(main, ["sheet", str(folder / "broken.jpg"), "--out", str(tmp_path / "x.png")])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert "broken.jpg: " in done.stderr
    assert not (tmp_path / "x.png").exists()


def test_contact_sheet_has_the_original_and_every_spacing(folder, tmp_path):
    arguments = ["sheet", str(folder / "a.png"), "--out", str(tmp_path / "sheet.png")]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    assert sheet.shape == (3 * (40 + 18), 3 * 56, 3)
    panels = [sheet[58 * row + 18 : 58 * row + 58, 56 * column : 56 * column + 56] for row in range(3)
              for column in range(3)]  # fmt: skip
    assert np.array_equal(panels[0], photo(40, 56))
    errors = [np.square(panel.astype(float) - panels[0]).mean() for panel in panels[1:]]
    assert 0 < errors[0] < errors[-1]


class TestTables:
    def test_a_mean_is_over_all_pictures_or_a_hole(self, tmp_path):
        rows = [
            Row("files", "x", "q=1", "a", {"bpp": 1.0, "psnr_rgb": 30.0}),
            Row("files", "x", "q=1", "b", {"bpp": 2.0}),
            Row("files", "x", "q=2", "a", {"bpp": 1.0, "psnr_rgb": 30.0}),
            Row("files", "x", "q=2", "b", None, "failed"),
        ]
        found = results.load(Path(saved(tmp_path / "x.json", *rows)))
        assert found.mean("files", "x", "q=1", "bpp") == 1.5
        assert found.mean("files", "x", "q=1", "psnr_rgb") == np.inf
        assert found.mean("files", "x", "q=1", "ab_mse") is None
        assert found.mean("files", "x", "q=2", "bpp") is None
        assert "| x | q=1 | 1.50 | — | — | ∞ |" in tables.files(found)
        assert "| x | q=2 | — | — | — | — |" in tables.files(found)

    def test_whole_files_beside_a_jpeg(self, tmp_path):
        sizes = {("JPEG 4:2:0", "quality=92"): (100, 200), ("cray n=20", "n=20 quality=80"): (90, 210)}
        rows = [
            Row("files", *choice, name, {"bytes": size, "bpp": size / 100})
            for choice, pair in sizes.items()
            for name, size in zip("ab", pair, strict=True)
        ]
        lines = tables.beside(results.load(Path(saved(tmp_path / "x.json", *rows)))).splitlines()
        assert lines[2].startswith("| JPEG 4:2:0, quality=92 | 1.50 | 100 % | 0 of 2 |")
        (ours,) = [line for line in lines if line.startswith("| cray, n=20 quality=80 |")]
        assert ours.startswith("| cray, n=20 quality=80 | 1.50 | 100 % | 1 of 2 |")
        assert "| WebP, quality=92 | — | — | — | — |" in "\n".join(lines)

    def test_what_a_network_adds_and_what_auto_does(self, tmp_path):
        rows = [
            Row("painting", "nested", f"q={spacing}", name, {
                "spacing": spacing, "step": 10.4453, "ab_mse_guided": 1.0, "ab_mse_neural": error
            })
            for spacing in (2, 4)
            for name, error in (("a", 0.1), ("b", 10**0.2))
        ]  # fmt: skip
        table = tables.painting(results.load(Path(saved(tmp_path / "x.json", *rows)))).splitlines()
        assert table[-2:] == [
            "| nested | q=2 | 2 | 10.4 | +4.00 | −2.00 | +10.00 | guided |",
            "| nested | q=4 | 4 | 10.4 | +4.00 | −2.00 | +10.00 | neural |",
        ]
        rows.append(Row("painting", "nested", "q=4", "b", None, "failed"))
        table = tables.painting(results.load(Path(saved(tmp_path / "x.json", *rows))))
        assert "| nested | q=4 | — | — | — | — | — | — |" in table

    def test_half_the_color_bytes_at_equal_error(self, tmp_path):
        errors = (12, 8, 5, 3, 2)
        rows = [
            Row("colors", codec, f"q={error}", "a", {
                "color_bpp": bpp / error, "ab_mse": error, "ciede2000_mean": error
            })
            for codec, bpp in {"AVIF 4:2:0": 1.0, "AVIF 4:2:0 tune=psnr": 0.8, "x": 0.5}.items()
            for error in errors
        ]  # fmt: skip
        table = tables.colors(results.load(Path(saved(tmp_path / "x.json", *rows))))
        per, pooled = "−50.0 % (1 of 1)", "−50.0 %"
        against_default = f"{per} | {pooled} | {per}"
        assert f"| x | {against_default.replace('50.0', '37.5')} | {against_default} |" in table

    def test_speed_by_size(self, tmp_path):
        values = {"megapixels": 12.0} | {
            f"{way}_{name}": value
            for way, scale in (("encode", 1.0), ("decode", 2.0))
            for name, value in (("s", 3 * scale), ("startup_s", 4 * scale), ("peak_mb", 500 * scale))
        }
        rows = [Row("speed", "x", "q=1", "12 MP", values), Row("speed", "y", "q=1", "12 MP", None, "no y")]
        found = results.load(Path(saved(tmp_path / "x.json", *rows)))
        for render, cell in (
            (tables.throughput, "4 / 2"), (tables.startup, "4.00 / 8.00"), (tables.memory, "500 / 1000")
        ):  # fmt: skip
            assert f"| x, q=1 | {cell} |" in render(found)
            assert "| y, q=1 | — |" in render(found)

    def test_stages_and_commands(self, tmp_path):
        values = {"megapixels": 12.0, "encode: AVIF": 3.0, "decode: network": 6.0, "decode: AVIF": 0.6}
        values |= {f"{what}_{name}": value for what in ("encode", "decode", "decode_ppm")
                   for name, value in (("s", 24.0), ("peak_mb", 500.0))}  # fmt: skip
        rows = [Row("stages", "guided", "q", "12 MP", {**values, "decode: network": 0.0}),
                Row("stages", "network, OpenCV", "q", "12 MP", values)]  # fmt: skip
        found = results.load(Path(saved(tmp_path / "x.json", *rows)))
        table = tables.stages(found).splitlines()
        assert "| encode | AVIF | 0.2500 |" in table
        assert "| decode | AVIF | 0.0500 |" in table
        assert "| decode | network, OpenCV | 0.5000 |" in table
        assert not any("PNG" in line for line in table)
        table = tables.commands(found).splitlines()
        assert table.count("| encode | 24.00 / 2.000 / 500 |") == 1
        assert "| decode to PPM, network, OpenCV | 24.00 / 2.000 / 500 |" in table


class TestStages:
    def test_a_clock_gives_each_stage_its_own_time(self):
        clock = stages.Clock()
        inner = clock.timed("inner", lambda: time.sleep(0.05))
        with clock.stage("outer"):
            time.sleep(0.02)
            inner()
            list(clock.each("values", iter([inner, inner])))
        assert clock.seconds["inner"] >= 0.05
        assert 0.02 <= clock.seconds["outer"] < 0.05
        assert clock.seconds["values"] < 0.02

    @pytest.mark.parametrize("decoder", ["guided", "network, OpenCV"])
    def test_all_of_the_time_is_some_stages(self, monkeypatch, decoder):
        monkeypatch.setattr(stages, "_REPEATED", 0)
        values = stages.measure(decoder, "quality=80", photo(150, 200))
        network = {"network", "RGB"} if decoder != "guided" else set()
        for what, names in (("encode", stages.ENCODING), ("decode", stages.DECODING)):
            found = {name.removeprefix(f"{what}: ") for name in values if name.startswith(f"{what}: ")}
            assert found == {*names} - {"network", "RGB"} | (network if what == "decode" else set())
            within = sum(values[f"{what}: {name}"] for name in found)
            assert 0 < within < values[f"{what}_s"]
        assert values["decode_peak_mb"] > 30


def test_a_report_is_a_page_with_plots_that_say_what_they_show(tmp_path):
    values = {"color_bpp": 0.5, "ab_mse": 4.0, "ciede2000_mean": 1.0}
    rows = [
        Row("colors", "WebP", f"quality={q}", "a", {n: v * q for n, v in values.items()}) for q in (1, 2, 3)
    ]
    hole = Row("colors", "HEIC", "quality=1", "a", None, "no such library")
    found = saved(tmp_path / "x.json", *rows, hole)
    done = CliRunner().invoke(main, ["report", found, "--out", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    page = (tmp_path / "x.md").read_text()
    assert "![The colour alone](x-colors.svg)" in page
    assert "| HEIC | 1 | no such library |" in page
    panels = plots.FIGURES["colors"].panels(results.load(tmp_path / "x.json"))
    assert panels[0].lines == {"WebP": [(0.5, 4.0), (1.0, 8.0), (1.5, 12.0)]}
    for suffix in plots.SUFFIXES:
        data = (tmp_path / f"x-colors{suffix}").read_bytes()
        assert plots.digest_in(data) == plots.digest(panels)
    assert np.asarray(Image.open(tmp_path / "x-colors.png")).std() > 0
    panels[0].lines["WebP"][0] = (0.5, 4.01)
    assert plots.digest_in(data) != plots.digest(panels)


def test_a_study_trains_and_measures_what_is_missing(tmp_path, monkeypatch):
    variants = {"baseline": (), "hue": ("hue=30.0",), "sparse": ("architecture=crayon", "network={width=2}")}
    small = ("side=64", "crop=64", "batch=8192", "evaluated=[6]", "network={widths=[4,4]}")
    monkeypatch.setattr(study, "_COMMON", small)
    monkeypatch.setattr(study, "SPACINGS", (6, 10))
    monkeypatch.setitem(study.SUITES, "study", variants)
    monkeypatch.setitem(study.SUITES, "sizes", {"4, 8": ("network={widths=[4,8]}",)})
    monkeypatch.setattr(study, "_cost", lambda recipe: 2.0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(photo(64, 80, seed)).save(folder / f"{seed}.png")
    out = tmp_path / "study.json"
    arguments = ["study", str(folder), "--data", str(folder), "--validation", str(folder), "--out", str(out),
                 "--runs", str(tmp_path / "runs"), "--steps", "6"]  # fmt: skip
    for suite in ("sizes", "study"):
        done = CliRunner().invoke(main, [*arguments, "--suite", suite], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    found = results.load(out)
    assert found.codecs("study") == ["guided", *variants]
    steps = [found.versions[name]["steps"] for name in (*variants, "4, 8")]
    assert steps == ["6", "3", "3", "6"]
    gains = [tables.gain(found, "study", ("guided", name), "n=6") for name in variants]
    assert len({*gains}) == 3
    table = tables.study(found)
    assert (
        f"| hue | hue=30.0 | 3 | {found.versions['hue']['MAC per pixel']} | {tables.percentage(gains[1])} /"
        in table
    )
    (panel,) = plots.FIGURES["sizes"].panels(found)
    macs, gain = panel.lines["cray n=10"][0]
    expected = tables.gain(found, "sizes", ("guided", "4, 8"), "n=10")
    assert (macs, gain / 100) == (float(found.versions["4, 8"]["MAC per pixel"]), expected)
    monkeypatch.setitem(study.SUITES, "study", variants | {"zoom": ("zoom=1.5",)})
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    again = results.load(out)
    assert again.codecs("study") == ["guided", *variants, "zoom"]
    assert all(again.rows[key] == row for key, row in found.rows.items())


def test_networks_behind_nested_grids_are_compared_by_cost(tmp_path, monkeypatch):
    small = ("side=128", "crop=128", "batch=16384", "warmup=1", "precision=float32")
    names = [f"nested {widths}" for widths in ("4, 4", "6, 6")]
    monkeypatch.setattr(study, "_NESTED_COMMON", small)
    monkeypatch.setattr(study, "_NESTED_QUALITIES", (0, 20, 40))
    monkeypatch.setitem(
        study.SUITES, "nested-sizes",
        {name: (f"network={{widths=[{name.removeprefix('nested ')}]}}",) for name in names},
    )  # fmt: skip
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(photo(160, 192, seed)).save(folder / f"{seed}.png")
    out = tmp_path / "study.json"
    done = CliRunner().invoke(
        main, ["study", str(folder), "--suite", "nested-sizes", "--data", str(folder), "--validation",
               str(folder), "--out", str(out), "--runs", str(tmp_path / "runs"), "--steps", "3"],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = results.load(out)
    assert found.codecs("nested-sizes") == [*tables.ANCHORS, "guided", *names]
    sizes, errors = (
        [found.values("nested-sizes", name, "color_quality=20", measure) for name in ("guided", *names)]
        for measure in ("color_bytes", "ab_mse")
    )
    assert sizes[0] == sizes[1] == sizes[2]
    assert errors[0] != errors[1] != errors[2]
    own = [int(found.versions[name]["MAC per pixel"]) for name in names]
    assert 0 < own[0] < own[1]
    assert 2000 < tables.loop_macs() < 3000
    table = tables.nested_sizes(found)
    assert f"| nested 6, 6 | {tables.loop_macs() + own[1]:,} |" in table
    assert f"| guided | {tables.loop_macs():,} |" in table


def test_any_checkpoint_is_measured_beside_the_others(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(photo(40, 48, seed)).save(folder / f"{seed}.png")
    network = Compact((4, 4))
    nn.init.normal_(network.head.weight, std=0.05)
    model = tmp_path / "mine.safetensors"
    checkpoints.save(network, model, half=False, version="1", architecture="compact", config=network.config,
                     macs_per_pixel=1, description="", license="")  # fmt: skip
    out = tmp_path / "x.json"
    arguments = [str(folder), "--out", str(out)]
    begin = ["run", *arguments, "--suite", "grids", "--codec", "guided, means", "--jobs", "1"]
    measure = ["checkpoint", *arguments, "--model", str(model), "--name", "mine", "-n", "6", "-n", "10"]
    for command in (begin, measure):
        done = CliRunner().invoke(main, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    found = results.load(out)
    assert found.codecs("grids") == ["guided, means", "mine alone, means", "mine, means"]
    lightness, ab = color.rgb_to_lab(photo(40, 48, 0))
    plane = color.lightness_to_u8(lightness)
    paint = painter(plane, sample_grid(ab, 10), TorchBackend(network, "cpu"))
    error = np.square(paint((slice(0, 40), slice(0, 48))) - ab).mean()
    values = found.values("grids", "mine, means", "n=10", "ab_mse")
    assert values["0.png"] == pytest.approx(error, rel=1e-3)
    assert found.mean("grids", "mine alone, means", "n=10", "ab_mse") > np.mean(list(values.values()))
    Image.fromarray(photo(40, 48, 7)).save(folder / "2.png")
    done = CliRunner().invoke(main, measure)
    assert done.exit_code == 1
    assert "is of other pictures than those in" in done.output


def test_drawn_pictures_are_measured_like_any_others(tmp_path):
    done = CliRunner().invoke(main, ["graphics", str(tmp_path / "drawn")], catch_exceptions=False)
    assert done.exit_code == 0
    drawn = Dataset.scan(tmp_path / "drawn")
    assert len(drawn.pictures) == 10
    assert not drawn.skipped
    rows = [
        Row("grids", codec, "n=6", picture, {"ab_mse": error * index})
        for codec, error in (("guided, means", 4.0), ("compact, means", 3.0))
        for index, picture in enumerate(drawn.pictures, start=1)
    ]
    found = Results(drawn.describe(), results.environment())
    found.add(rows)
    assert f"| {drawn.pictures[1]} | 8.00 −25.0 % |" in tables.pictures(found)


def test_the_cost_of_a_step_is_measured(monkeypatch):
    monkeypatch.setattr(study, "_COMMON", ("side=64", "crop=64", "batch=16384", "network={widths=[8,8]}"))
    wide = study.recipes.load("compact", [*study._COMMON, "network={widths=[96,96]}"])
    assert study._cost(wide) > 1.3


@pytest.mark.parametrize(
    ("document", "tables_in_it"), [("README.md", 4), ("docs/training.md", 3), ("docs/archives.md", 1)]
)
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


def test_archives_are_timed(tmp_path):
    Image.fromarray(photo(400, 500)).save(tmp_path / "photo.png")
    arguments = ["--part", "small", "--engine", "local", "--small", "4", "--color", "guided"]
    out = tmp_path / "archive.json"
    done = CliRunner().invoke(main, ["archive", str(tmp_path), "--out", str(out), *arguments])
    assert done.exit_code == 0, done.output
    encoded, decoded = json.loads(out.read_text())["rates"]
    assert (encoded["command"], decoded["command"]) == ("encode", "decode")
    assert encoded["files"] == decoded["files"] == 4
    assert encoded["megapixels"] == pytest.approx(4 * 0.1024)
