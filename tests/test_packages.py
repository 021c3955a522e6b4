"""What the distributions hold: pip's users get what they need, and not 48 MB that they do not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from crayoncodec.painting import checkpoints

pytest.importorskip("setuptools", minversion="77", reason="the installed setuptools is too old")

ROOT = Path(__file__).parent.parent
MOST = 6e6
"""Bytes of the package."""


def built(source, out):
    """The source distribution, and the wheel that is made of it: their paths."""
    archive = out / run(source, "sdist", out)
    with tarfile.open(archive) as tar:
        tar.extractall(out / "unpacked", filter="data")
    (unpacked,) = (out / "unpacked").iterdir()
    return archive, out / run(unpacked, "wheel", out)


def run(source, kind, out):
    program = f"from setuptools import build_meta\nname = build_meta.build_{kind}({str(out)!r})\nprint(name)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def held(wheel):
    """Its files but for those about it, and its entry points."""
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        files = {name for name in archive.namelist() if not name.startswith(about.split("/")[0])}
        return files, archive.read(about).decode()


def test_the_package_has_every_module_and_the_networks_but_those_apart(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for part in ("crayoncodec", "models", "tests"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    for part in ("setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source)
    archive, wheel = built(source, tmp_path)
    files, entries = held(wheel)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "crayoncodec").rglob("*.py")}
    recipes = {path.relative_to(ROOT).as_posix() for path in (ROOT / "crayoncodec").rglob("*.toml")}
    networks = {f"crayoncodec/models/{path.name}" for path in (ROOT / "models").iterdir() if path.is_file()}
    assert files == modules | recipes | networks | {"crayoncodec/py.typed"}
    assert not any(path.endswith(f"/{name}.safetensors") for name in checkpoints.APART for path in files)
    assert "cray = crayoncodec.__main__:main" in entries
    assert max(path.stat().st_size for path in (archive, wheel)) < MOST
    with tarfile.open(archive) as tar:
        assert not any(
            "/tests/" in name or "/models/crayon/" in name or "/models/paper/" in name
            for name in tar.getnames()
        )


@pytest.mark.parametrize("name", checkpoints.APART)
def test_a_network_apart_has_a_package_of_its_own(name, tmp_path):
    source, package = tmp_path / "source", f"crayoncodec_{name}"
    ignored = shutil.ignore_patterns("*.safetensors", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "models" / name, source, ignore=ignored)
    assert (ROOT / "models" / name / f"{name}.safetensors").exists()
    (source / f"{name}.safetensors").write_bytes(b"stands in for the weights")
    _, wheel = built(source, tmp_path)
    files, entries = held(wheel)
    assert files == {f"{package}/{part}" for part in ("__init__.py", f"{name}.safetensors", f"{name}.json")}
    assert entries.split("\n")[:2] == ["[crayoncodec.models]", f"{name} = {package}"]
