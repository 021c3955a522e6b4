"""What the distributions hold, and that it works where nothing else of the project is.

Pip's users get what they need, and not 48 MB that they do not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec.painting import checkpoints

pytest.importorskip("setuptools", minversion="77", reason="the installed setuptools is too old")
pytest.importorskip("build")
pytest.importorskip("pip")

ROOT = Path(__file__).parent.parent
MOST = 6e6
"""Bytes of the package."""


def built(source, out):
    """The source distribution, and the wheel that is made of it: their paths."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source]
    subprocess.run(command, capture_output=True, check=True)
    (archive,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return archive, wheel


def held(wheel):
    """Its files but for those about it, and its entry points."""
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        files = {name for name in archive.namelist() if not name.startswith(about.split("/")[0])}
        return files, archive.read(about).decode()


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Of a copy of the source, in which building may leave what it likes."""
    source = tmp_path_factory.mktemp("source")
    left_out = shutil.ignore_patterns("__pycache__", "golden", "*.so", "node_modules", "cases", "screenshots")
    for part in ("crayoncodec", "models", "tests", "web"):
        shutil.copytree(ROOT / part, source / part, ignore=left_out)
    for part in ("setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source)
    return built(source, tmp_path_factory.mktemp("dist"))


class Environment:
    """A fresh virtual environment with crayoncodec's wheel, and a folder without a checkout to work in.

    What the wheel depends on is found where the tests have it, behind what is installed here. Python reads no
    .pth files of a folder that a .pth file names, so what is installed there as editable is not found.
    """

    def __init__(self, home, wheel):
        venv.create(home / "env", with_pip=False)
        places = {"base": str(home / "env"), "platbase": str(home / "env")}
        self.scripts = Path(sysconfig.get_path("scripts", "venv", places))
        self.packages = Path(sysconfig.get_path("purelib", "venv", places))
        self.folder = home / "work"
        self.folder.mkdir()
        self.install(wheel)
        behind = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (self.packages / "behind.pth").write_text("\n".join(behind))

    def install(self, wheel):
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.scripts / "python",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], capture_output=True, check=True)

    def run(self, program, *arguments):
        """What one of its programs prints."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [self.scripts / program, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=clean, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def fresh(distributions, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("fresh"), distributions[1])


def test_the_package_has_every_module_and_the_networks_but_those_apart(distributions):
    archive, wheel = distributions
    files, entries = held(wheel)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "crayoncodec").rglob("*.py")}
    recipes = {path.relative_to(ROOT).as_posix() for path in (ROOT / "crayoncodec").rglob("*.toml")}
    networks = {f"crayoncodec/models/{path.name}" for path in (ROOT / "models").iterdir() if path.is_file()}
    web = {path.relative_to(ROOT / "web").as_posix() for path in (ROOT / "web").rglob("*") if path.is_file()}
    pages = {
        f"crayoncodec/web/{path}" for path in web
        if re.fullmatch(r"[a-z]+\.(js|css)|index\.html|kernels\.wasm|view/[\w.]+", path)
    }  # fmt: skip
    assert {f"crayoncodec/web/{path}" for path in ("view/gallery.html", "page.js", "kernels.wasm")} < pages
    compiled = {path for path in files if path.startswith("crayoncodec/machine/_native.abi3.")}
    assert len(compiled) == (shutil.which("cc") is not None)
    assert files - compiled == modules | recipes | networks | pages | {
        "crayoncodec/py.typed",
        "crayoncodec/machine/_native.pyi",
    }
    assert not any(path.endswith(f"/{name}.safetensors") for name in checkpoints.APART for path in files)
    assert "cray = crayoncodec.__main__:main" in entries
    assert max(path.stat().st_size for path in (archive, wheel)) < MOST
    with tarfile.open(archive) as tar:
        sources = {Path(name).name for name in tar.getnames() if "/machine/" in name}
        assert {"kernels.c", "kernels.h", "levels.c", "native.c", "versions.h"} < sources
        assert not any(
            "/tests/" in name or "/web/test/" in name or "/models/crayon/" in name or "/models/paper/" in name
            for name in tar.getnames()
        )


def test_without_a_compiler_a_line_says_what_is_missing(tmp_path):
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--force", "--build-lib", tmp_path],
        cwd=ROOT, env=os.environ | {"CC": "/nowhere/cc"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = (line for line in (done.stdout + done.stderr).splitlines() if "no kernels" in line)
    assert "NumPy computes the same more slowly; with a C compiler, build again" in line
    assert not [*tmp_path.rglob("*.so")]


@pytest.mark.parametrize("options", [{}, {"n": 8}], ids=["nested grids", "one grid"])
def test_the_installed_command_encodes_and_decodes(options, fresh):
    picture = photo(50, 70)
    Image.fromarray(picture).save(fresh.folder / "photo.png")
    typed = [part for name, value in options.items() for part in (f"-{name}", str(value))]
    fresh.run("cray", "encode", "photo.png", *typed, "--overwrite")
    fresh.run(
        "cray", "decode", "photo.cray", "--color", "neural", "--device", "cpu",
        "--overwrite",
    )  # fmt: skip
    data = crayoncodec.encode(picture, **options)
    assert (fresh.folder / "photo.cray").read_bytes() == data
    painted = crayoncodec.decode(data, color="neural", device="cpu")
    assert np.array_equal(np.asarray(Image.open(fresh.folder / "photo.png")), painted)


def test_the_installed_package_encodes_and_decodes(fresh):
    picture = photo(40, 30)
    np.save(fresh.folder / "picture.npy", picture)
    program = """
import crayoncodec, numpy
crayoncodec.write("picture.cray", numpy.load("picture.npy"), quality=60)
numpy.save("decoded.npy", crayoncodec.read("picture.cray", color="guided"))
print(crayoncodec.__file__)
"""
    where = Path(fresh.run("python", "-c", program).strip())
    assert where == fresh.packages / "crayoncodec" / "__init__.py"
    data = crayoncodec.encode(picture, quality=60)
    assert (fresh.folder / "picture.cray").read_bytes() == data
    assert np.array_equal(np.load(fresh.folder / "decoded.npy"), crayoncodec.decode(data, color="guided"))


@pytest.mark.parametrize("name", checkpoints.APART)
def test_a_network_apart_has_a_package_of_its_own(name, tmp_path, fresh):
    source, package = tmp_path / "source", f"crayoncodec_{name}"
    ignored = shutil.ignore_patterns("*.safetensors", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "models" / name, source, ignore=ignored)
    assert (ROOT / "models" / name / f"{name}.safetensors").exists()
    (source / f"{name}.safetensors").write_bytes(b"stands in for the weights")
    _, wheel = built(source, tmp_path)
    files, entries = held(wheel)
    assert files == {f"{package}/{part}" for part in ("__init__.py", f"{name}.safetensors", f"{name}.json")}
    assert entries.split("\n")[:2] == ["[crayoncodec.models]", f"{name} = {package}"]

    def listed():
        (line,) = (line for line in fresh.run("cray", "models").splitlines() if line.split()[0] == name)
        return line

    assert "not installed" in listed()
    fresh.install(wheel)
    assert "parameters" in listed()


def test_the_installed_package_has_the_pages_of_cray_view(fresh):
    pytest.importorskip("starlette")
    program = """
from crayoncodec.machine.process import data_folder
from crayoncodec.view.server import pages
print(data_folder("web"))
print(*sorted(pages()), sep=chr(10))
"""
    folder, *names = fresh.run("python", "-c", program).splitlines()
    assert Path(folder) == fresh.packages / "crayoncodec" / "web"
    assert {"web/view/gallery.html", "web/vendor/fzstd/index.mjs", "models/refiner-1.safetensors"} < {*names}
