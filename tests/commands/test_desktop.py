"""``cray desktop``: what it prints, where it writes, what it exits with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from commandline import cray, names

from crayoncodec.commands import cray as command
from crayoncodec.commands import desktop
from crayoncodec.plugins import freedesktop


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(freedesktop, "_update_mime_database", lambda share: None)
    return tmp_path


def test_the_users_own_folders(home):
    written = cray("desktop", "install").stdout.splitlines()
    assert str(home / ".magic") in written
    assert str(home / ".local/share/man/man1/cray.1") in written
    assert sorted(written) == sorted(str(home / name) for name in names(home) if "desktop.json" not in name)
    assert cray("desktop", "install").output == ""
    assert cray("desktop", "remove").stdout.splitlines() == written
    assert [*home.iterdir()] == []
    assert cray("desktop", "remove").output == ""


def test_xdg_data_home_counts_if_it_is_absolute(home, monkeypatch):
    monkeypatch.chdir(home)
    for stated, share in (("data", ".local/share"), (str(home / "data"), "data")):
        monkeypatch.setenv("XDG_DATA_HOME", stated)
        assert str(home / share / "man/man1/cray.1") in cray("desktop", "install").stdout
        cray("desktop", "remove")


def test_a_prefix_is_for_everybody(home):
    cray("desktop", "install", "--prefix", home / "local")
    assert {path.parts[0] for path in map(Path, names(home))} == {"local"}
    assert names(home)[-1] == "local/share/zsh/site-functions/_cray"
    cray("desktop", "remove", "--prefix", home / "local")
    assert [*home.iterdir()] == []


def test_what_cannot_be_done_is_a_line_each(home):
    (home / ".magic").write_text("mine")
    told = cray("desktop", "install", code=1)
    assert told.stderr == (
        f"cray: {home}/.magic: it is there, and not from cray desktop install: left as it is\n"
    )
    (home / ".local/share/crayoncodec/desktop.json").write_text("{")
    assert "is not the list" in cray("desktop", "remove", code=3).stderr


def test_windows_is_told(home, monkeypatch):
    monkeypatch.setattr(desktop, "os", SimpleNamespace(name="nt", environ=os.environ))
    for what in ("install", "remove"):
        assert "Windows is no freedesktop.org system" in cray("desktop", what, code=2).stderr
    assert names(home) == []


@pytest.mark.skipif(os.name == "nt", reason="bash's completion")
@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_shells_take_their_completion(shell, home):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    text = desktop._completions(command.main)[shell]
    script = home / "completion"
    script.write_text(text)
    subprocess.run([shell, "-n", script], check=True)
    assert "_CRAY_COMPLETE" in text


@pytest.mark.parametrize(
    ("words", "place", "expected"),
    [("cray de", 1, {"plain,decode", "plain,desktop"}), ("cray decode pho", 2, {"file,pho"}),
     ("cray decode --color g", 3, {"plain,gray", "plain,guided"}),
     ("cray batch encode pho", 3, {"file,pho"})],
)  # fmt: skip
def test_commands_choices_and_files_are_completed(words, place, expected, monkeypatch):
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(place))
    monkeypatch.setenv("_CRAY_COMPLETE", "bash_complete")
    from click.testing import CliRunner

    assert {*CliRunner().invoke(command.main, [], prog_name="cray").stdout.split()} == expected
