"""README is short, and what it says to type works; test_docs tests its links, test_pages its table."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec.commands.cray import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """The folder to work in, with photo.jpg and photos/."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(60, 80)).save("photo.jpg")
    Path("photos").mkdir()
    Image.fromarray(photo(40, 50)).save("photos/one.jpg")
    return tmp_path


def test_it_is_read_in_a_minute():
    assert len(README.splitlines()) <= 130


def test_its_commands_run_one_after_the_other(photos):
    lines = re.findall(r"^    cray (.*)$", README, re.MULTILINE)
    assert len(lines) == 8
    for line in lines:
        done = CliRunner().invoke(main, shlex.split(line, comments=True), catch_exceptions=False)
        assert done.exit_code == 0, f"cray {line}: {done.output}"
    assert {path.name for path in photos.iterdir()} >= {"photo.cray", "photo.png", "small.png", "archive"}


def test_its_python_runs(photos):
    crayoncodec.write("one.cray", photo(20, 30))
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert example.count("\n") == 8
    names = {"paths": [Path("one.cray")]}
    exec(compile(example, "README.md", "exec"), names)
    assert names["rgb"].shape == (60, 80, 3)
    assert [picture.shape for picture in names["pictures"]] == [(20, 30, 3)]


def test_what_it_says_to_make_and_to_install_is_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = set(re.findall(r"`\[(\w+)\]`", README))
    assert {"torch", "docs", "paper"} <= extras <= {*setup["options.extras_require"]}
    targets = set(re.findall(r"^ *`?make (\w+)", README, re.MULTILINE))
    assert {"demo", "test"} <= targets
    assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets)
