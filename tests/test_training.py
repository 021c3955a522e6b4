"""The training program: cache, batches, learning, resuming, exporting."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import photo
from PIL import Image

from crayoncodec import checkpoints
from crayoncodec.networks import Compact
from crayoncodec.training import data, export, loop

SIDE = 64
RECIPE = loop.Recipe(steps=6, pixels=2 * SIDE * SIDE, warmup=2, save_every=3, evaluate_every=6)


@pytest.fixture
def pack(tmp_path):
    """A tar pack and a folder with usable, small, grey and broken pictures."""
    folder = tmp_path / "pictures" / "deep"
    folder.mkdir(parents=True)
    for seed in range(3):
        Image.fromarray(photo(SIDE + seed, SIDE, seed)).save(folder / f"{seed}.png")
    Image.fromarray(photo(SIDE - 1, SIDE)).save(folder / "small.png")
    Image.fromarray(photo(SIDE, SIDE)).convert("L").save(folder / "grey.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    stream = io.BytesIO()
    Image.fromarray(photo(SIDE, SIDE, 9)).save(stream, "PNG")
    with tarfile.open(tmp_path / "pack.tar", "w") as tar:
        member = tarfile.TarInfo("a/b.png")
        member.size = stream.tell()
        stream.seek(0)
        tar.addfile(member, stream)
    return [tmp_path / "pictures", tmp_path / "pack.tar"]


@pytest.fixture
def cache(pack, tmp_path):
    return data.build_cache(pack, tmp_path / "cache.npy", SIDE)


def train(cache, run, recipe=RECIPE):
    run.mkdir(exist_ok=True)
    torch.manual_seed(0)
    return loop.train(Compact((8, 8, 8)), recipe, cache, cache, run, torch.device("cpu"))


def test_the_cache_holds_every_usable_picture(cache, capsys, pack, tmp_path):
    assert cache.shape == (4, 4, SIDE, SIDE)
    data.build_cache(pack, tmp_path / "again.npy", SIDE)
    assert "'unreadable': 1, 'too small': 1, 'grey': 1" in capsys.readouterr().out


def test_a_cache_of_nothing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no usable picture"):
        data.build_cache([tmp_path], tmp_path / "cache.npy", SIDE)


@pytest.mark.parametrize("seed", range(8))
def test_batches_are_what_the_network_takes(cache, seed):
    *arguments, truth = data.draw_batch(cache, 3 * SIDE * SIDE, np.random.default_rng(seed))
    assert truth.shape == (3, 2, SIDE, SIDE)
    assert 2 <= arguments[-1][0] <= 100
    assert Compact()(*arguments).shape == truth.shape


def test_cached_planes_are_those_of_the_picture(cache):
    lightness, _, _, base, _, truth = data.make_batch([cache[0]], spacing=1, step=1 / 256)
    assert lightness.min() >= 0
    assert lightness.max() <= 100
    assert (base - truth).abs().max() < 0.1


def test_training_lowers_the_loss(cache, tmp_path):
    recipe = loop.Recipe(steps=120, pixels=4 * SIDE * SIDE, warmup=5, averaging=0.9, learning_rate=5e-3)
    network = train(cache, tmp_path / "run", recipe)
    arguments = data.make_batch(list(cache), 20)
    base, truth = arguments[3], arguments[-1]
    with torch.inference_mode():
        assert loop.loss(network(*arguments[:-1]), truth) < 0.95 * loop.loss(base, truth)


def test_a_resumed_run_ends_as_an_uninterrupted_one(cache, tmp_path):
    whole = train(cache, tmp_path / "whole")
    state = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)
    assert state["step"] == 6

    class StopAfterSaveError(Exception):
        pass

    def save_and_stop(*arguments):
        saved(*arguments)
        raise StopAfterSaveError

    saved = loop._save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_save", save_and_stop)
        with pytest.raises(StopAfterSaveError):
            train(cache, tmp_path / "halved")
    halved = train(cache, tmp_path / "halved")
    for ours, theirs in zip(halved.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_error_while_making_batches_is_not_swallowed():
    def batches():
        yield 1
        raise OSError("pack is gone")

    ready = data.prefetch(batches())
    assert next(ready) == 1
    with pytest.raises(OSError, match="pack is gone"):
        next(ready)


def test_a_run_becomes_a_checkpoint(cache, tmp_path):
    average = train(cache, tmp_path / "run")
    weights = tmp_path / "mine.safetensors"
    done = CliRunner().invoke(export.main, [str(tmp_path / "run"), str(weights), "--data", "tests"])
    assert done.exit_code == 0, done.output
    network, card = checkpoints.load(str(weights))
    assert card.training["steps"] == 6
    assert card.training["data"] == "tests"
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert card.metrics["photos-val, AB MSE"] == last["ab_mse"]
    for ours, theirs in zip(network.parameters(), average.parameters(), strict=True):
        assert (ours - theirs).abs().max() < 1e-2
