"""Checkpoints are loaded only if they are what their cards say."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from click.testing import CliRunner

from crayoncodec import CheckpointError, checkpoints, cli
from crayoncodec.networks import Compact


@pytest.fixture
def copied(tmp_path):
    for suffix in (".safetensors", ".json"):
        shutil.copy(checkpoints.folder() / f"compact{suffix}", tmp_path)
    return tmp_path / "compact.safetensors"


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
        "[crayoncodec.models]\na = gone\nb = gone.deeper\nc = no module!\nd = theirs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (package / "settings.json").write_text("[]")
    described = {"version": "1", "architecture": "compact", "config": {"widths": [4, 4]}, "macs_per_pixel": 1}
    described |= {"description": "", "license": ""}
    for name in ("theirs", "nested"):
        checkpoints.save(Compact(widths=(4, 4)), package / f"{name}.safetensors", half=False, **described)
    return package


def test_other_packages_bring_checkpoints(theirs):
    assert {*checkpoints.names()} == {"compact", "nested", "theirs", *checkpoints.APART}
    assert checkpoints.load("theirs")[1].config == {"widths": [4, 4]}
    assert checkpoints.find("theirs").parent == theirs


def test_no_other_package_takes_the_place_of_what_ships(theirs):
    assert checkpoints.names().count("nested") == 1
    assert checkpoints.find("nested").parent == checkpoints.folder()


def test_a_network_that_is_too_large_to_ship_is_named_with_what_installs_it(tmp_path, monkeypatch):
    """As where the package is not a checkout."""
    installed = tmp_path / "models"
    shutil.copytree(checkpoints.folder(), installed, ignore=lambda *_: checkpoints.APART)
    monkeypatch.setattr(checkpoints, "folder", lambda: installed)
    monkeypatch.setattr(checkpoints.metadata, "entry_points", lambda group: ())
    assert checkpoints.missing() == {"crayon": "crayoncodec[crayon]"}
    assert checkpoints.names() == ["compact", "nested"]
    message = r"'crayon' is not installed, expected pip install crayoncodec\[crayon\]$"
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load("crayon")
    listed = CliRunner().invoke(cli.main, ["models"], catch_exceptions=False).stdout.splitlines()
    assert listed[-1].split() == ["crayon", "not", "installed:", "pip", "install", "crayoncodec[crayon]"]


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
