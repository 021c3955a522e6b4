"""``cray encode``: what it prints, writes and exits with. It never shows a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commandline import GUIDED, PHOTO, cray, names, process
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec.files import atomic

pytestmark = pytest.mark.usefixtures("folder")


class TestEncode:
    def test_beside_the_input_with_the_defaults(self):
        cray("encode", "photo.png", "--overwrite")
        assert Path("photo.cray").read_bytes() == crayoncodec.encode(
            Image.open("photo.png"), quality=80, color_quality=80, lightness="avif", effort=5
        )

    @pytest.mark.parametrize(
        ("arguments", "options"),
        [
            (["-n", "1"], {"n": 1}),
            (["--spacing", "65535"], {"n": 65535}),
            (["-q", "0"], {"quality": 0}),
            (["--quality", "100"], {"quality": 100}),
            (["--lossless-lightness"], {"lossless": True}),
            (["--lossless"], {"lossless": True}),
            (["--lossless", "--lightness", "zstd"], {"lossless": True, "lightness": "zstd"}),
            (["--lossless", "--lightness", "webp"], {"lossless": True, "lightness": "webp"}),
            (["--lightness", "webp", "-q", "50"], {"lightness": "webp", "quality": 50}),
            (["--lightness", "avif"], {"lightness": "avif"}),
            (["-n", "4", "--sampling", "point"], {"n": 4, "sampling": "point"}),
            (["--color-quality", "30"], {"color_quality": 30}),
            (["-q", "70", "--max-delta-e", "4.5"], {"quality": 70, "max_delta_e": 4.5}),
            (["--target-size", "1500"], {"target_size": 1500}),
        ],
    )
    def test_options(self, arguments, options):
        cray("encode", "photo.png", "-o", "out.cray", *arguments)
        assert Path("out.cray").read_bytes() == crayoncodec.encode(PHOTO, **options)

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (["photo.png", "-n", "0"], "0 is not in the range 1<=x<=65535"),
            (["photo.png", "-n", "65536"], "65536 is not in the range"),
            (["photo.png", "-n", "many"], "'many' is not a valid integer"),
            (["photo.png", "-q", "101"], "101 is not in the range 0<=x<=100"),
            (["photo.png", "-q", "-1"], "-1 is not in the range"),
            (["photo.png", "-j", "0"], "0 is not in the range x>=1"),
            (["photo.png", "--sampling", "median"], "'median' is not one of 'mean', 'point'"),
            (["photo.png", "--lightness", "png"], "'png' is not one of 'zstd', 'webp', 'avif'"),
            (["photo.png", "--lightness", "zstd"], "expected --lossless-lightness with it"),
            (["photo.png", "--lightness", "avif", "--lossless"], "expected webp or zstd"),
            (["photo.png", "--nonesuch"], "--nonesuch"),
            ([], "Missing argument 'IN...'"),
            (["."], ". is a directory, expected a file or -r"),
            ([".", "-r", "-o", "-"], "several inputs cannot share standard output"),
            (["photo.png", "photo.png", "-o", "-"], "several inputs cannot share standard output"),
            (["-", "/dev/fd/0"], "several inputs without a name cannot share standard output"),
            (["photo.png", "--lossless", "-q", "80"], "--lossless-lightness has no --quality"),
            ([""], "a file name is empty"),
            (["photo.png", "-o", ""], "a file name is empty"),
            (["photo.png", "-", "-o", "."], "standard input has no name"),
            (["photo.png", "-n", "20", "--color-quality", "3"], "-n does not go with --color-quality, "),
            (
                ["photo.png", "--max-delta-e", "4", "--target-size", "9"],
                "--max-delta-e does not go with",
            ),
            (["photo.png", "--target-size", "9", "--lossless"], "does not go with --lossless-lightness, "),
            (["photo.png", "--sampling", "point"], "--sampling is of one grid, expected -n with it"),
        ],
    )
    def test_usage_errors(self, arguments, text):
        before = names()
        last = cray("encode", *arguments, code=2).stderr.splitlines()[-1]
        assert last.startswith("Error: ")
        assert text in last
        assert names() == before

    def test_an_empty_folder_is_a_usage_error(self):
        Path("empty").mkdir()
        assert "nothing to do in empty" in cray("encode", "-r", "empty", code=2).stderr

    @pytest.mark.parametrize(
        ("content", "code", "text"),
        [
            (b"", 3, "not an image in a format that Pillow reads"),
            (b"text", 3, "not an image in a format that Pillow reads"),
            (b"\x89PNG\r\n\x1a\n", 3, "not an image|cannot be decoded"),
            (None, 1, "No such file or directory"),
        ],
    )
    def test_inputs_that_are_no_pictures(self, content, code, text):
        if content is not None:
            Path("bad.png").write_bytes(content)
        result = cray("encode", "bad.png", code=code)
        assert re.fullmatch(f"cray: bad.png: .*({text}).*\n", result.stderr)
        assert result.stdout == ""
        assert not Path("bad.cray").exists()

    def test_an_unreadable_file(self):
        Path("loop.png").symlink_to("loop.png")
        assert (
            cray("encode", "loop.png", code=1).stderr == "cray: loop.png: Too many levels of symbolic links\n"
        )

    @pytest.mark.parametrize("command", ["encode -r in -o out", "batch encode in out"])
    def test_a_link_that_goes_round_stops_no_tree(self, command):
        Path("in").mkdir()
        Path("out").mkdir()
        for name in ("in/loop", "in/loop.png", "in/also.png"):
            Path(name).symlink_to(Path(name).name)
        shutil.copy("photo.png", "in/photo.png")
        result = cray(*command.split(), code=1)
        assert Path("out/photo.cray").exists()
        assert result.stderr.count(".png: ") == 2
        assert "in/loop: " not in result.stderr  # it is no picture

    def test_names_that_are_too_long(self):
        result = cray("encode", "x" * 300, "photo.png", "--overwrite", code=1)
        assert "File name too long" in result.stderr
        assert "photo.png -> photo.cray" in result.stdout
        longest = "x" * 250
        shutil.copy("photo.png", longest)
        cray("encode", longest)
        assert Path(f"{longest}.cray").exists()

    def test_names_that_are_no_text(self):
        os.link(b"photo.png", b"\xff.png")
        done = process(
            sys.executable,
            "-m",
            "crayoncodec",
            "encode",
            b"\xff.png",
            env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"\xff.png -> \xff.cray")

    def test_one_bad_input_does_not_stop_the_others(self):
        Path("bad.png").write_bytes(b"bad")
        shutil.copy("photo.png", "second.png")
        result = cray("encode", "photo.png", "bad.png", "nonesuch.png", "second.png", "--overwrite", code=1)
        assert [line.split(":")[1] for line in result.stderr.splitlines()] == [" bad.png", " nonesuch.png"]
        assert [line.split(" -> ")[0] for line in result.stdout.splitlines()] == ["photo.png", "second.png"]
        assert Path("second.cray").read_bytes() == crayoncodec.encode(PHOTO)

    def test_two_inputs_with_one_output(self):
        shutil.copy("photo.png", "photo.bmp")
        Path("photo.cray").unlink()
        result = cray(
            "encode", "photo.png", "photo.bmp", "photo.png", "../" + Path.cwd().name + "/photo.png", code=1
        )
        assert result.stdout.count("photo.png -> photo.cray") == 1
        assert result.stderr.count("is already that of photo.png") == 3

    def test_each_has_its_own_output_with_its_extension_kept(self):
        shutil.copy("photo.png", "photo.bmp")
        Path("photo.cray").unlink()
        error = cray("encode", "photo.png", "photo.bmp", code=1).stderr
        assert error == (
            "cray: photo.bmp: its output photo.cray is already that of photo.png, "
            "--keep-extension gives each its own\n"
        )
        # Not where it would not help.
        same = cray("encode", "photo.png", "photo.png", "--keep-extension", code=1).stderr
        assert same == "cray: photo.png: its output photo.png.cray is already that of photo.png\n"
        cray("encode", "photo.png", "photo.bmp", "--keep-extension", "--overwrite")
        assert {"photo.png.cray", "photo.bmp.cray"} <= {*names()}
        cray(*GUIDED, "photo.png.cray", "photo.bmp.cray")
        assert {"photo.png.png", "photo.bmp.png"} <= {*names()}
        Path("out").mkdir()
        cray("encode", "-r", ".", "-o", "out", "--keep-extension")
        assert {"photo.png.cray", "photo.bmp.cray"} <= {*names("out")}

    @pytest.mark.parametrize("command", [("encode",), GUIDED])
    @pytest.mark.parametrize("other", [None, "symlink", "hardlink"])
    def test_an_input_is_never_an_output(self, command, other):
        name = "photo.png" if command[0] == "encode" else "photo.cray"
        before, output = Path(name).read_bytes(), name if other is None else "other"
        if other == "symlink":
            Path("other").symlink_to(name)
        elif other == "hardlink":
            os.link(name, "other")
        for overwrite in ([], ["--overwrite"]):
            error = cray(*command, name, "-o", output, *overwrite, code=1).stderr
            assert error == f"cray: {name}: its output {output} is the input {name}, expected another name\n"
        assert Path(name).read_bytes() == before

    def test_nor_that_of_another_input(self):
        shutil.copy("photo.png", "second.png")
        Path("photo.cray").unlink()
        Path("photo.cray").symlink_to("second.png")
        result = cray("encode", "photo.png", "second.png", "--overwrite", code=1)
        assert "its output photo.cray is the input second.png, expected another" in result.stderr
        assert Path("second.png").read_bytes() == Path("photo.png").read_bytes()
        assert Path("second.cray").exists()

    def test_an_extension_that_says_something_else(self):
        result = cray("encode", "photo.png", "-o", "out.jpg")
        assert (
            result.stderr == "cray: photo.png: warning: it is a .cray file in spite of its extension .jpg\n"
        )
        for name in ("out.CRAY", "out"):
            assert cray("encode", "photo.png", "-o", name).stderr == ""

    def test_what_came_out_larger(self):
        Image.new("RGB", (4, 4)).save("tiny.png")
        size = Path("tiny.png").stat().st_size
        result = cray("encode", "tiny.png", "--json")
        line = json.loads(result.stdout)
        assert line["warnings"] == [f"it is larger than its source: {line['output_bytes']} bytes, not {size}"]
        assert line["warnings"][0] in result.stderr
        assert cray("decode", "tiny.cray", "-o", "out.png", "--color", "gray").stderr == ""

    def test_clutter_is_left_out_of_trees_and_counted(self, close_folders):
        for folder in ("in/open", "in/closed", "in/.Trashes/501"):
            Path(folder).mkdir(parents=True)
        for name in ("in/a.png", "in/._a.png", "in/open/._b.png", "in/._notes.txt", "in/closed/c.png"):
            shutil.copy("photo.png", name)
        close_folders("closed", "501")
        Path("out").mkdir()
        result = cray("encode", "-r", "in", "-o", "out", code=1)
        assert names("out") == ["a.cray"]
        assert result.stderr.splitlines() == [
            "cray: in/closed: Permission denied",
            "cray: 3 left out: ._* files of macOS, dot folders that cannot be read",
        ]
        # By its name it is taken.
        cray("encode", "in/._a.png")
        assert Path("in/._a.cray").exists()

    def test_outputs_that_exist_stay_without_overwrite(self):
        Path("photo.cray").write_bytes(b"old")
        text = "cray: photo.png: photo.cray exists, use --overwrite to replace it\n"
        assert cray("encode", "photo.png", code=1).stderr == text
        assert Path("photo.cray").read_bytes() == b"old"
        cray("encode", "photo.png", "--overwrite")
        assert Path("photo.cray").read_bytes() == crayoncodec.encode(PHOTO)

    def test_a_failure_leaves_what_was_there(self):
        Path("photo.png").write_bytes(Path("photo.png").read_bytes()[:-100])
        Path("photo.cray").write_bytes(b"old")
        cray("encode", "photo.png", "--overwrite", code=3)
        assert Path("photo.cray").read_bytes() == b"old"

    def test_a_folder_where_the_output_belongs(self):
        Path("taken.cray").mkdir()
        shutil.copy("photo.png", "taken.png")
        assert "exists, use --overwrite" in cray("encode", "taken.png", code=1).stderr
        assert (
            cray("encode", "taken.png", "--overwrite", code=1).stderr == "cray: taken.png: Is a directory\n"
        )

    def test_into_a_folder(self):
        Path("out").mkdir()
        cray("encode", "photo.png", "-o", "out")
        cray("encode", "photo.png", "-o", "out/", "--overwrite")
        assert names("out") == ["photo.cray"]

    def test_into_a_folder_that_does_not_exist(self):
        for output, folder in (("nonesuch/out.cray", "nonesuch"), ("nonesuch/", "nonesuch/")):
            text = f"cray: photo.png: output directory {folder} does not exist\n"
            assert cray("encode", "photo.png", "-o", output, code=1).stderr == text
            assert not Path("nonesuch").exists()
        both = cray("encode", "photo.png", "photo.png", "-o", "nonesuch", code=1).stderr
        assert both.count("output directory nonesuch does not exist\n") == 1

    def test_links_are_followed_and_permissions_kept(self):
        Path("real.cray").write_bytes(b"old")
        Path("real.cray").chmod(0o600)
        Path("link.cray").symlink_to("real.cray")
        cray("encode", "photo.png", "-o", "link.cray", "--overwrite")
        assert Path("link.cray").is_symlink()
        assert crayoncodec.is_cray(Path("real.cray").read_bytes())
        assert Path("real.cray").stat().st_mode & 0o777 == 0o600

    def test_a_device_is_written_to_and_stays_one(self):
        cray("encode", "photo.png", "-o", "/dev/null")
        assert not Path("/dev/null").is_file()

    def test_trees_are_kept(self):
        for name in ("in/a.png", "in/deep/er/b.PNG", "in/deep/c.png"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy("photo.png", name)
        for name in ("in/notes.txt", "in/paper.pdf", "in/photo.cray", "in/none"):
            Path(name).write_bytes(b"not taken")
        Path("out").mkdir()
        cray("encode", "-r", "in", "-o", "out")
        assert names("out") == ["a.cray", "deep/c.cray", "deep/er/b.cray"]
        cray(*GUIDED, "-r", "out", "-o", "out")
        assert names("out") == sorted(
            name + end for name in ("a", "deep/c", "deep/er/b") for end in (".cray", ".png")
        )
        cray("encode", "-r", "in")
        assert Path("in/deep/er/b.cray").exists()

    def test_standard_streams(self):
        data = Path("photo.png").read_bytes()
        expected = crayoncodec.encode(PHOTO)
        for arguments in (["-"], ["-", "-o", "-"], ["photo.png", "-o", "-"]):
            result = cray("encode", *arguments, stdin=data)
            assert result.stdout_bytes == expected
            assert result.stderr.startswith(f"{arguments[0]} -> -: 60 x 40, ")
        cray("encode", "-", "-o", "out.cray", stdin=data)
        assert Path("out.cray").read_bytes() == expected
        assert cray("encode", "-", stdin=b"", code=3).stdout_bytes == b""

    def test_what_is_printed_never_mixes_with_a_picture(self):
        result = cray("encode", "photo.png", "-", "--overwrite", stdin=Path("photo.png").read_bytes())
        assert result.stdout_bytes == crayoncodec.encode(PHOTO)
        assert len(result.stderr.splitlines()) == 2

    def test_devices_are_written_to_and_not_replaced(self):
        os.mkfifo("pipe.cray")
        reader = subprocess.Popen(["cat", "pipe.cray"], stdout=subprocess.PIPE)
        cray("encode", "photo.png", "-o", "pipe.cray", "--overwrite")
        assert reader.communicate(timeout=20)[0] == crayoncodec.encode(PHOTO)
        assert Path("pipe.cray").is_fifo()

    def test_several_at_a_time(self):
        Path("bad.png").write_bytes(b"bad")
        for name in "abc":
            Image.fromarray(photo(30, 30, ord(name))).save(f"{name}.png")
        arguments = ["a.png", "bad.png", "-", "b.png", "c.png", "-j", "2", "--json"]
        done = process(
            sys.executable, "-m", "crayoncodec", "encode", *arguments, input=Path("photo.png").read_bytes()
        )
        assert done.returncode == 1
        assert done.stdout == crayoncodec.encode(PHOTO)
        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
        assert [(line["input"], line["code"]) for line in lines] == [
            ("a.png", 0), ("bad.png", 3), ("-", 0), ("b.png", 0), ("c.png", 0)
        ]  # fmt: skip
        for name in "abc":
            assert Path(f"{name}.cray").read_bytes() == crayoncodec.encode(photo(30, 30, ord(name)))

    def test_what_a_kill_left_is_swept_a_day_later(self):
        atomic._sweep.cache_clear()
        old, new, others = ".cray-0123456789abcdef.tmp", ".cray-fedcba9876543210.tmp", ".cray-mine.tmp"
        for name in (old, new, others):
            Path(name).touch()
        for name in (old, others):
            os.utime(name, (0, time.time() - 25 * 60 * 60))
        crayoncodec.write("out.cray", PHOTO)
        assert [name for name in (old, new, others) if Path(name).exists()] == [new, others]
        Path(new).unlink()
        Path(others).unlink()

    def test_warnings_are_told_and_do_no_harm(self):
        frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1])]
        frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
        result = cray("encode", "moving.gif", "--quiet")
        assert "cray: moving.gif: warning: 2 frames, only the first is stored\n" in result.stderr
        assert result.stdout == ""
