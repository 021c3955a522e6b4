"""Training of the networks in the loop, and of the one behind them, on a handful of small pictures."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import photo, png
from safetensors.numpy import load_file
from training_runs import packed

from crayoncodec.color import cielab, features, predictor, refiner
from crayoncodec.color.grid import reduce_to_cells
from crayoncodec.errors import TrainingError
from crayoncodec.format import entropy
from crayoncodec.format import nested as codestream
from crayoncodec.networks.behind_loop import Refiner
from crayoncodec.networks.in_loop import IntegerPredictor, Predictor
from crayoncodec.training import batches, learners, recipes
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


def stopping(step):
    """The same, but the second time Ctrl-C comes."""
    count = 0

    def stopped(*arguments):
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return step(*arguments)

    return stopped


SMALL = (partial(Predictor, 4, 1, 1, 4), partial(Predictor, 4, 1, 1, 4), partial(Refiner, (4, 4, 4, 4)))


@pytest.mark.parametrize(
    "start", [[], ["--start", str(predictor.VERSION)]], ids=["one by one", "side by side"]
)
def test_a_training_goes_on_where_it_was_left(pack, tmp_path, monkeypatch, start):
    if not start:
        parts = zip(training.PARTS, SMALL, strict=True)
        monkeypatch.setattr(training, "PARTS", tuple(part._replace(build=small) for part, small in parts))
    monkeypatch.setattr(training, "_COUNTED", 2)
    monkeypatch.setattr(training, "_SAVE_EVERY", 1)
    monkeypatch.setattr(training, "_CROP", 128)

    def run(folder, code):
        arguments = ["--data", str(pack), "--steps", "2", "--batch", "1", "--device", "cpu", *start]
        result = CliRunner().invoke(training.main, [str(folder), *arguments])
        assert result.exit_code == code, result.output
        return result.output

    said = run(tmp_path / "once", 0)
    with monkeypatch.context() as patch:
        patch.setattr(training.SideBySide, "__call__", stopping(training.SideBySide.__call__))
        run(tmp_path / "twice", 1)
    run(tmp_path / "twice", 0)
    for name in ("predictor.safetensors", "refiner.safetensors"):
        once, twice = ((tmp_path / folder / name).read_bytes() for folder in ("once", "twice"))
        assert once == twice
        assert hashlib.sha256(once).hexdigest() in said


@pytest.mark.parametrize("name", ["coarse", "fine", "behind"])
def test_weights_of_a_version_are_taken_to_the_bit(name):
    shipped = predictor.load(predictor.VERSION)
    layers = {"coarse": shipped.coarse, "fine": shipped.fine, "behind": refiner.load()}[name].layers
    (network,) = (part.build() for part in training.PARTS if part.name == name)
    network.take(layers)
    for layer, values in network.layers().items():
        for given, found in zip(layers[layer], values, strict=True):
            np.testing.assert_array_equal(found, given)


def test_a_training_begins_with_a_version(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_COUNTED", 2)
    options = [
        "--steps",
        "1",
        "--batch",
        "1",
        "--learning-rate",
        "0",
        "--device",
        "cpu",
        "--start",
        str(predictor.VERSION),
    ]
    result = CliRunner().invoke(training.main, [str(tmp_path), "--data", str(pack), *options])
    assert result.exit_code == 0, result.output
    for mine, theirs in (
        ("predictor", f"predictor-{predictor.VERSION}"),
        ("refiner", f"refiner-{refiner.VERSION}"),
    ):
        begun = load_file(tmp_path / f"{mine}.safetensors")
        given = load_file(MODELS / f"{theirs}.safetensors")
        for tensors in (begun, given):
            tensors.pop("frequencies", None)
        assert begun.keys() == given.keys()
        for name, values in given.items():
            np.testing.assert_array_equal(begun[name], values)


def test_four_pictures_side_by_side():
    quarters = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 2, 3)
    found = training.together(quarters)
    assert found.shape == (2, 1, 4, 6)
    assert found[1, 0, :, 0].tolist() == [4, 4, 6, 6]
    assert found[1, 0, 0].tolist() == [4, 4, 4, 5, 5, 5]


def test_errors_near_grey_weigh_more():
    """A tint of grey is seen where the same error of a strong colour is not."""
    error = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    losses = [learners.seen(truth + error, truth) for truth in (torch.zeros(1, 2, 8, 8), error * 20)]
    assert losses[0] == pytest.approx((4.5**0.5 + 3) / 2, rel=0.01)
    assert losses[1] < 0.75 * losses[0]


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
