"""Checkpoints are loaded only if they are what their cards say."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from crayoncodec import CheckpointError, checkpoints
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
