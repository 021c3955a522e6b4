"""What a desktop gets of us: written once, taken away again, and read by the programs that it is for."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec.errors import CrayError
from crayoncodec.plugins import freedesktop

COMPLETIONS = {"bash": "b", "zsh": "z", "fish": "f"}


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture
def share(tmp_path):
    return tmp_path / "home/data/share"


def texts(share, manual="manual"):
    return freedesktop.files(share, share.parent.parent / ".magic", manual, COMPLETIONS)


def install(share, **options):
    return [*freedesktop.install(share, texts(share, **options))]


@pytest.fixture(autouse=True)
def database(monkeypatch):
    """Not made anew where that is not what is tested."""
    monkeypatch.setattr(freedesktop, "_update_mime_database", lambda share: None)


def test_what_was_not_there_is_not_there_again(share, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "other").write_text("stays")
    assert install(share) == [(path, None) for path in texts(share)]
    assert all(path.read_text() == text for path, text in texts(share).items())
    assert [*freedesktop.remove(share)] == [(path, None) for path in texts(share)]
    assert [*home.rglob("*")] == [home / "other"]
    assert [*freedesktop.remove(share)] == []


def test_a_second_time_only_what_is_outdated_is_written(share):
    install(share)
    assert install(share) == []
    manual = share / "man/man1/cray.1"
    assert install(share, manual="newer") == [(manual, None)]
    assert manual.read_text() == "newer"
    assert [*freedesktop.remove(share)] == [(path, None) for path in texts(share)]
    assert not share.exists()


def test_files_from_elsewhere_stay(share, tmp_path):
    magic, completion = tmp_path / "home/.magic", share / "bash-completion/completions/cray"
    completion.parent.mkdir(parents=True)
    magic.write_text("mine")
    completion.symlink_to(tmp_path / "dotfiles")
    told = dict(install(share))
    for path in (magic, completion):
        assert told[path] == "it is there, and not from cray desktop install: left as it is"
    removed = [path for path, _ in freedesktop.remove(share)]
    assert not {magic, completion} & {*removed}
    assert magic.read_text() == "mine"
    assert completion.is_symlink()
    assert sorted(path for path in share.rglob("*") if not path.is_dir()) == [completion]


def test_files_that_were_changed_stay(share):
    install(share)
    manual = share / "man/man1/cray.1"
    manual.write_text("changed")
    assert (manual, "it is there, and not from cray desktop install: left as it is") in install(share)
    told = dict(freedesktop.remove(share))
    assert told.pop(manual) == "it was changed since: left as it is"
    assert {*told.values()} == {None}
    assert [path for path in share.rglob("*") if path.is_file()] == [manual]


def test_what_cannot_be_written_does_not_stop_the_others(share):
    share.mkdir(parents=True)
    (share / "man").write_text("a file where a folder should be")
    told = dict(install(share))
    assert [path for path, problem in told.items() if problem] == [share / "man/man1/cray.1"]
    assert not any(problem for _, problem in freedesktop.remove(share))
    assert [*share.iterdir()] == [share / "man"]


@pytest.mark.parametrize("text", ["{", "[]", '{"files": []}', '{"files": {}}'])
def test_a_damaged_list_is_an_error(share, text):
    install(share)
    (share / "crayoncodec/desktop.json").write_text(text)
    with pytest.raises(CrayError, match="is not the list that cray desktop install writes"):
        [*freedesktop.remove(share)]


def test_the_list_has_what_was_written(share):
    install(share)
    found = json.loads((share / "crayoncodec/desktop.json").read_text())
    assert [*found["files"]] == [str(path) for path in texts(share)]


class TestPrograms:
    """The real ones, with folders of their own."""

    @pytest.fixture
    def picture(self, tmp_path):
        """A file without an extension."""
        path = tmp_path / "picture"
        crayoncodec.write(path, photo(60, 80))
        return path

    @pytest.fixture(autouse=True)
    def database(self):
        """The real one."""

    @pytest.fixture
    def environment(self, share, tmp_path):
        install(share)
        yield {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "XDG_DATA_HOME": str(share),
            "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }  # fmt: skip
        assert not any(problem for _, problem in freedesktop.remove(share))
        assert not share.exists()

    @needs("update-mime-database")
    @needs("gio")
    @pytest.mark.parametrize("name", ["picture", "damaged.cray"])
    def test_the_mime_type_is_known_by_content_and_by_name(self, name, environment, picture):
        picture.with_name("damaged.cray").write_bytes(bytes(range(20)))
        command = ["gio", "info", "-a", "standard::content-type", name]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=picture.parent,
                              check=True)  # fmt: skip
        assert "standard::content-type: image/x-cray" in done.stdout

    @needs("update-mime-database")
    @needs("xdg-mime")
    def test_xdg_mime(self, environment, picture):
        named = picture.rename(picture.with_suffix(".cray"))
        done = subprocess.run(["xdg-mime", "query", "filetype", named], capture_output=True, text=True,
                              env=environment, check=True)  # fmt: skip
        assert done.stdout == "image/x-cray\n"

    @needs("update-mime-database")
    def test_types_of_others_stay(self, share):
        other = share / "mime/packages/other.xml"
        other.parent.mkdir(parents=True)
        other.write_text(freedesktop.files(share, None, "", COMPLETIONS)[
            share / "mime/packages/crayoncodec.xml"].replace("cray", "other"))  # fmt: skip
        install(share)
        assert "image/x-cray:*.cray" in (share / "mime/globs2").read_text()
        [*freedesktop.remove(share)]
        globs = (share / "mime/globs2").read_text()
        assert "*.other" in globs
        assert "cray" not in globs

    def test_without_shared_mime_info_it_is_said(self, share, monkeypatch):
        monkeypatch.setattr(shutil, "which", lambda name: None)
        assert install(share)[-1] == (
            share / "mime", "update-mime-database is not installed, expected the package shared-mime-info"
        )  # fmt: skip

    @needs("file")
    def test_file_tells_the_size(self, environment, picture):
        def told(*arguments):
            command = ["file", "-b", *arguments, picture]
            return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout

        assert told() == "cray picture, version 1.0, 80 x 60\n"
        assert told("--mime-type") == "image/x-cray\n"

    @pytest.mark.parametrize("percent", [False, True])
    def test_the_thumbnailer_as_file_managers_run_it(self, percent, share, picture, monkeypatch):
        if percent:  # in the path of the interpreter, where it stands for itself
            interpreter = picture.with_name("100 %")
            interpreter.symlink_to(sys.executable)
            monkeypatch.setattr(sys, "executable", str(interpreter))
            monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
        lines = texts(share)[share / "thumbnailers/crayoncodec.thumbnailer"].splitlines()
        entry = dict(line.split("=", 1) for line in lines[1:])
        assert lines[0] == "[Thumbnailer Entry]"
        assert Path(entry["TryExec"]).exists()
        assert entry["MimeType"] == "image/x-cray;"
        out = picture.with_name(".gnome_desktop_thumbnail.A1B2C3")
        out.touch()
        fields = {"%%": "%", "%i": str(picture), "%o": str(out), "%s": "64"}
        words = shlex.split(entry["Exec"])
        command = [fields.get(word, word.replace("%%", "%")) for word in words]
        subprocess.run(command, check=True, cwd="/", timeout=60)
        with Image.open(out) as image:
            assert (image.format, image.size) == ("PNG", (64, 48))
