"""What more training brought."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from invoked import invoke
from pictures import photo
from PIL import Image
from safetensors.numpy import load_file, save_file

from benchmarks.codecs import CODECS
from benchmarks.measuring import results
from benchmarks.measuring.results import Results, Row
from benchmarks.suites import curves
from benchmarks.tables import plots, trained
from crayoncodec.color import predictor
from crayoncodec.machine.process import models_folder

_SHIPPED = models_folder() / f"predictor-{predictor.VERSION}.safetensors"


@pytest.fixture
def sets(tmp_path):
    """A folder of two sets of a picture each."""
    for name in ("a", "b"):
        (tmp_path / "sets" / name).mkdir(parents=True)
    Image.fromarray(photo(64, 80)).save(tmp_path / "sets" / "a" / "x.png")
    Image.fromarray(photo(64, 80)[::-1]).save(tmp_path / "sets" / "b" / "x.png")
    return tmp_path / "sets"


def test_other_weights_are_measured_in_place_of_those_that_ship(sets, tmp_path):
    tensors = load_file(_SHIPPED)
    tensors["coarse.other.1.weights"] = np.zeros_like(tensors["coarse.other.1.weights"])
    save_file(tensors, tmp_path / "other.safetensors")
    out = tmp_path / "training.json"
    invoke("learnt", sets, "--name", "ships", "--pictures", 20, 10, "--out", out)
    shutil.copy(out, tmp_path / "first.json")
    invoke("learnt", sets, "--name", "other", "--pictures", 5, 10, "--out", out,
           "--predictor", tmp_path / "other.safetensors")  # fmt: skip
    first, found = results.load(tmp_path / "first.json"), results.load(out)
    assert found.codecs(trained.TRAINING) == [trained.ANCHOR, "ships", "other"]
    assert all(found.rows[key] == row for key, row in first.rows.items())
    ships, other = (
        found.values(trained.TRAINING, name, "color_quality=60", "color_bytes") for name in ("ships", "other")
    )
    codec = CODECS["cray nested auto"]
    expected = curves.color_of(codec, {"color_quality": 60}, photo(64, 80))["color_bytes"]
    assert ships["a/x.png"] == expected != other["a/x.png"]
    assert found.versions["ships"]["predictor"] == predictor.SHA256[predictor.VERSION]
    assert found.versions["other"]["predictor"] != found.versions["ships"]["predictor"]
    done = invoke("learnt", sets, "--name", "ships", "--pictures", 20, 10, "--out", out)
    assert done.stderr == ""
    done = invoke("learnt", sets, "--name", "x", "--pictures", 1, 1, "--crop", 1, "--out", out, code=1)
    assert "is of other pictures than those in" in done.stderr


@pytest.mark.parametrize("given", ["text", "refiner"])
def test_what_is_no_such_network_is_refused(given, sets, tmp_path):
    path = tmp_path / "given.safetensors"
    if given == "text":
        path.write_text("no weights")
    else:
        shutil.copy(next(models_folder().glob("refiner-*.safetensors")), path)
    out = tmp_path / "training.json"
    done = invoke(
        "learnt", sets, "--name", "x", "--pictures", 1, 1, "--out", out, "--predictor", path, code=1
    )
    assert f"Error: {path} " in done.stderr.splitlines()[-1]


def test_gains_are_means_over_pictures_that_have_one_in_every_row():
    names = {"first": (10, 5), "more": (20, 5), "behind": (20, 3), "other": (10, 3)}
    pictures = ["a/1", "a/2", "b/1"]
    share = {"first": 0.5, "more": 0.4, "behind": 0.6, "other": 0.7}
    found = Results({"pictures": pictures}, {}, {trained.ANCHOR: {}})
    for picture in pictures:
        for name in (trained.ANCHOR, *names):
            for bits in (1, 2, 3, 4):
                # One picture's errors are not where the anchor's are.
                away = 100 if (picture, name) == ("a/2", "behind") else 1
                part = 0.1 if picture == "a/2" else share.get(name, 1)
                values = {"color_bpp": bits * part, "ab_mse": 12 / bits * away,
                          "ciede2000_mean": 4 / bits * away}  # fmt: skip
                found.add([Row(trained.TRAINING, name, f"q={bits}", picture, values)])
    for name, learnt in names.items():
        found.versions[name] = dict(zip(trained.LEARNT.values(), map(str, learnt), strict=True))
    gains = trained.gains(found, "ab_mse")
    assert gains["a"] == pytest.approx({name: each - 1 for name, each in share.items()})
    assert "| behind | 20 | 3 | −40.0 % / −40.0 % | −40.0 % / −40.0 % |" in trained.training(found)
    (panel, _) = plots.FIGURES["training"].panels(found)
    assert np.allclose(panel.lines["a, networks in the loop"], [(10, -50.0), (20, -60.0)])
    assert np.allclose(panel.lines["b, networks behind it"], [(3, -40.0), (5, -60.0)])
