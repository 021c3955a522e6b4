"""The ``cray`` command as a whole: help, reports, exit codes, and what all its commands do alike."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import termios
import zlib
from pathlib import Path

import pytest
from commandline import GUIDED, cray, process
from memory import at_most

import crayoncodec
from crayoncodec.commands.cray import main

pytestmark = pytest.mark.usefixtures("folder")


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


@pytest.mark.parametrize(
    "command", [("encode", "photo.png"), ("verify", "photo.cray"), ("info", "photo.cray")]
)
def test_an_interrupt_that_comes_as_another_error(command, monkeypatch):
    def stopped(*_, **__):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Error calling __set_name__") from error

    for name in ("codec.encode", "codec.verify", "codec.info"):
        monkeypatch.setattr(f"crayoncodec.{name}", stopped)
    assert cray(*command, "--json", *["--overwrite"] * (command[0] == "encode"), code=130).stderr == (
        "cray: interrupted\n"
    )


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
