"""``cray batch`` goes on where it was, whatever ended it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from archives import STATE, batch, counts, draw, encode, failures, manifest, tree
from PIL import Image

import crayoncodec
from crayoncodec.batch.state import Manifest, Record


class TestGoingOn:
    def test_what_is_done_stays(self):
        encode()
        before = tree("out"), [path.stat().st_mtime_ns for path in Path("out").rglob("*.cray")]
        first = encode()
        assert counts(first) == (0, 3, 0)
        assert first["pixels"] == 3 * 24 * 32
        assert before == (tree("out"), [path.stat().st_mtime_ns for path in Path("out").rglob("*.cray")])

    def test_changed_sources_are_done_again(self):
        encode()
        draw("in/a.png", 9)
        assert counts(encode()) == (1, 2, 0)
        assert tree("out")["a.cray"] == crayoncodec.encode(Image.open("in/a.png"))

    def test_content_counts_not_times(self):
        encode()
        about = Path("in/a.png").stat()
        os.utime("in/a.png", ns=(0, 0))
        assert counts(encode()) == (0, 3, 0)
        # The same size and time: taken for the same.
        data = bytearray(Path("in/a.png").read_bytes())
        data[-20] ^= 1
        Path("in/a.png").write_bytes(data)
        os.utime("in/a.png", ns=(0, 0))
        assert counts(encode()) == (0, 3, 0)
        os.utime("in/a.png", ns=(about.st_atime_ns, about.st_mtime_ns))
        assert encode(code=1)["failed"] == 1

    def test_other_options_do_all_again(self):
        encode()
        assert counts(encode("-q", "30")) == (3, 0, 0)
        assert tree("out")["a.cray"] == crayoncodec.encode(Image.open("in/a.png"), quality=30)
        # So do other networks; the device does not.
        decode = ("decode", "out", "back", "-j", "1")
        assert counts(batch(*decode, "--color", "guided")) == (3, 0, 0)
        assert counts(batch(*decode, "--color", "guided", "--device", "cpu")) == (0, 3, 0)
        assert counts(batch(*decode, "--color", "gray")) == (3, 0, 0)

    def test_outputs_that_are_gone_or_cut_are_done_again(self):
        encode()
        before = tree("out")
        Path("out/a.cray").unlink()
        Path("out/deep/c.cray").write_bytes(before["deep/c.cray"][:-1])
        assert counts(encode()) == (2, 1, 0)
        assert tree("out") == before

    def test_outputs_are_verified_by_content_if_asked(self):
        encode()
        before = tree("out")
        Path("out/a.cray").write_bytes(before["a.cray"][:-1] + b"?")
        assert counts(encode()) == (0, 3, 0)
        assert counts(encode("--verify-outputs")) == (1, 2, 0)
        assert tree("out") == before

    def test_a_line_that_was_cut_short_never_was(self):
        encode()
        before = tree("out")
        path = STATE / "manifest.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        assert counts(encode()) == (1, 2, 0)
        assert tree("out") == before
        assert counts(encode()) == (0, 3, 0)
        assert len([line for line in manifest() if "sha256" in line]) == 3

    def test_outputs_of_others_are_left_alone(self):
        Path("out").mkdir()
        Path("out/a.cray").write_text("precious")
        assert counts(encode(code=1)) == (2, 0, 1)
        assert failures("out") == {
            "a.png": "its output a.cray was there before, use --overwrite to replace it"
        }
        assert counts(encode(code=1)) == (0, 2, 1)
        assert tree("out")["a.cray"] == b"precious"
        assert counts(encode("--overwrite")) == (1, 2, 0)
        assert counts(encode()) == (0, 3, 0)

    def test_an_output_that_was_not_written_down_any_more_is_our_own(self):
        encode()
        path = STATE / "manifest.jsonl"
        path.write_text("".join(line for line in path.read_text().splitlines(True) if "sha" not in line))
        assert counts(encode()) == (3, 0, 0)

    def test_what_was_begun_again_is_not_taken_for_done(self, tmp_path):
        record = Record("a", 1, 2, "3", "4", "b", 5, "6", 7)
        for step in range(3):
            with closing(Manifest(tmp_path / "manifest")) as manifest:
                assert manifest.get("b") == (record if step == 2 else None)
                assert manifest.owns("b") == (step > 0)
                assert not manifest.owns("a")
                manifest.add(record)
                assert manifest.get("b") == record
                if step == 0:
                    manifest.begin("b")


def test_a_manifest_on_a_disk_that_takes_a_part(tmp_path):
    record = Record("a", 1, 2, "3", "4", "b" * 100, 5, "6", 7)
    with closing(Manifest(tmp_path / "manifest")) as manifest:
        write = manifest._stream.write
        manifest._stream = SimpleNamespace(  # so the system may answer
            write=lambda line: write(line[:50]), fileno=manifest._stream.fileno, close=manifest._stream.close
        )
        manifest.add(record)
        manifest.add(replace(record, target="c"))
        assert manifest.get("b" * 100) == record
    with closing(Manifest(tmp_path / "manifest")) as manifest:
        assert manifest.get("c") == replace(record, target="c")


def start(*arguments):
    command = [sys.executable, "-m", "crayoncodec", "batch", "encode", "in", "out", "-j", "2", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(records):
    path = STATE / "manifest.jsonl"
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"sha256") < records:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_three_times_and_gone_on_with():
    for seed in range(60):
        draw(f"in/{seed % 7}/{seed}.png", seed, height=24 + seed)
    batch("encode", "in", "whole", "-j", "2")
    for number in range(3):
        with start() as process:
            wait_for(2 * (5 + 20 * number))  # each has two sums
            process.kill()
        assert tree("out").items() <= tree("whole").items()
    done, skipped, failed = counts(batch("encode", "in", "out", "-j", "2"))
    assert (done + skipped, failed) == (63, 0)
    assert 0 < skipped < 63
    assert tree("out") == tree("whole")
    assert not (STATE / "tmp").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks /proc who is there")
def test_a_worker_that_is_killed_costs_nothing():
    for seed in range(12):
        draw(f"in/{seed}.png", seed, height=200, width=200)
    with start() as process:
        wait_for(2 * 3)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        commands = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
        worker = next(child for child, command in commands.items() if b"spawn_main" in command)
        os.kill(int(worker), 9)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
    assert len(tree("out")) == 15


def test_ctrl_c_leaves_what_can_be_gone_on_with():
    for seed in range(40):
        draw(f"in/{seed}.png", seed, height=100, width=100)
    with start() as process:
        wait_for(2 * 3)
        process.send_signal(2)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, b"")
    assert errors == b"cray: batch: interrupted; the same command goes on from here\n"
    assert not (STATE / "tmp").exists()
    totals = encode()
    assert totals["failed"] == 0
    assert totals["skipped"] >= 3
