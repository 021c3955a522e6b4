"""What is loaded when: start-up stays fast, and what needs no network loads none."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec import codec, errors
from crayoncodec.format import information, limits

HEAVY = {"torch", "numpy", "cv2", "PIL", "zstandard", "safetensors", "click", "tqdm"}


def loaded(program):
    """Which of the heavy packages a fresh interpreter has after this program."""
    program += f"\nimport sys\nprint('loaded:', *{HEAVY} & set(sys.modules))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, *names = done.stdout.splitlines()[-1].split()
    assert first == "loaded:"
    return {*names}


def command(*arguments):
    program = "from crayoncodec.commands.cray import main\n"
    return loaded(
        program + f"try:\n    main({arguments})\nexcept SystemExit as end:\n    assert not end.code"
    )


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(20, 30)).save("photo.png")
    crayoncodec.write("photo.cray", photo(20, 30))


def test_import_loads_nothing_heavy():
    assert loaded("import crayoncodec; crayoncodec.__version__") == set()


def test_info_loads_no_numbers():
    assert loaded("import crayoncodec; crayoncodec.info('photo.cray')") == set()
    assert command("info", "photo.cray") == {"click"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode", "photo.png", "-o", "out.cray"),
        ("encode", "--effort", "6", "photo.png", "-o", "out.cray"),
        ("decode", "--color", "guided", "photo.cray", "-o", "out.png"),
        ("decode", "--color", "gray", "photo.cray", "-o", "out.png"),
        ("thumbnail", "photo.cray", "out.png"),
        ("verify", "photo.cray"),
        ("compare", "photo.png", "photo.png"),
        ("models", "show", "compact"),
        ("decode", "photo.cray", "-o", "out.png"),
    ],
    ids=" ".join,
)
def test_what_needs_no_torch_loads_none(arguments):
    assert "torch" not in command(*arguments)


def test_decoding_without_a_network_loads_nothing_of_one():
    modules = {
        "torch",
        "crayoncodec.painting.checkpoints",
        "crayoncodec.painting.pytorch",
    }
    program = "import sys, crayoncodec\ncrayoncodec.read('photo.cray')\n"
    assert "numpy" in loaded(program + f"assert not {modules} & sys.modules.keys()")


def test_where_nobody_watches_there_is_no_bar():
    assert not {"tqdm", "torch"} & command("decode", "--scale", "1/8", "photo.cray", "-o", "out.ppm")


def test_networks_do():
    crayoncodec.write("one.cray", photo(20, 30), n=8)
    assert "torch" in command("decode", "one.cray", "-o", "out.png")


def test_nested_grids_are_painted_without_torch():
    crayoncodec.write("nested.cray", photo(20, 30), quality=40)
    assert "torch" not in command("decode", "nested.cray", "-o", "out.png", "--color", "neural")


def test_all_public_names_are_there():
    homes = {
        name: import_module(f"crayoncodec.{home}")
        for home, names in crayoncodec._HOMES.items()
        for name in names
    }
    assert {*crayoncodec.__all__} == {*homes}
    assert crayoncodec.__all__ == sorted(crayoncodec.__all__)
    for name in crayoncodec.__all__:
        assert getattr(crayoncodec, name) is getattr(homes[name], name)
        assert getattr(crayoncodec, name).__doc__
    assert {*crayoncodec.__all__} <= {*dir(crayoncodec)}
    assert crayoncodec.encode is codec.encode
    assert crayoncodec.info is information.info
    assert crayoncodec.Limits is limits.Limits
    assert crayoncodec.CrayError is errors.CrayError


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="module 'crayoncodec' has no attribute 'nonesuch'"):
        _ = crayoncodec.nonesuch


def test_types_are_shipped():
    assert Path(crayoncodec.__file__).with_name("py.typed").exists()


def test_errors_have_one_base():
    raised = {getattr(errors, name) for name in dir(errors) if name.endswith("Error")}
    assert all(issubclass(error, errors.CrayError) for error in raised)
    assert {error.__name__ for error in raised} - {*crayoncodec.__all__} == set()
