"""``cray batch`` with processes of this machine: what is done, told, and left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from archives import STATE, batch, counts, draw, encode, failures, manifest, tree
from click.testing import CliRunner
from filelock import FileLock
from PIL import Image

import crayoncodec
from crayoncodec.commands.cray import main


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
        totals = batch("decode", "out", "back", "--color", "guided", "--extension", "webp", "-j", "1")
        assert {*tree("back")} == {"a.webp", "deep/er/b.webp", "deep/c.webp"}
        with Image.open("back/a.webp") as picture:
            assert picture.size == (32, 24)
        assert counts(totals) == (3, 0, 0)

    def test_smaller_pictures_are_others(self):
        encode()
        for scale, size in {"1/8": (4, 3), "1/2": (16, 12)}.items():
            totals = batch("decode", "out", "back", "--scale", scale, "-j", "1")
            assert counts(totals) == (3, 0, 0)
            with Image.open("back/a.png") as picture:
                assert picture.size == size
            assert counts(batch("decode", "out", "back", "--scale", scale, "-j", "1")) == (0, 3, 0)

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
        reason = "its output deep/c.cray is already that of deep/c.png, --keep-extension gives each its own"
        assert failures("out") == {"deep/c.tif": reason, "deep/c.webp": reason}
        assert tree("out")["deep/c.cray"] == crayoncodec.encode(Image.open("in/deep/c.png"))
        # Which is no other way of encoding: what there is stays.
        assert counts(encode("--keep-extension")) == (5, 0, 0)
        assert counts(encode("--keep-extension")) == (0, 5, 0)
        assert {"deep/c.png.cray", "deep/c.tif.cray", "deep/c.webp.cray"} <= {*tree("out")}
        assert counts(batch("decode", "out", "back", "--color", "gray", "-j", "1")) == (8, 0, 0)
        assert {"deep/c.png.png", "deep/c.tif.png", "deep/c.webp.png", "deep/c.png"} <= {*tree("back")}

    def test_lines_that_name_no_path_fail_alone(self):
        lines = [
            '{"source": "in/a.png"}', '{"source": "in/a.png", "target": 5}', '{"source": null}',
            '{"source": ["in/a.png"]}', '{"source": "in/a.png", "target": null}', '{"target": "a.cray"}',
            '{"source": "in/a.png", "target": ""}', '{"source": ' + "[" * 100_000, "{}", '{"source": ""}',
        ]  # fmt: skip
        Path("list").write_text("\n".join(lines))
        assert counts(encode(source="list", code=1)) == (1, 0, len(lines) - 1)
        reason = 'is neither a path nor {"source": PATH, "target": PATH}'
        assert failures("out") == {f"list, line {number}": reason for number in range(2, len(lines) + 1)}
        assert {*tree("out")} == {"in/a.cray"}

    def test_targets_that_are_no_names(self):
        pairs = [{"source": "in/a.png", "target": target} for target in ("a\0b.cray", "\ud800.cray", "in")]
        Path("list").write_text("".join(json.dumps(pair) + "\n" for pair in pairs) + "in/a.png\n")
        Path("out/in").mkdir(parents=True)
        assert counts(encode(source="list", code=1)) == (1, 0, 3)

    def test_clutter_is_left_out_and_counted(self, close_folders):
        for name in ("in/._a.png", "in/deep/._c.webp", "in/._notes.txt"):
            Path(name).write_bytes(b"\0\5\x16\7")
        for folder in ("in/.Trashes", "in/lost+found"):
            Path(folder).mkdir()
        close_folders(".Trashes", "lost+found")
        totals = encode(code=1)
        assert (counts(totals), totals["left_out"]) == ((3, 0, 1), 3)
        assert failures("out") == {"lost+found/": "Permission denied"}
        result = CliRunner().invoke(main, ["batch", "encode", "in", "out", "-j", "1"])
        assert "1 failed, 3 left out (._* files of macOS, dot folders that cannot be read): " in result.stdout

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

    def test_failures_beyond_the_first_are_in_the_report(self):
        for number in range(12):
            Path(f"in/{number}.png").write_text("text")
        result = CliRunner().invoke(main, ["batch", "encode", "in", "out", "-j", "1"])
        *shown, last = result.stderr.splitlines()
        assert len(shown) == 10
        report = Path.cwd() / STATE / "report.jsonl"
        assert last == f"cray: batch: 12 failed, the first 10 are above: see {report}"
        Path("in/0.png").unlink()
        Path("in/1.png").unlink()
        result = CliRunner().invoke(main, ["batch", "encode", "in", "out", "-j", "1"])
        assert result.stderr.splitlines()[-1] == f"cray: batch: 10 failed: see {report}"

    def test_warnings_are_counted(self):
        shutil.rmtree("in/deep")
        draw("in/a.png", 1, 100, 100)
        draw("in/b.png", 2, 100, 100)
        frames = [Image.open("in/a.png"), Image.open("in/b.png")]
        frames[0].save("in/moving.gif", save_all=True, append_images=frames[1:])
        assert encode()["warned"] == 1
        assert any("2 frames, only the first is stored" in line.get("warnings", []) for line in manifest())
        assert encode()["warned"] == 1


class TestRefusals:
    def test_what_the_batch_keeps_is_no_target(self):
        targets = [".cray-batch/manifest.jsonl", ".cray-batch/new.cray", "x/.CRAY-BATCH/y", "report.cray",
                   "state/manifest.jsonl", "./.cray-batch/lock", "link.cray"]  # fmt: skip
        Path("out").mkdir()
        Path("out/link.cray").symlink_to(".cray-batch/manifest.jsonl")
        pairs = [{"source": "in/a.png", "target": target} for target in (*targets, "fine.cray")]
        Path("list").write_text("\n".join(map(json.dumps, pairs)))
        for overwrite in ([], ["--overwrite"]):
            totals = encode(
                "--state", "out/state", "--report", "out/report.cray", *overwrite, source="list", code=1
            )
            assert totals["failed"] == len(targets)
            *lines, _ = map(json.loads, Path("out/report.cray").read_text().splitlines())
            assert all(line["reason"].endswith("is what the batch itself keeps or reads") for line in lines)
        assert Path("out/state/manifest.jsonl").read_bytes().startswith(b'{"job"')

    def test_a_target_that_is_too_long_fails_alone(self):
        pairs = [{"source": "in/a.png", "target": target} for target in ("x" * 300 + ".cray", "fine.cray")]
        Path("list").write_text("\n".join(map(json.dumps, pairs)))
        assert encode(source="list", code=1)["failed"] == 1
        assert Path("out/fine.cray").exists()

    def test_nor_is_its_list(self):
        Path("list.jsonl").write_text('{"source": "in/a.png", "target": "list.jsonl"}\n')
        batch("encode", "list.jsonl", ".", "--overwrite", "-j", "1", code=1)
        assert Path("list.jsonl").read_text().startswith('{"source"')

    @pytest.mark.parametrize("how", ["name", "symlink", "hardlink", "another", "link to another"])
    def test_sources_are_no_targets(self, how):
        target = "b.png" if "another" in how else "a.png"
        draw("in/b.png", 8)
        before = {path.name: path.read_bytes() for path in Path("in").glob("*.png")}
        if how == "symlink":
            Path("in/x.cray").symlink_to("a.png")
        elif how == "hardlink":
            os.link("in/a.png", "in/x.cray")
        elif how == "link to another":
            Path("in/x.cray").symlink_to("b.png")
        name = target if how in ("name", "another") else "x.cray"
        Path("in/list").write_text(json.dumps({"source": "a.png", "target": name}))
        for overwrite in ([], ["--overwrite"]):
            batch("encode", "in/list", "in", "-j", "1", *overwrite, code=1)
            (reason,) = failures("in").values()
            assert reason == f"its output {name} is " + (
                "another source" if "another" in how else "its source"
            )
        assert before == {path.name: path.read_bytes() for path in Path("in").glob("*.png")}

    @pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
    def test_links_that_lead_outside(self, overwrite):
        for folder in ("out", "outside"):
            Path(folder).mkdir()
        Path("outside/there").write_text("precious")
        Path("out/a.cray").symlink_to("../outside/there")
        Path("out/deep").symlink_to("../outside")
        assert counts(encode(*overwrite, code=1)) == (0, 0, 3)
        assert {*failures("out").values()} == {
            f"its output {name} is not below the destination: a link leads out of it"
            for name in ("a.cray", "deep/c.cray", "deep/er/b.cray")
        }
        assert tree("outside") == {"there": b"precious"}

    def test_links_inside_are_followed_if_asked(self):
        Path("out").mkdir()
        Path("out/a.cray").symlink_to("real")  # to nothing yet
        assert counts(encode(code=1)) == (2, 0, 1)
        assert not Path("out/real").exists()
        assert counts(encode("--overwrite")) == (1, 2, 0)
        assert Path("out/a.cray").is_symlink()
        assert crayoncodec.is_cray(Path("out/real").read_bytes())

    def test_a_destination_that_is_a_link(self):
        Path("real").mkdir()
        Path("out").symlink_to("real")
        assert counts(encode()) == (3, 0, 0)
        assert {"a.cray", "deep/c.cray"} <= {*tree("real")}

    def test_one_batch_at_a_time(self):
        STATE.mkdir(parents=True)
        with FileLock(STATE / "lock"):
            assert "another batch is at work in" in encode(code=2)
            assert "another batch is at work in" in encode("--state", "state", code=2)
        assert counts(encode("--state", "state")) == (3, 0, 0)
        assert counts(batch("encode", "in", "elsewhere", "--state", ".", "-j", "1")) == (3, 0, 0)
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
            (("decode", "in", "out", "--extension", "."), "expected one like .png"),
            (("decode", "in", "out", "--extension", "a/b"), "expected one like .png"),
            (("decode", "in", "out", "--extension", "xyz"), "--extension '.xyz' is no format that"),
            (
                ("encode", "in", "out", "-n", "9", "--color-quality", "1"),
                "-n does not go with --color-quality",
            ),
            (
                ("decode", "in", "out", "--color", "gray", "--model", "nested"),
                "--model is for --color neural",
            ),
            (("encode", "in", "out", "--lossless", "-q", "3"), "--lossless-lightness has no --quality"),
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
