"""The ``cray`` command: what it prints, writes and exits with. It never shows a traceback."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from memory import at_most
from pictures import curved_profile, photo
from PIL import Image

import crayoncodec
from crayoncodec import codec
from crayoncodec.commands.cray import main
from crayoncodec.encoding.encoder import pixel_step
from crayoncodec.files import atomic, jobs
from crayoncodec.format import chunks
from crayoncodec.machine.process import models_folder
from crayoncodec.painting import checkpoints

PHOTO = photo(40, 60)
GUIDED = ("decode", "--color", "guided")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with photo.png, photo.cray, grid.cray (one grid) and damaged.cray in it."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("photo.png")
    data = crayoncodec.encode(PHOTO)
    Path("photo.cray").write_bytes(data)
    Path("grid.cray").write_bytes(crayoncodec.encode(PHOTO, n=20))
    Path("damaged.cray").write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    return tmp_path


def cray(*arguments, code=0, stdin=b""):
    """Run the command in this process; errors are one line each, and nothing half done is left over."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not [path for path in Path().rglob("*") if path.name.endswith(".tmp")]
    if not result.stderr.startswith("Usage: "):
        assert all(
            re.match(r"cray: |.* -> -: |.* -> .*\.cray: |\{", line) for line in result.stderr.splitlines()
        )
    return result


def names(folder="."):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def process(*arguments, **options):
    return subprocess.run([*arguments], capture_output=True, timeout=60, check=False, **options)


def commands(group=main, path=()):
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [*commands()], ids=" ".join)
def test_help_has_an_example(path):
    for option in ("-h", "--help"):
        help_text = cray(*path, option).stdout
        assert f"Example: cray {' '.join(path)}" in help_text
        assert all(len(line) <= 80 for line in help_text.splitlines())


@pytest.mark.parametrize("command", [("cray",), ("crayoncodec",), (sys.executable, "-m", "crayoncodec")])
def test_it_is_installed_under_three_names(command):
    command = (Path(sys.executable).with_name(command[0]) if len(command) == 1 else command[0], *command[1:])
    done = process(*command, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"cray, version {crayoncodec.__version__}\n".encode(),
        b"",
    )
    assert b"Usage: cray" in process(*command, "--help").stdout


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
        codec._sweep.cache_clear()
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


def die_of(data, extension):
    """A conversion that takes its process with it, unless the target is a good one."""
    if extension == ".bad":
        os._exit(1)
    return data, {}


def test_only_the_job_that_kills_its_worker_fails():
    planned = [jobs.Job("photo.png", target) for target in ("a.bad", "b.good", "c.good", "d.bad", "e.good")]
    outcomes = [*jobs.run(planned, die_of, workers=2)]
    assert [outcome.job for outcome in outcomes] == planned
    assert {outcome.error for outcome in outcomes if outcome.code} == {"its process died, out of memory?"}
    assert [outcome.code for outcome in outcomes] == [1, 0, 0, 1, 0]
    assert [name for name in names() if name.endswith(".good")] == ["b.good", "c.good", "e.good"]


def test_whatever_goes_wrong_with_one_file_the_others_are_done():
    def convert(data, extension):
        if extension == ".bad":
            raise RuntimeError("something\nnobody thought of")
        return data, {}

    outcomes = [*jobs.run([jobs.Job("photo.png", "a.bad"), jobs.Job("photo.png", "b.good")], convert)]
    assert [outcome.error for outcome in outcomes] == ["RuntimeError something nobody thought of", None]


@pytest.mark.parametrize(
    "command", [("encode", "photo.png"), ("verify", "photo.cray"), ("info", "photo.cray")]
)
def test_an_interrupt_that_comes_as_another_error(command, monkeypatch):
    def stopped(*_, **__):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Error calling __set_name__") from error

    for name in ("codec.encode", "codec.verify", "cli.read_info"):
        monkeypatch.setattr(f"crayoncodec.{name}", stopped)
    assert cray(*command, "--json", *["--overwrite"] * (command[0] == "encode"), code=130).stderr == (
        "cray: interrupted\n"
    )


class TestDecode:
    @pytest.mark.parametrize("color", codec.COLORS)
    def test_beside_the_input(self, color):
        cray("decode", "photo.cray", "--color", color, "--device", "cpu", "--overwrite")
        expected = crayoncodec.decode(Path("photo.cray").read_bytes(), color=color)
        assert np.array_equal(np.asarray(Image.open("photo.png").convert("RGB")), expected)

    @pytest.mark.parametrize(("quality", "kind"), [("80", "guided"), ("40", "neural")])
    def test_a_network_is_the_default_where_it_is_worth_it(self, quality, kind):
        cray("encode", "photo.png", "-q", quality, "-o", "q.cray")
        for color in ("auto", "neural", "guided"):
            cray("decode", "q.cray", "-o", f"{color}.png", "--color", color)
        cray("decode", "q.cray", "-o", "default.png")
        cray("decode", "q.cray", "-o", "named.png", "--model", "nested")
        default, auto, neural, guided, named = (
            Path(f"{name}.png").read_bytes() for name in ("default", "auto", "neural", "guided", "named")
        )
        assert default == auto == {"neural": neural, "guided": guided}[kind]
        assert named == neural != guided

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.webp", "WEBP"), ("a.avif", "AVIF"),
         ("a.tif", "TIFF"), ("a.bmp", "BMP"), ("a.gif", "GIF"), ("a.ppm", "PPM"), ("a", "PNG")],
    )  # fmt: skip
    def test_the_extension_says_the_format(self, name, kind):
        cray(*GUIDED, "photo.cray", "-o", name)
        with Image.open(name) as image:
            assert (image.format, image.size) == (kind, (60, 40))

    def test_extensions_that_are_no_format(self):
        result = cray(*GUIDED, "photo.cray", "-o", "out.txt", code=3)
        assert result.stderr == "cray: photo.cray: extension '.txt' is no format that Pillow writes\n"
        assert not Path("out.txt").exists()

    def test_standard_streams(self):
        result = cray(*GUIDED, "-", stdin=Path("photo.cray").read_bytes())
        assert Image.open(io.BytesIO(result.stdout_bytes)).size == (60, 40)
        assert result.stderr.startswith("- -> -: 60 x 40, ")
        assert cray(*GUIDED, "photo.cray", "-o", "-", "--json").stdout_bytes == result.stdout_bytes

    def test_several_at_a_time(self):
        for name in "abc":
            shutil.copy("photo.cray", f"{name}.cray")
        arguments = [
            "a.cray",
            "damaged.cray",
            "-",
            "b.cray",
            "c.cray",
            "-j",
            "2",
            "--json",
            "--device",
            "cpu",
        ]
        done = process(
            sys.executable, "-m", "crayoncodec", "decode", *arguments, input=Path("photo.cray").read_bytes()
        )
        assert done.returncode == 1
        cray("decode", "photo.cray", "-o", "alone.png")
        expected = Path("alone.png").read_bytes()
        assert done.stdout == expected
        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
        assert [(line["input"], line["code"]) for line in lines] == [
            ("a.cray", 0), ("damaged.cray", 3), ("-", 0), ("b.cray", 0), ("c.cray", 0)
        ]  # fmt: skip
        assert all(Path(f"{name}.png").read_bytes() == expected for name in "abc")

    def test_options_are_named_as_they_are_typed(self):
        error = cray("decode", "photo.cray", "--backend", "opencv", "--device", "cuda", code=2).stderr
        assert "--backend opencv is for CPUs, expected torch with --device cuda" in error

    def test_damaged_files(self):
        result = cray(*GUIDED, "damaged.cray", code=3)
        assert "CRC-32" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        Path("empty.cray").write_bytes(b"")
        assert "not a .cray file: empty" in cray(*GUIDED, "empty.cray", code=3).stderr
        cray(*GUIDED, "nonesuch.cray", code=1)
        assert not {"damaged.png", "empty.png", "nonesuch.png"} & {*names()}

    def test_damage_in_the_grid_leaves_the_lightness(self):
        data = bytearray(Path("photo.cray").read_bytes())
        data[data.index(b"GRID") + 10] ^= 1
        Path("photo.cray").write_bytes(data)
        cray(*GUIDED, "photo.cray", "-o", "out.png", code=3)
        assert not Path("out.png").exists()
        result = cray("decode", "--color", "gray", "photo.cray", "-o", "out.png")
        assert result.stderr.startswith("cray: photo.cray: warning: left out: chunk GRID")
        with Image.open("out.png") as image:
            assert image.mode == "L"

    def test_one_bad_input_does_not_stop_the_others(self):
        shutil.copy("photo.cray", "second.cray")
        cray(*GUIDED, "damaged.cray", "second.cray", "photo.cray", "--overwrite", code=1)
        assert Path("second.png").read_bytes() == Path("photo.png").read_bytes()

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_what_was_there_stays_on_failure(self, overwrite):
        Path("damaged.png").write_bytes(b"old")
        cray(*GUIDED, "damaged.cray", *["--overwrite"] * overwrite, code=3 if overwrite else 1)
        assert Path("damaged.png").read_bytes() == b"old"

    def test_a_checkpoint_that_is_missing(self):
        result = cray("decode", "photo.cray", "--model", "nonesuch", "-o", "out.png", code=4)
        assert result.stderr.startswith("cray: photo.cray: no checkpoint 'nonesuch', expected one of compact")
        assert not Path("out.png").exists()

    @pytest.mark.parametrize(("suffix", "backend"), [(".safetensors", "torch"), (".onnx", "opencv")])
    def test_a_checkpoint_that_is_not_its_cards(self, suffix, backend):
        for each in (".json", ".safetensors", ".onnx"):
            shutil.copy(models_folder() / f"compact{each}", "mine" + each)
        decode = ("decode", "grid.cray", "--model", "mine.safetensors", "--backend", backend, "-o")
        cray(*decode, "good.png")
        changed = Path("mine" + suffix)
        data = bytearray(changed.read_bytes())
        data[-1] ^= 1
        changed.write_bytes(data)
        result = cray(*decode, "out.png", code=4)
        assert "SHA-256" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not Path("out.png").exists()
        assert "SHA-256" in cray("models", "verify", "mine.safetensors", code=4).stderr

    def test_no_network_is_needed_for_guided_gray_and_grey_pictures(self):
        Path("grey.cray").write_bytes(crayoncodec.encode(PHOTO[..., 0]))
        cray("decode", "grey.cray", "--model", "nonesuch")
        for color in ("guided", "gray"):
            cray("decode", "photo.cray", "--color", color, "-o", f"{color}.png")
            error = cray("decode", "photo.cray", "--color", color, "--model", "compact", code=2).stderr
            assert f"--model is for --color neural, found --color {color}" in error

    def test_a_device_that_is_not_there(self, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        result = cray("decode", "photo.cray", "--color", "neural", "--device", "cuda", "--overwrite", code=2)
        assert result.stderr == "cray: photo.cray: device cuda is not available here, expected auto or cpu\n"
        cray(*GUIDED, "photo.cray", "--device", "cuda", "-o", "out.png")


@pytest.mark.parametrize("command", [("encode", "photo.png"), (*GUIDED, "photo.cray")])
def test_reports(command):
    end = ".png" if "decode" in command else ".cray"
    plain = cray(*command, "-o", f"out{end}")
    assert plain.stderr == ""
    assert f"{command[-1]} -> out." in plain.stdout
    line = json.loads(cray(*command, "-o", f"again{end}", "--json").stdout)
    size = {name: Path(name).stat().st_size for name in (command[-1], f"again{end}")}
    assert {**line, "seconds": None} == {
        "input": command[-1],
        "output": f"again{end}",
        "code": 0,
        "error": None,
        "warnings": [],
        "seconds": None,
        "input_bytes": size[command[-1]],
        "output_bytes": size[f"again{end}"],
        "width": 60,
        "height": 40,
        **(
            {"color": "guided"} if "decode" in command else {"n": None, "bpp": 8 * size[f"again{end}"] / 2400}
        ),
    }
    assert 0 <= line["seconds"] < 10
    quiet = cray(*command, "-o", f"quiet{end}", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_failures_have_their_line_too():
    result = cray(*GUIDED, "damaged.cray", "--json", code=3)
    line = json.loads(result.stdout)
    assert (line["input"], line["code"]) == ("damaged.cray", 3)
    assert line["error"] in result.stderr
    assert cray(*GUIDED, "damaged.cray", "--quiet", code=3).stderr == result.stderr


class TestInfo:
    def test_json_has_every_field(self):
        line = json.loads(cray("info", "photo.cray", "--json").stdout)
        data = Path("photo.cray").read_bytes()
        assert {key: line[key] for key in ("width", "height", "version", "size")} == {
            "width": 60, "height": 40, "version": "1.0", "size": len(data)
        }  # fmt: skip
        assert [(grid["level"], grid["n"], grid["coder"]) for grid in line["grids"]] == [
            (k, 128 >> k, "nested") for k in range(7)
        ]
        assert [grid["size"] for grid in line["grids"]] == [None] * 6 + [line["chunks"][1]["size"]]
        finest = pixel_step(80) / 2
        assert [grid["step"] for grid in line["grids"]][-3:] == pytest.approx(
            [finest / 4, finest / 2, finest], abs=1 / 256
        )
        assert (line["paper_bound"], line["corrected_bound"]) == (None, None)

    def test_json_of_one_grid(self):
        line = json.loads(cray("info", "grid.cray", "--json").stdout)
        data = Path("grid.cray").read_bytes()
        (grid,) = line["grids"]
        assert grid.pop("size") == line["chunks"][1]["size"]
        coder = grid.pop("coder")
        assert coder in ("zstd", "webp")
        assert grid == {"level": 0, "n": 20, "sampling": "mean", "step": 1.0, "rows": 2, "columns": 3}
        assert [chunk["type"] for chunk in line["chunks"]] == ["HEAD", "GRID", "LGHT", "CEND"]
        assert sum(chunk["size"] for chunk in line["chunks"]) + 8 == len(data)
        assert line["bpp"] == pytest.approx(len(data) / 300)
        assert line["ratio"] == pytest.approx(len(data) / 7200)
        assert line["paper_bound"] == pytest.approx(1 / 3 + 1 / 400)

    def test_text_has_them_too(self):
        text = cray("info", "photo.cray").stdout
        assert "grid 0       n = 128, mean, 1 x 1 samples, step 0.0" in text
        assert "nested, in the chunk of the next" in text
        assert re.search(r"grid 6       n = 2, mean, 30 x 20 samples, step 3.\d+, nested, \d+ bytes", text)
        text = cray("info", "grid.cray").stdout
        for part in (
            "60 x 40", "avif, quality", "n = 20, mean, 3 x 2 samples", "HEAD", "GRID", "LGHT", "CEND", "bpp",
            "of raw", "1/3 + 1/n² = 0.3358",
        ):  # fmt: skip
            assert part in text
        Path("grey.cray").write_bytes(crayoncodec.encode(PHOTO[..., 0], lossless=True, exif=b"II*"))
        text = cray("info", "grey.cray").stdout
        assert "none: grey picture" in text
        assert "webp, exact" in text
        assert "exif" in text

    def test_levels_have_the_bytes_of_their_symbols(self):
        line = json.loads(cray("info", "photo.cray", "--levels", "--json").stdout)
        sizes, (chunk,) = line["level_bytes"], (chunk for chunk in line["chunks"] if chunk["type"] == "GRID")
        assert len(sizes) == len(line["grids"])
        assert sizes[0] > 0  # the next ones are of one cell: nothing differs
        assert min(sizes[4:]) > 0
        # Framing, the coder's last word, and three bytes before the first symbol.
        assert sum(sizes) == pytest.approx(chunk["size"] - chunks.GRID_FRAMING - 3, abs=8)
        text = cray("info", "photo.cray", "--levels").stdout
        assert f"nested, {sizes[6]:,.1f} bytes of symbols, {chunk['size']:,} bytes" in text
        assert json.loads(cray("info", "grid.cray", "--levels", "--json").stdout)["level_bytes"] == []

    def test_levels_of_a_damaged_file(self):
        assert cray("info", "damaged.cray", "--levels", code=3).stderr.startswith("cray: damaged.cray: ")

    def test_only_headers_are_read(self):
        assert cray("info", "damaged.cray").stdout == cray("info", "photo.cray").stdout

    @pytest.mark.parametrize(("name", "code"), [("photo.png", 3), ("nonesuch", 1), (".", 1)])
    def test_what_is_no_cray_file(self, name, code):
        assert cray("info", name, code=code).stderr.startswith(f"cray: {name}: ")


@pytest.mark.parametrize("command", [GUIDED, ("decode", "--color", "gray"), ("info",), ("verify",)])
def test_a_tiny_file_that_claims_a_huge_picture(command):
    data = bytearray(Path("photo.cray").read_bytes()[:40])
    data[18:26] = b"\0\0\xff\xff" * 2
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    Path("huge.cray").write_bytes(data)
    with at_most(16):
        result = cray(*command, "huge.cray", code=3)
    assert result.stderr == (
        "cray: huge.cray: picture is 65535 x 65535 = 4294836225 pixels, the limit is 178956970 "
        "(--max-pixels, Limits.pixels)\n"
    )
    assert not Path("huge.png").exists()


def test_files_appear_whole_or_not_at_all():
    before = names()
    with pytest.raises(TypeError), atomic.atomic_write(Path("photo.cray")) as stream:
        stream.writelines([b"half of i", "t"])
    assert names() == before
    assert Path("photo.cray").read_bytes() == crayoncodec.encode(PHOTO)
    Path("taken").mkdir()
    with pytest.raises(IsADirectoryError):
        crayoncodec.write("taken", PHOTO)
    assert names() == before


def test_verify():
    assert cray("verify", "photo.cray").stdout == "photo.cray: ok\n"
    assert cray("verify", "photo.cray", "--quiet").stdout == ""
    mixed = cray("verify", "photo.cray", "damaged.cray", "nonesuch.cray", ".", code=1)
    assert mixed.stdout == "photo.cray: ok\n"
    assert [line.split(": ")[1] for line in mixed.stderr.splitlines()] == [
        "damaged.cray",
        "nonesuch.cray",
        ".",
    ]
    cray("verify", "damaged.cray", code=3)
    cray("verify", "nonesuch.cray", code=1)
    lines = cray("verify", "photo.cray", "damaged.cray", "--json", code=1).stdout.splitlines()
    assert [(line["input"], line["code"], "output" in line) for line in map(json.loads, lines)] == [
        ("photo.cray", 0, False), ("damaged.cray", 3, False)
    ]  # fmt: skip


def test_verify_decodes_what_has_a_true_checksum():
    from crayoncodec.format.chunks import CrayFile, Header, PlaneChunk
    from crayoncodec.format.container import pack

    Path("empty.cray").write_bytes(pack(CrayFile(Header(2, 2, 0), PlaneChunk("webp", b"RIFF"))))
    assert "lightness plane: damaged webp codestream" in cray("verify", "empty.cray", code=3).stderr


class TestCompare:
    def test_all_measures(self):
        cray(*GUIDED, "photo.cray", "-o", "decoded.png")
        line = json.loads(cray("compare", "photo.png", "decoded.png", "--json").stdout)
        keys = [
            "psnr_rgb",
            "psnr_lightness",
            "ab_mse",
            "ciede2000_mean",
            "ciede2000_p95",
            "ciede2000_p99",
            "ab_ssim",
        ]
        assert [*line] == ["first", "second", *keys]
        assert 15 < line["psnr_rgb"] < 60
        text = cray("compare", "photo.png", "decoded.png").stdout
        assert [row.split() for row in text.splitlines()] == [[key, f"{line[key]:.4f}"] for key in keys]

    def test_cray_files_and_equal_pictures(self):
        line = json.loads(cray("compare", "photo.cray", "photo.cray", "--json").stdout)
        assert (line["psnr_rgb"], line["ab_mse"], line["ab_ssim"]) == (None, 0, 1)

    def test_one_pixel(self):
        Image.new("RGB", (1, 1)).save("black.png")
        Image.new("RGB", (1, 1), "white").save("white.png")
        assert json.loads(cray("compare", "black.png", "white.png", "--json").stdout)["psnr_lightness"] == 0

    @pytest.mark.parametrize(("name", "code"), [("damaged.cray", 3), ("nonesuch.png", 1), ("small.png", 1)])
    def test_what_cannot_be_compared(self, name, code):
        Image.new("RGB", (5, 5)).save("small.png")
        result = cray("compare", "photo.png", name, code=code)
        assert result.stderr.startswith(f"cray: {name}: ")
        assert len(result.stderr.splitlines()) == 1

    def test_pictures_of_two_sizes_are_told_without_the_name_of_an_exception(self):
        Image.new("RGB", (5, 5)).save("small.png")
        text = cray("compare", "photo.png", "small.png", code=1).stderr
        assert text.startswith("cray: small.png: pictures are ")

    def test_what_is_shown_is_compared(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(PHOTO).save("turned.png", exif=exif, icc_profile=curved_profile(gamma=1.5))
        cray("encode", "turned.png", "-o", "turned.cray")
        cray(*GUIDED, "turned.cray", "-o", "plain.bmp")  # which has neither orientation nor profile
        of_cray, of_bmp = (
            json.loads(cray("compare", "turned.png", name, "--json").stdout)["psnr_rgb"]
            for name in ("turned.cray", "plain.bmp")
        )
        assert of_bmp == pytest.approx(of_cray, abs=3)

    def test_warnings_are_told(self):
        frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1])]
        frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
        result = cray("compare", "photo.png", "moving.gif")
        assert result.stderr == "cray: moving.gif: warning: 2 frames, only the first is stored\n"


def test_models():
    listed = cray("models", "list").stdout
    assert listed.startswith("compact ")
    assert cray("models").stdout == listed
    card = json.loads(cray("models", "show", "compact").stdout)
    assert (card["name"], len(card["sha256"])) == ("compact", 64)
    assert cray("models", "verify").stdout == "".join(f"{name}: ok\n" for name in checkpoints.names())
    assert cray("models", "verify", "compact").stdout == "compact: ok\n"
    for command in ("show", "verify"):
        assert "no checkpoint 'nonesuch'" in cray("models", command, "nonesuch", code=4).stderr
    Path("bad.safetensors").write_bytes(b"")
    Path("bad.json").write_text("{}")
    assert "is not a model card" in cray("models", "show", "bad.safetensors", code=4).stderr
    mixed = cray("models", "verify", "bad.safetensors", "compact", code=4)
    assert mixed.stdout == "compact: ok\n"


def test_exit_codes_of_several():
    for codes, code in [
        ([], 0),
        ([0, 0], 0),
        ([0, 3], 1),
        ([0, 4], 1),
        ([3], 3),
        ([1, 3], 3),
        ([3, 4, 1], 4),
    ]:
        assert jobs.exit_code(codes) == code


def test_a_terminal_shows_progress():
    shutil.copy("photo.cray", "second.cray")
    terminal, end = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    os.set_blocking(terminal, False)
    command = [sys.executable, "-m", "crayoncodec", *GUIDED, "photo.cray", "second.cray", "--overwrite"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=end, timeout=60, check=True)
    assert b"0/2" in os.read(terminal, 1000)
    os.close(terminal)
    os.close(end)


def test_a_real_process_behaves_the_same():
    done = process(sys.executable, "-m", "crayoncodec", "encode", "nonesuch.png", "photo.png", "--overwrite")
    assert (done.returncode, done.stderr) == (1, b"cray: nonesuch.png: No such file or directory\n")
    assert done.stdout.startswith(b"photo.png -> photo.cray: 60 x 40")
    done = process(sys.executable, "-m", "crayoncodec", "verify", "damaged.cray")
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.startswith(b"cray: damaged.cray: chunk GRID at offset")


def test_every_command_reads_standard_input():
    data = Path("photo.cray").read_bytes()
    assert json.loads(cray("info", "-", "--json", stdin=data).stdout)["size"] == len(data)
    assert cray("verify", "-", stdin=data).stdout == "-: ok\n"
    assert "ciede2000_mean" in cray("compare", "photo.png", "-", stdin=data).stdout
    cray("decode", "-", "-o", "from-stdin.png", "--color", "guided", stdin=data)
    cray("encode", "-", "-o", "from-stdin.cray", stdin=Path("photo.png").read_bytes())
    assert crayoncodec.is_cray(Path("from-stdin.cray").read_bytes())
