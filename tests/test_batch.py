"""``cray batch`` with processes of this machine: what is done, gone on with, told, and left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path

import pytest
from archives import batch, counts, draw, failures, tree
from filelock import FileLock
from PIL import Image

import crayoncodec
from crayoncodec.batch.state import Manifest, Record

STATE = Path("out/.cray-batch")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with three pictures in the folder "in"."""
    monkeypatch.chdir(tmp_path)
    for seed, path in enumerate(("a.png", "deep/er/b.jpg", "deep/c.webp")):
        draw(f"in/{path}", seed)
    Path("in/notes.txt").write_text("not a picture")


def encode(*arguments, code=0, source="in"):
    return batch("encode", source, "out", "-j", "1", *arguments, code=code)


def manifest():
    return [json.loads(line) for line in (STATE / "manifest.jsonl").read_text().splitlines()]


class TestConversion:
    def test_the_tree_is_kept(self):
        totals = encode("-q", "60")
        pictures = {name: Image.open(f"in/{name}") for name in ("a.png", "deep/er/b.jpg", "deep/c.webp")}
        expected = {
            str(Path(name).with_suffix(".cray")): crayoncodec.encode(picture, quality=60)
            for name, picture in pictures.items()
        }
        assert tree("out") == expected
        assert counts(totals) == (3, 0, 0)
        assert totals["input_bytes"] == sum((Path("in") / name).stat().st_size for name in pictures)
        assert totals["output_bytes"] == sum(map(len, expected.values()))
        assert totals["ratio"] == pytest.approx(totals["output_bytes"] / totals["input_bytes"], abs=1e-6)
        assert totals["pixels"] == 3 * 24 * 32
        assert not (STATE / "tmp").exists()

    def test_and_kept_by_decoding(self):
        encode()
        totals = batch("decode", "out", "back", "--color", "guided", "--extension", ".webp", "-j", "1")
        assert {*tree("back")} == {"a.webp", "deep/er/b.webp", "deep/c.webp"}
        with Image.open("back/a.webp") as picture:
            assert picture.size == (32, 24)
        assert counts(totals) == (3, 0, 0)

    def test_a_folder_may_be_its_own_destination(self):
        batch("encode", "in", "in", "-j", "1")
        assert counts(batch("encode", "in", "in", "-j", "1")) == (0, 3, 0)
        assert {"a.cray", "a.png", "deep/c.cray"} <= {*tree("in")}

    @pytest.mark.parametrize(
        "line", ["{path}", '{{"source": "{path}"}}', '{{"source": "{path}", "target": "x/y.cray"}}']
    )
    def test_lists(self, line):
        Path("lists").mkdir()
        Path("lists/some.txt").write_text("\n" + line.format(path="../in/a.png") + "\n")
        if "target" in line:
            encode(source="lists/some.txt")
            assert {*tree("out")} == {"x/y.cray"}
        else:
            encode(source="lists/some.txt", code=1)
            (reason,) = failures("out").values()
            assert reason.startswith("some.txt, line 2: its output ../in/a.cray is not below the destination")

    def test_lists_are_relative_to_their_folder(self):
        Path("in/list").write_text(
            f"deep/c.webp\r\n{Path('in/a.png').absolute()}\nmissing.png\n{{nonsense\n\0\n"
        )
        assert counts(encode(source="in/list", code=1)) == (2, 0, 3)
        assert {"deep/c.cray", str(Path("in/a.cray").absolute())[1:]} == {*tree("out")}
        assert failures("out") == {
            "missing.png": "there is no such file",
            "\0": "there is no such file",
            "list, line 4": 'is neither a path nor {"source": PATH, "target": PATH}',
        }

    def test_one_target_has_one_source(self):
        for name in ("deep/c.png", "deep/c.tif"):
            draw(f"in/{name}", 7)
        assert counts(encode(code=1)) == (3, 0, 2)
        reason = "its output deep/c.cray is already that of deep/c.png"
        assert failures("out") == {"deep/c.tif": reason, "deep/c.webp": reason}
        assert tree("out")["deep/c.cray"] == crayoncodec.encode(Image.open("in/deep/c.png"))

    def test_bad_files_stop_nothing(self):
        Path("in/text.jpg").write_text("text")
        Path("in/empty.png").touch()
        Path("in/cut.png").write_bytes(Path("in/a.png").read_bytes()[:200])
        assert counts(encode(code=1)) == (3, 0, 3)
        assert {*failures("out")} == {"text.jpg", "empty.png", "cut.png"}
        assert {*tree("out")} == {"a.cray", "deep/er/b.cray", "deep/c.cray"}
        line = json.loads((STATE / "report.jsonl").read_text().splitlines()[0])
        assert line.keys() == {"source", "reason", "code", "seconds", "warnings"}
        # They are tried again, and may be better by then.
        draw("in/text.jpg", 5)
        assert counts(encode("--report", "other.jsonl", code=1)) == (1, 3, 2)
        assert json.loads(Path("other.jsonl").read_text().splitlines()[-1])["totals"]["skipped"] == 3

    def test_names_need_not_be_text(self):
        name = b"in/\xff.png"
        shutil.copy("in/a.png", name)
        encode()
        assert os.path.exists(b"out/\xff.cray")  # noqa: PTH110
        assert counts(encode()) == (0, 4, 0)

    def test_warnings_are_counted(self):
        frames = [Image.open("in/a.png"), Image.open("in/deep/c.webp")]
        frames[0].save("in/moving.gif", save_all=True, append_images=frames[1:])
        assert encode()["warned"] == 1
        assert any(line.get("warnings") == ["2 frames, only the first is stored"] for line in manifest())
        assert encode()["warned"] == 1


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


class TestRefusals:
    def test_one_batch_at_a_time(self):
        STATE.mkdir(parents=True)
        with FileLock(STATE / "lock"):
            assert "another batch is at work in" in encode(code=2)
            assert "another batch is at work in" in encode("--state", "state", code=2)
        assert counts(encode("--state", "state")) == (3, 0, 0)
        assert counts(encode("--state", "state")) == (0, 3, 0)
        assert Path("state/report.jsonl").exists()
        assert not (STATE / "manifest.jsonl").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("encode", "nowhere", "out"), "nowhere does not exist, expected a folder, a list of files"),
            (("encode", "in/a.png", "out"), "in/a.png is a file to convert, expected a folder, or a list"),
            (("encode", "in/deep/er", "in/notes.txt"), "Not a directory"),
            (("decode", "in", "out"), "nothing to do"),
            (("decode", "in", "out", "--extension", "png"), "expected one like .png"),
            (
                ("decode", "in", "out", "--color", "gray", "--model", "nested"),
                "--model is for --color neural",
            ),
            (("encode", "in", "out", "--lossless", "-q", "3"), "--lossless has no --quality"),
            (("encode", "in", "out", "--ray-address", "auto"), "are for --engine ray"),
            (("encode", "in", "nonesuch://x/y"), "nonesuch://x/y cannot be opened"),
        ],
    )
    def test_usage(self, arguments, message):
        assert message in batch(*arguments, code=1 if message == "Not a directory" else 2)

    def test_a_device_that_is_not_there_stops_all(self, monkeypatch):
        encode()
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        message = batch("decode", "out", "back", "--color", "neural", "--device", "cuda", "-j", "1", code=2)
        assert "device cuda is not available here" in message
        assert message.count("\n") == 1

    def test_a_checkpoint_that_is_not_there_stops_all(self):
        encode()
        assert "no checkpoint 'nonesuch'" in batch("decode", "out", "back", "--model", "nonesuch", code=4)
        assert not Path("back").exists()


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


def test_a_terminal_shows_progress():
    Path("in/bad.jpg").write_text("bad")
    terminal, end = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    os.set_blocking(terminal, False)
    command = [sys.executable, "-m", "crayoncodec", "batch", "encode", "in", "out", "-j", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, timeout=60, check=False)
    shown = os.read(terminal, 10_000)
    os.close(terminal)
    os.close(end)
    assert b"/4 [" in shown
    assert b"1 failed" in shown
    assert b"cray: bad.jpg: not an image in a format that Pillow reads" in shown
    assert done.stdout.startswith(b"3 done, 0 done before, 1 failed: ")
