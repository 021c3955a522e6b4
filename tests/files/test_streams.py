"""Standard streams of real processes: closed, full, without a reader, a terminal, of any encoding; Ctrl-C."""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec.files import streams

PHOTO = photo(40, 60)
CRAY = f"{sys.executable} -m crayoncodec"
GUIDED = "--color guided --overwrite"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with photo.png, second.png and photo.cray in it."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("photo.png")
    Image.fromarray(PHOTO[::-1]).save("second.png")
    Path("photo.cray").write_bytes(crayoncodec.encode(PHOTO))


def shell(command, **environment):
    """Run a command line, in which "cray" is ours; no traceback, and it ends."""
    done = subprocess.run(
        ["bash", "-c", f'cray() {{ {CRAY} "$@"; }}; {command}'],
        capture_output=True, timeout=60, check=False, env=os.environ | environment,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert not [*Path().rglob("*.tmp")]
    return done


def is_whole(name):
    return (
        crayoncodec.is_cray(Path(name).read_bytes()) and crayoncodec.verify(Path(name).read_bytes()) is None
    )


class TestClosed:
    @pytest.mark.parametrize(
        ("command", "lines", "outputs"),
        [
            ("encode photo.png --overwrite", 1, ["photo.cray"]),
            ("encode photo.png second.png --overwrite", 2, ["photo.cray", "second.cray"]),
            ("encode photo.png second.png --overwrite -j 2", 2, ["photo.cray", "second.cray"]),
            (f"decode photo.cray {GUIDED}", 1, []),
            ("batch encode . out -j 2", 1, ["out/photo.cray", "out/second.cray"]),
        ],
    )
    def test_standard_error(self, command, lines, outputs):
        done = shell(f"cray {command} 2>&-")
        assert (done.returncode, done.stdout.count(b"\n")) == (0, lines)
        assert all(map(is_whole, outputs))

    def test_errors_without_a_place_to_tell_them(self):
        assert shell("cray encode nonesuch.png 2>&-").returncode == 1
        assert shell("cray encode 2>&-").returncode == 2
        assert shell("cray encode nonesuch.png 2>/dev/full").returncode == 1

    def test_all_of_them(self):
        assert shell("cray encode photo.png second.png -o . --overwrite <&- >&- 2>&-").returncode == 1
        assert is_whole("second.cray")

    @pytest.mark.parametrize(
        "command", ["info photo.cray", "encode photo.png --overwrite", "--help", "models list"]
    )
    def test_standard_output(self, command):
        done = shell(f"cray {command} >&-")
        assert (done.returncode, done.stderr) == (1, b"cray: standard output: Bad file descriptor\n")

    def test_a_picture_for_a_closed_stream(self):
        done = shell("cray decode photo.cray --color gray -o - >&-")
        assert (done.returncode, done.stderr) == (1, b"cray: photo.cray: Bad file descriptor\n")

    @pytest.mark.parametrize("command", ["encode -", "decode -", "info -", "verify -", "compare photo.png -"])
    def test_standard_input(self, command):
        done = shell(f"cray {command} <&-")
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr == b"cray: -: Bad file descriptor\n"


class TestFull:
    def test_the_work_is_done_and_the_failure_told_once(self):
        done = shell("cray encode photo.png second.png --overwrite > /dev/full")
        assert (done.returncode, done.stderr) == (1, b"cray: standard output: No space left on device\n")
        assert is_whole("second.cray")

    @pytest.mark.parametrize("command", ["info photo.cray", "verify photo.cray", "models list"])
    def test_lines(self, command):
        done = shell(f"cray {command} > /dev/full")
        assert (done.returncode, done.stderr) == (1, b"cray: standard output: No space left on device\n")

    @pytest.mark.parametrize("command", ["--help", "encode --help", "--version"])
    def test_help(self, command):
        done = shell(f"cray {command} > /dev/full")
        assert (done.returncode, done.stderr) == (1, b"cray: No space left on device\n")

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_pictures(self, unbuffered):
        done = shell("cray decode photo.cray --color guided -o - > /dev/full", PYTHONUNBUFFERED=unbuffered)
        assert (done.returncode, done.stderr) == (1, b"cray: photo.cray: No space left on device\n")

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_a_disk_that_takes_a_part(self, unbuffered):
        # A limit on the size of files fails as a full disk does: after a part.
        command = "trap '' XFSZ; ulimit -f 1; cray decode photo.cray --color guided -o - > part"
        done = shell(command, PYTHONUNBUFFERED=unbuffered)
        assert Path("part").stat().st_size == 1024
        assert (done.returncode, done.stderr) == (1, b"cray: photo.cray: File too large\n")


class TestReaders:
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    @pytest.mark.parametrize(
        "command", ["decode photo.cray --color guided -o -", "info photo.cray", "models list"]
    )
    def test_that_leave(self, command, unbuffered):
        done = shell(f"cray {command} | true; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=unbuffered)
        assert (done.returncode, done.stderr) == (1, b"")

    def test_that_leave_stop_no_work(self):
        done = shell("cray encode photo.png second.png --overwrite | true; exit ${PIPESTATUS[0]}")
        assert (done.returncode, done.stderr) == (1, b"")
        assert is_whole("second.cray")

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_that_are_slow_get_all(self, unbuffered):
        Image.fromarray(photo(200, 300)).save("larger.png")
        shell("cray encode larger.png")
        slow = "(sleep 1; cat) > slow.png"
        # The second pipe does not block, as those of some programs.
        loose = f"{sys.executable} -c 'import os; os.set_blocking(1, False)'"
        for before in ("true", loose):
            command = (
                f"({before}; cray decode larger.cray --color guided -o -) | {slow}; exit ${{PIPESTATUS[0]}}"
            )
            assert shell(command, PYTHONUNBUFFERED=unbuffered).returncode == 0
            with Image.open("slow.png") as image:
                image.load()
                assert image.size == (300, 200)
            assert Path("slow.png").stat().st_size > 65536


class TestPipes:
    def test_as_inputs(self):
        assert shell("cray info <(cat photo.cray)").stdout == shell("cray info photo.cray").stdout
        assert shell("cray info --json <(cat photo.cray)").returncode == 0
        assert shell("cray verify <(cat photo.cray)").returncode == 0
        assert shell("cray compare <(cat photo.png) <(cat photo.cray)").returncode == 0
        assert shell("cray decode <(cat photo.cray) --color guided -o out.png").returncode == 0

    def test_have_no_name_for_an_output(self):
        expected = crayoncodec.encode(PHOTO)
        assert shell("cray encode <(cat photo.png)").stdout == expected
        assert shell("cat photo.png | cray encode /dev/stdin").stdout == expected
        assert shell("cray encode photo.png -o /dev/stdout > out; cat out").stdout == expected
        assert b"has no name to have in ." in shell("cray encode <(cat photo.png) -o .").stderr
        # Another process has no such descriptor.
        done = shell("cray encode photo.png <(cat photo.png) second.png -j 2 --overwrite")
        assert (done.returncode, done.stdout) == (0, expected)

    def test_fifos(self):
        os.mkfifo("pipe.cray")
        assert shell("cat photo.cray > pipe.cray & cray info pipe.cray").returncode == 0
        assert shell("cat photo.cray > pipe.cray & cray decode pipe.cray --color gray").returncode == 0
        assert Path("pipe.png").exists()

    def test_info_of_a_stream_that_cannot_seek(self):
        data = Path("photo.cray").read_bytes()

        class Pipe(io.BytesIO):
            def seekable(self):
                return False

        assert crayoncodec.info(Pipe(data)) == crayoncodec.info(data)


@pytest.mark.parametrize("command", ["encode photo.png -o -", "decode photo.cray -o -", "encode -"])
def test_a_terminal_gets_no_pictures(command):
    terminal, end = os.openpty()
    done = subprocess.run(
        [*CRAY.split(), *command.split()], stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.PIPE,
        timeout=60, check=False,
    )  # fmt: skip
    os.close(end)
    os.close(terminal)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(b"Error: standard output is a terminal, expected -o FILE")


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["cp1252", "cp932", "gbk", "ascii", "latin-1", "utf-16", "utf-8"])
    def test_names_and_our_own_text_come_through(self, encoding):
        names = ["na\u00efve \u65e5\u672c.png", "\u20ac \U0001f600.png"]
        for name in names:
            shutil.copy("photo.png", name)
        done = shell("cray encode *.png nonesuch\u2200.png --overwrite", PYTHONIOENCODING=encoding)
        assert done.returncode == 1
        said = done.stdout.decode(encoding)
        assert len(said.splitlines()) == 4
        for name in names:
            assert is_whole(Path(name).with_suffix(".cray"))
            fitting = name.encode(encoding, "backslashreplace").decode(encoding)
            assert f"{fitting} -> " in said
        assert "No such file" in done.stderr.decode(encoding)
        assert len(done.stderr.decode(encoding).splitlines()) == 1

    def test_ours_is_ascii_where_the_stream_is(self):
        Path("grid.cray").write_bytes(crayoncodec.encode(PHOTO, n=20))
        assert "1/3 + 1/n\u00b2 = " in shell("cray info grid.cray", PYTHONIOENCODING="utf-8").stdout.decode()
        for encoding in ("ascii", "cp932"):
            text = shell("cray info grid.cray", PYTHONIOENCODING=encoding).stdout.decode("ascii")
            assert "1/3 + 1/n^2 = " in text

    @pytest.mark.parametrize("encoding", ["ascii", "cp932"])
    def test_usage_errors(self, encoding):
        done = shell("cray encode photo.png --na\u00efve", PYTHONIOENCODING=encoding)
        assert done.returncode == 2
        assert rb"--na\xefve" in done.stderr.splitlines()[-1]
        assert shell("cray na\u00efve", PYTHONIOENCODING=encoding).stderr.isascii()

    @pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp932"])
    def test_json_is_ascii(self, encoding):
        shutil.copy("photo.png", "\u65e5\u672c.png")
        done = shell("cray encode \u65e5*.png --json", PYTHONIOENCODING=encoding)
        assert json.loads(done.stdout.decode("ascii"))["input"] == "\u65e5\u672c.png"

    def test_control_characters_are_escaped(self):
        shutil.copy("photo.png", "a\nb\x1b[31m.png")
        done = shell("cray encode a*.png")
        assert done.stdout.startswith(rb"a\nb\x1b[31m.png -> a\nb\x1b[31m.cray: 60 x 40")
        assert done.stdout.count(b"\n") == 1

    def test_without_utf8_anywhere(self):
        shutil.copy("photo.png", "\u65e5.png")
        done = shell(
            "cray encode *.png --overwrite",
            LC_ALL="C",
            PYTHONUTF8="0",
            PYTHONCOERCECLOCALE="0",
            PYTHONIOENCODING="",
        )
        assert done.returncode == 0
        assert done.stdout.isascii()
        assert is_whole("\u65e5.cray")


def test_help_is_as_it_is_written():
    text = shell("cray --help").stdout
    assert b"\\b" not in text
    assert b"\b" not in text
    assert b"Exit codes: 0 all done, 1 some inputs failed (the others are done), 2 usage,\n" in text


READY = """
import sys
from crayoncodec.commands.cray import main
if __name__ == "__main__":
    print("ready", flush=True)
    main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder with a picture that takes seconds."""
    folder = tmp_path_factory.mktemp("large")
    pixels = photo(1500, 2000)
    Image.fromarray(pixels).save(folder / "large.png", compress_level=1)
    (folder / "large.cray").write_bytes(crayoncodec.encode(pixels, effort=1))
    larger = np.tile(pixels, (3, 3, 1))
    (folder / "larger.cray").write_bytes(crayoncodec.encode(larger, effort=1))
    return folder


@pytest.mark.parametrize(
    ("command", "wait"),
    [
        (["encode", "{}/large.png", "-o", "out.cray", "-e", "9"], 1.5),
        (["encode", "{}/large.png", "photo.png", "second.png", "-o", ".", "-e", "9", "-j", "2"], 3),
        (["decode", "{}/larger.cray", "-o", "out.png", "--color", "neural"], 1),
        (
            [
                "decode",
                "{}/larger.cray",
                "photo.cray",
                "-o",
                ".",
                "-j",
                "2",
                "--color",
                "neural",
            ],
            1.5,
        ),
        (["compare", "{}/large.png", "{}/large.cray"], 0.7),
        (["info", "-"], 0.5),
        (["verify", "-"], 0.5),
        (["encode", "-"], 0.15),
        (["train", "compact", "steps=100000", "--data", "{}", "--out", "run"], 1),
    ],
    ids=lambda value: "-".join(value[:1]) if isinstance(value, list) else "",
)
def test_ctrl_c_ends_every_command(command, wait, large):
    """With 130, in one line, and with nothing half done."""
    before = {path.name for path in Path().iterdir()}
    process = subprocess.Popen(
        [sys.executable, "-c", READY, *[word.format(large) for word in command]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    # Training that has begun says how to go on.
    assert said.splitlines()[-1].startswith((b"cray: interrupted", b"interrupted; cray train --resume"))
    assert b"Traceback" not in said
    made = {path.name for path in Path().iterdir()} - before
    assert made <= {"run", "second.cray"}
    assert not [*Path().rglob("*.tmp")]


def test_ctrl_c_while_the_command_is_loaded(monkeypatch, capsys):
    class Loading:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "crayoncodec.commands.cray", Loading())
    with pytest.raises(SystemExit) as end:
        importlib.import_module("crayoncodec.__main__").main()
    assert (end.value.code, capsys.readouterr().err) == (130, "cray: interrupted\n")


def test_what_cannot_be_encoded_is_escaped(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", stream)
    with streams.standard():
        streams.say("\u65e5\udcff\ud800\x07")
    assert stream.buffer.getvalue() == rb"\u65e5\udcff\ud800\x07" + b"\n"
