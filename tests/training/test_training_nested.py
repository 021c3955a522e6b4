"""Training of the networks in the loop, and of the one behind them, on a handful of small pictures."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import photo, png
from safetensors.numpy import load_file
from training_runs import packed

from crayoncodec.color import cielab, features, predictor
from crayoncodec.color.grid import reduce_to_cells
from crayoncodec.errors import TrainingError
from crayoncodec.format import entropy
from crayoncodec.format import nested as codestream
from crayoncodec.networks.in_loop import IntegerPredictor, Predictor
from crayoncodec.training import batches, recipes
from crayoncodec.training import costs as coding
from crayoncodec.training import prediction as training

MODELS = Path(__file__).parents[2] / "models"


def shipped():
    coarse, fine = (
        IntegerPredictor(part.layers)
        for part in (predictor.load(predictor.VERSION).coarse, predictor.load(predictor.VERSION).fine)
    )
    return lambda spacing: coarse if spacing >= predictor.COARSE else fine


def pictures(count=2, side=128, step=20.0):
    made = [cielab.rgb_to_lab(photo(side, side, seed)) for seed in range(count)]
    lightness, ab = (torch.from_numpy(np.stack(planes)) for planes in zip(*made, strict=True))
    axes_ab, _ = coding.turned(ab)
    return coding.Pictures(coding.to_u8(lightness[:, None]), axes_ab, torch.full((count,), step))


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "pack.tar"
    return packed(path, {f"{seed}.png": png(photo(320, 320, seed)) for seed in range(3)})


class TestCoding:
    @pytest.mark.parametrize("finest", [4, 2])
    def test_cells_are_those_of_the_codec(self, finest):
        """A batch is coded as the encoder codes a picture, but for its choice by the tables' own bits."""
        batch = pictures(1)
        with torch.no_grad():
            _, cells = coding.code(shipped(), batch, finest, coding.rounded)
        ab = batch.ab[0].numpy()
        plane = batch.plane[0, 0].numpy().astype(np.uint8)
        theirs = codestream.encode(reduce_to_cells(ab, finest, "mean"), plane, finest, 20 * 256, 0)
        found = cells[0].numpy() / features.COLOR
        truth = reduce_to_cells(ab, finest, "mean")
        errors = [np.square(each - truth).mean() for each in (found, theirs.samples / 256)]
        assert errors[0] == pytest.approx(errors[1], rel=0.1)

    def test_bits_are_a_distributions(self):
        for log_b in (-2.0, 0.0, 2.0):
            symbols = torch.arange(-2000, 2001, dtype=torch.float64)
            total = 2 ** -coding.bits(symbols, torch.tensor(log_b, dtype=torch.float64))
            assert total.sum().item() == pytest.approx(1, abs=1e-6)

    def test_gradients_reach_the_network_that_learns(self):
        torch.manual_seed(0)
        network = Predictor(width=8, depth=1, later=1, between=8)
        cost, _ = coding.code(lambda spacing: network, pictures(), 4)
        (cost.squares + cost.bits + cost.pull - cost.pull.detach()).sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        assert network.one[0].weight.grad.abs().max() > 0

    def test_levels_of_a_finished_network_are_free(self):
        torch.manual_seed(0)
        network = Predictor(width=8, depth=1, later=1, between=8)
        ready = shipped()
        batch = pictures()
        cost, _ = coding.code(lambda n: network if n < 4 else ready(n), batch, 4)
        assert cost.bits.max() == 0
        cost, _ = coding.code(lambda n: network if n < 4 else ready(n), batch, 2)
        assert cost.bits.min() > 0

    def test_a_smaller_step_costs_more_bits(self):
        with torch.no_grad():
            bits = [coding.code(shipped(), pictures(step=step), 4)[0].bits.sum() for step in (40.0, 10.0)]
        assert bits[0] < bits[1]

    def test_the_cheapest_symbol_costs_least(self):
        residual, log_b = torch.linspace(-3, 3, 61), torch.tensor(-1.0)

        def cost(symbols):
            return ((residual - symbols).square() + codestream.PRICE * coding.bits(symbols, log_b)).sum()

        assert cost(coding.cheapest(residual, log_b)) <= cost(coding.rounded(residual, log_b))


class TestTables:
    def test_add_up_whatever_was_counted(self):
        counts = np.zeros((predictor.SPREADS, coding.REACH + 2), np.int64)
        counts[3, 0], counts[40, 100], counts[63, -1] = 10**9, 10**6, 500
        entropy.Tables(training.frequencies(counts))

    def test_follow_what_was_counted(self):
        counts = np.zeros((predictor.SPREADS, coding.REACH + 2), np.int64)
        counts[20, :3] = 600_000, 300_000, 100_000
        row = training.frequencies(counts)[20] / entropy.TOTAL
        assert row[0] == pytest.approx(0.6, abs=0.01)
        assert 2 * row[1] == pytest.approx(0.3, abs=0.01)
        assert 2 * row[2] == pytest.approx(0.1, abs=0.01)


def test_a_training_goes_on_where_it_was_left(pack, tmp_path, monkeypatch):
    network = {"width": 4, "depth": 1, "later": 1, "between": 4}
    monkeypatch.setattr(training, "PARTS", tuple(part._replace(network=network) for part in training.PARTS))
    monkeypatch.setattr(training, "_COUNTED", 2)
    monkeypatch.setattr(training, "_SAVE_EVERY", 1)
    save = training.Learner.save

    def run(folder, code):
        arguments = ["--data", str(pack), "--steps", "3", "--batch", "1", "--device", "cpu"]
        result = CliRunner().invoke(training.main, [str(folder), *arguments])
        assert result.exit_code == code, result.output
        return result.output

    def interrupted(self, path, step):
        save(self, path, step)
        raise KeyboardInterrupt

    said = run(tmp_path / "once", 0)
    monkeypatch.setattr(training.Learner, "save", interrupted)
    run(tmp_path / "twice", 1)
    monkeypatch.setattr(training.Learner, "save", save)
    run(tmp_path / "twice", 0)
    once, twice = ((tmp_path / name / "predictor.safetensors").read_bytes() for name in ("once", "twice"))
    assert once == twice
    assert hashlib.sha256(once).hexdigest() in said


@pytest.mark.parametrize("part", training.PARTS, ids=lambda part: part.name)
def test_weights_of_a_version_are_taken_to_the_bit(part):
    layers = getattr(predictor.load(predictor.VERSION), part.name).layers
    network = Predictor(**part.network)
    network.take(layers)
    for name, layer in network.layers().items():
        for given, found in zip(layers[name], layer, strict=True):
            np.testing.assert_array_equal(found, given)


def test_a_training_begins_with_a_version(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_COUNTED", 2)
    options = ["--steps", "1", "--learning-rate", "0", "--device", "cpu", "--start", "3"]
    result = CliRunner().invoke(training.main, [str(tmp_path), "--data", str(pack), *options])
    assert result.exit_code == 0, result.output
    begun, given = (
        load_file(folder / name)
        for folder, name in ((tmp_path, "predictor.safetensors"), (MODELS, "predictor-3.safetensors"))
    )
    del begun["frequencies"], given["frequencies"]
    assert begun.keys() == given.keys()
    for name, values in given.items():
        np.testing.assert_array_equal(begun[name], values)


class TestRecipe:
    def test_what_nested_grids_need(self):
        for override, text in (
            ("spacings=[3]", "spacings is"),
            ("crop=200", "crop is 200, expected a multiple of 128"),
            ("projected=1.0", "projected is 1.0, expected 0"),
            ("nested_range=[1.0,2.0,3.0]", "nested_range"),
        ):
            with pytest.raises(TrainingError, match=text.replace("[", r"\[")):
                recipes.load("nested", [override])

    def test_batches_are_what_the_decoder_gives_the_network(self):
        lightness, ab = cielab.rgb_to_lab(photo(128, 128))
        plane = cielab.lightness_to_u8(lightness)
        given = torch.from_numpy(cielab.lightness_from_u8(plane))[None, None]
        inputs = batches.nested_planes_of(given, torch.from_numpy(ab)[None], 4, torch.tensor([20.0]))
        assert inputs.planes["coarseness"].tolist() == [20.0]
        theirs = codestream.encode(reduce_to_cells(ab, 4, "mean"), plane, 4, 20 * 256)
        ours = inputs.samples[0].numpy()
        truth = reduce_to_cells(ab, 4, "mean")
        assert math.sqrt(np.square(ours - theirs.samples / 256).mean()) < 2 * math.sqrt(
            np.square(ours - truth).mean()
        )
        assert np.abs(ours - truth).mean() < 20 / 4
