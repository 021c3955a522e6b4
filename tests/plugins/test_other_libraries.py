"""Libraries that open pictures with Pillow open .cray files after one import; docs/opens.md has each."""

from __future__ import annotations

import importlib
import mimetypes
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec.plugins import pillow as plugin


@pytest.fixture(autouse=True)
def shown(tmp_path, monkeypatch):
    """What photos/one/a.cray and photos/two/b.cray show."""
    monkeypatch.chdir(tmp_path)
    plugin.register()
    data = crayoncodec.encode(photo(30, 40))
    for name in ("one/a.cray", "two/b.cray"):
        path = Path("photos") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return crayoncodec.decode(data)


def test_imageio(shown):
    imageio = pytest.importorskip("imageio.v3")
    assert np.array_equal(imageio.imread("photos/one/a.cray"), shown)
    imageio.imwrite("b.cray", photo(30, 40), quality=50)
    assert crayoncodec.info("b.cray").lightness_quality == 50


def test_scikit_image(shown):
    io = pytest.importorskip("skimage.io")
    assert np.array_equal(io.imread("photos/one/a.cray"), shown)
    io.imsave("b.cray", photo(30, 40))
    assert crayoncodec.info("b.cray").width == 40
    assert len(io.ImageCollection("photos/*/*.cray")) == 2


def test_matplotlib(shown):
    pytest.importorskip("matplotlib").use("agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    assert np.array_equal(pyplot.imread("photos/one/a.cray"), shown)
    pyplot.imsave("b.cray", photo(30, 40))
    assert crayoncodec.info("b.cray").width == 40


def test_hugging_face_datasets(shown, monkeypatch, tmp_path):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"image": ["photos/one/a.cray"]})
    rows = table.cast_column("image", datasets.Image())
    assert np.array_equal(np.asarray(rows[0]["image"]), shown)


def test_torchvision(shown):
    folder = pytest.importorskip("torchvision.datasets.folder")
    pictures = folder.ImageFolder("photos", is_valid_file=lambda path: path.endswith(".cray"))
    assert pictures.classes == ["one", "two"]
    assert np.array_equal(np.asarray(pictures[1][0]), shown)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_webdataset(shown):
    wds = pytest.importorskip("webdataset")
    with tarfile.open("photos.tar", "w") as shard:
        for path in sorted(Path("photos").rglob("*.cray")):
            shard.add(path, path.name)
    opener = wds.handle_extension("cray", crayoncodec.Decoder().decode)
    pictures = wds.WebDataset("photos.tar", shardshuffle=False).decode(opener).to_tuple("__key__", "cray")
    found = dict(pictures)
    assert [*found] == ["a", "b"]
    assert all(np.array_equal(rgb, shown) for rgb in found.values())


def test_types_of_files():
    assert mimetypes.guess_type("a.cray") == ("image/x-cray", None)
    assert mimetypes.guess_extension("image/x-cray") == ".cray"
    assert Image.MIME["CRAY"] == "image/x-cray"
    program = "import sys, crayoncodec; crayoncodec.Decoder; assert 'mimetypes' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
