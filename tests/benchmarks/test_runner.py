"""Runs that go on, and processes that end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from invoked import invoke

from benchmarks.measuring import results
from benchmarks.measuring.dataset import Dataset
from benchmarks.measuring.results import Results, Row
from benchmarks.programs import runner
from benchmarks.programs.runner import Task
from benchmarks.suites.spacings import LIGHTNESS
from crayoncodec import CheckpointError
from crayoncodec.painting import checkpoints

ROOT = Path(__file__).parents[2]


def bench(folder, out, *options, code=0):
    return invoke("run", folder, "--out", out, "--jobs", 1, "--suite", "grids", "--codec", "bicubic, means",
                  *options, code=code)  # fmt: skip


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
            "from benchmarks.measuring.dataset import Dataset\n"
            "from benchmarks.programs import runner\n"
            "from test_runner import Deadly\n"
            "if __name__ == '__main__':\n"
            "    data = Dataset(Path(), 0, (), {}, '')\n"
            "    tasks = [Deadly('grids', 'x', name, data) for name in ('a', 'endless')]\n"
            "    rows = runner.in_processes(tasks, 1)\n"
            "    print(next(rows), flush=True)\n"
            "    next(rows)\n"
        )
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
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
        done = bench(tmp_path, tmp_path / "r.json", code=2)
        assert "has no images that can be read" in done.stderr
