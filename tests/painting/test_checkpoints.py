"""Checkpoints are loaded only if they are what their cards say."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch
from click.testing import CliRunner
from pictures import photo
from safetensors.torch import load, save

import crayoncodec
from crayoncodec import CheckpointError
from crayoncodec.commands.cray import main
from crayoncodec.machine.process import models_folder
from crayoncodec.networks import Compact
from crayoncodec.painting import checkpoints


def edit_card(weights, **changes):
    path = weights.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", checkpoints.names())
def test_shipped_checkpoints_load_and_their_cards_are_true(name):
    network, card = checkpoints.load(name)
    assert card.name == name
    assert sum(parameter.numel() for parameter in network.parameters()) == card.parameters
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert not network.training


def test_a_path_works_like_a_name(copied):
    assert checkpoints.load(str(copied))[1] == checkpoints.load("compact")[1]


def test_a_flipped_byte_is_found(copied):
    data = bytearray(copied.read_bytes())
    data[-1] ^= 1
    copied.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"SHA-256 is [0-9a-f]{64}, its card says [0-9a-f]{64}"):
        checkpoints.load(str(copied))


@pytest.mark.parametrize(
    "name", ["nonesuch", "../models/compact", "compact.json", "", "nonesuch.safetensors"]
)
def test_what_is_not_there_is_said(name):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoints.find(name)


def test_weights_without_their_card_are_not_loaded(copied):
    copied.with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoints.load(str(copied))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "not json"])
def test_a_card_that_is_none_is_refused(copied, text):
    copied.with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError, match="is not a model card"):
        checkpoints.load(str(copied))


@pytest.mark.parametrize(
    "changes",
    [{"architecture": "nonesuch"}, {"architecture": "crayon", "config": {}}, {"config": {"widths": [8, 8]}},
     {"config": {"depth": 3}}, {"config": {"widths": []}}, {"config": {"widths": [1.5, 2]}}],
)  # fmt: skip
def test_weights_that_do_not_fit_their_card_are_refused(copied, changes):
    edit_card(copied, **changes)
    with pytest.raises(CheckpointError, match="does not fit its card"):
        checkpoints.load(str(copied))


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A package that brings checkpoints, as pip would have installed it; importing it fails."""
    package, about = tmp_path / "theirs", tmp_path / "theirs-1.dist-info"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[crayoncodec.models]\na = gone\nb = gone.deeper\nc = no module!\nd = theirs\ne = theirs.deeper\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (package / "settings.json").write_text("[]")
    described = {"version": "1", "architecture": "compact", "config": {"widths": [4, 4]}, "macs_per_pixel": 1}
    described |= {"description": "", "license": ""}
    for name in ("theirs", "nested"):
        checkpoints.save(Compact(widths=(4, 4)), package / f"{name}.safetensors", half=False, **described)
    (package / "deeper").mkdir()
    checkpoints.save(Compact(widths=(4, 4)), package / "deeper/deep.safetensors", half=False, **described)
    return package


def test_other_packages_bring_checkpoints(theirs):
    assert {*checkpoints.names()} == {"compact", "nested", "theirs", "deep", *checkpoints.APART}
    assert checkpoints.load("theirs")[1].config == {"widths": [4, 4]}
    assert checkpoints.find("theirs").parent == theirs


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".safetensors", "a\0b.safetensors", "\ud800"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoints.find(name)


def test_no_other_package_takes_the_place_of_what_ships(theirs):
    assert checkpoints.names().count("nested") == 1
    assert checkpoints.find("nested").parent == models_folder()


def test_a_network_that_is_too_large_to_ship_is_named_with_what_installs_it(tmp_path, monkeypatch):
    """As where the package is not a checkout."""
    installed = tmp_path / "models"
    shutil.copytree(models_folder(), installed, ignore=lambda *_: checkpoints.APART)
    monkeypatch.setattr(checkpoints, "models_folder", lambda: installed)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: ())
    assert checkpoints.missing() == {"crayon": "crayoncodec[crayon]", "paper": "crayoncodec[paper]"}
    assert checkpoints.names() == ["compact", "nested"]
    message = r"'crayon' is not installed, expected pip install crayoncodec\[crayon\]$"
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load("crayon")
    listed = CliRunner().invoke(main, ["models"], catch_exceptions=False).stdout.splitlines()
    assert listed[-2].split() == ["crayon", "not", "installed:", "pip", "install", "crayoncodec[crayon]"]


def test_saved_weights_come_back(tmp_path):
    torch.manual_seed(1)
    network = Compact()
    described = {"version": "1", "architecture": "compact", "config": {}, "macs_per_pixel": 1}
    described |= {"description": "", "license": ""}
    card = checkpoints.save(network, tmp_path / "mine.safetensors", half=False, **described)
    loaded, read = checkpoints.load(str(tmp_path / "mine.safetensors"))
    assert read == card
    for ours, theirs in zip(network.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_shipped_cards_say_which_files_they_are_for():
    found = {name: checkpoints.read_card(checkpoints.find(name)).grids for name in checkpoints.names()}
    assert found == {"compact": "one", "crayon": "one", "nested": "nested", "paper": "one"}


class TestWrongFiles:
    @pytest.mark.parametrize(
        ("model", "options", "said"),
        [("compact", {}, "is for files of one grid, expected one for nested grids, as nested"),
         ("crayon", {}, "is for files of one grid, expected one for nested grids, as nested"),
         ("nested", {"n": 4}, "is for files of nested grids, expected one for one grid, as compact")],
    )  # fmt: skip
    def test_a_network_for_others_is_refused(self, model, options, said, tmp_path):
        path = tmp_path / "photo.cray"
        crayoncodec.write(path, photo(20, 30), **options)
        with pytest.raises(CheckpointError) as error:
            crayoncodec.read(path, model=model)
        assert str(error.value) == f"network {model} {said}"
        done = CliRunner().invoke(main, ["decode", str(path), "--model", model])
        assert (done.exit_code, done.stderr) == (4, f"cray: {path}: {error.value}\n")
        assert not path.with_suffix(".png").exists()

    def test_it_is_refused_when_it_is_loaded_already(self):
        decoder = crayoncodec.Decoder(model="compact")
        one, nested = (crayoncodec.encode(photo(20, 30), n=n) for n in (4, None))
        decoder.decode(one)
        with pytest.raises(CheckpointError, match="for files of one grid"):
            decoder.decode(nested)
        decoder.decode(one)

    @pytest.mark.parametrize(
        ("training", "grids"),
        [({"recipe": {"nested_range": [3.0, 110.0]}}, "nested"),
         ({"recipe": {"nested_range": [0.0, 0.0]}}, "one"),
         ({"recipe": {}}, "one"), ({}, "any"), ({"recipe": []}, "any")],
    )  # fmt: skip
    def test_cards_of_earlier_versions_are_for_what_their_recipe_trained(self, copied, training, grids):
        path = copied.with_suffix(".json")
        card = {key: value for key, value in json.loads(path.read_text()).items() if key != "grids"}
        path.write_text(json.dumps(card | {"training": training}))
        assert checkpoints.read_card(copied).grids == grids

    def test_one_for_any_file_is_loaded_once(self, copied, monkeypatch):
        edit_card(copied, grids="any")
        decoder = crayoncodec.Decoder(model=str(copied), device="cpu")
        for n in (4, None):
            decoder.decode(crayoncodec.encode(photo(20, 30), n=n))
        assert decoder.network(nested=True) is decoder.network(nested=False)


@pytest.mark.parametrize(
    "changes",
    [{"grids": "two"}, {"grids": ["one"]}, {"name": 3}, {"name": "two\nlines"}, {"version": 3},
     {"sha256": "A" * 64}, {"sha256": None}, {"config": []}, {"config": None}, {"training": "by hand"},
     {"metrics": 1}, {"parameters": -1}, {"parameters": True}, {"parameters": "112"}, {"parameters": 112.0},
     {"macs_per_pixel": float("nan")}, {"macs_per_pixel": None}, {"bogus": 1}],
)  # fmt: skip
def test_cards_with_fields_of_other_kinds_are_refused(copied, changes):
    edit_card(copied, **changes)
    with pytest.raises(CheckpointError, match="is not a model card") as said:
        checkpoints.read_card(copied)
    assert "\n" not in str(said.value)
    assert CliRunner().invoke(main, ["models", "show", str(copied)]).exit_code == 4


def test_what_cards_of_earlier_versions_say_of_graphs_is_passed_over(copied):
    expected = checkpoints.read_card(copied)
    edit_card(copied, onnx_sha256="../graph", int8_onnx_sha256=None, reach=-1, multiple="x")
    assert checkpoints.load(str(copied))[1] == expected


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, " " * 2**20 + "{}", "1" * 10_000])
def test_cards_that_are_too_much_are_refused(copied, text):
    copied.with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError, match="is not a model card"):
        checkpoints.read_card(copied)
    done = CliRunner().invoke(main, ["models", "verify", str(copied)])
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1)


def rewritten(weights, change):
    """The weights after ``change``, and the card with their SHA-256."""
    tensors = load(weights.read_bytes())
    change(tensors)
    data = save(tensors)
    weights.write_bytes(data)
    edit_card(weights, sha256=hashlib.sha256(data).hexdigest())


def set_to(value):
    def change(tensors):
        tensors["stem.weight"].view(-1)[7] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [(set_to(float("nan")), "not finite"), (set_to(float("inf")), "not finite"),
     (lambda tensors: tensors.pop("stem.bias"), "Missing key"),
     (lambda tensors: tensors.update(more=torch.zeros(3)), "Unexpected key"),
     (lambda tensors: tensors.update({"stem.bias": torch.zeros(3)}), "size mismatch"),
     (lambda tensors: tensors.update({"stem.bias": torch.zeros(32, dtype=torch.int64)}), "floating"),
     (lambda tensors: tensors.update({"stem.bias": torch.ones(32).double() * 1e300}), "not finite"),
     (lambda tensors: tensors.clear(), "Missing key")],
)  # fmt: skip
def test_weights_that_are_no_weights_are_refused(copied, change, said):
    rewritten(copied, change)
    with pytest.raises(CheckpointError, match=f"does not fit its card .*{said}") as error:
        checkpoints.load(str(copied))
    assert "\n" not in str(error.value)


def test_weights_of_twice_the_precision_are_weights(copied):
    expected, _ = checkpoints.load("compact")
    rewritten(copied, lambda tensors: tensors.update({key: tensors[key].double() for key in tensors}))
    found, _ = checkpoints.load(str(copied))
    for ours, theirs in zip(found.parameters(), expected.parameters(), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "config", [{"widths": [10**6, 10**6]}, {"widths": [8] * 500}, {"widths": [8, 8], "shuffle": 10**9},
               {"widths": [10**30, 8]}],
)  # fmt: skip
def test_a_network_of_any_size_takes_no_memory_before_it_is_refused(copied, config):
    edit_card(copied, config=config)
    with pytest.raises(CheckpointError, match="does not fit its card"):
        checkpoints.load(str(copied))


def test_a_network_whose_numbers_overflow_is_refused(copied):
    rewritten(copied, lambda tensors: tensors.update({key: value.float() for key, value in tensors.items()}))
    rewritten(copied, lambda tensors: [value.fill_(1e30) for value in tensors.values()])
    with pytest.raises(crayoncodec.DeviceError, match="not finite"):
        crayoncodec.decode(crayoncodec.encode(photo(40, 50), n=5), model=str(copied), device="cpu")
