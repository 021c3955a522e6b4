"""Learning: losses, rates, stopping and going on."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import CPU, SIDE, SMALL, trained

from crayoncodec.networks import Compact
from crayoncodec.networks.inputs import paint
from crayoncodec.painting import checkpoints
from crayoncodec.training import batches, loop, recipes
from crayoncodec.training.runs import Run


class TestTraining:
    def test_lowers_the_loss(self, dataset, tmp_path):
        overrides = ("steps=80", "evaluate_every=80", "averaging=0.9", "learning_rate=5e-3", "lossy=0")
        trained(tmp_path / "run", dataset, *overrides, "evaluated=[20]", "spacings=[20]")
        (line,) = Run.open(tmp_path / "run").metrics()
        assert line["ab_mse"]["20"]["network"] < 0.95 * line["ab_mse"]["20"]["guided"]

    def test_goes_on_as_if_it_had_not_stopped(self, dataset, tmp_path, monkeypatch):
        whole = trained(tmp_path / "whole", dataset)
        learned = loop.Learner.step
        seen = []

        def stopping(self, step, *arguments):
            seen.append(learned(self, step, *arguments))
            if len(seen) == 4:
                os.kill(os.getpid(), signal.SIGINT)
            return seen[-1]

        monkeypatch.setattr(loop.Learner, "step", stopping)
        with pytest.raises(loop.Interrupted):
            trained(tmp_path / "halved", dataset)
        halved = trained(tmp_path / "halved", dataset)
        for ours, theirs in zip(halved.parameters(), whole.parameters(), strict=True):
            assert torch.equal(ours, theirs)
        assert len(seen) == 6
        (line,) = Run.open(tmp_path / "whole").metrics()
        assert line["loss"] == pytest.approx(np.mean(seen), rel=1e-12)

    def test_ends_with_its_minutes_and_goes_on_with_what_is_left(self, dataset, tmp_path, monkeypatch):
        clock = iter(range(0, 10**6, 5))  # seconds: each look at it takes five
        monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
        overrides = ("minutes=1", "steps=1000", "evaluate_every=1000")
        learned = loop.Learner.step
        taken = []

        def stopping(self, step, rate, *arguments):
            taken.append(rate)
            if len(taken) == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return learned(self, step, rate, *arguments)

        monkeypatch.setattr(loop.Learner, "step", stopping)
        with pytest.raises(loop.Interrupted):
            trained(tmp_path / "run", dataset, *overrides)
        trained(tmp_path / "run", dataset, *overrides)
        assert 6 < len(taken) <= 12
        assert Run.open(tmp_path / "run").network()[1] == len(taken)
        trained(tmp_path / "run", dataset, *overrides)
        assert Run.open(tmp_path / "run").network()[1] == len(taken)
        assert len(Run.open(tmp_path / "run").metrics()) == 1

    def test_the_best_is_kept(self, dataset, tmp_path, monkeypatch):
        scores = iter([3.0, 2.0, 2.5])
        monkeypatch.setattr(loop, "score", lambda errors: current)

        def evaluate(*_):
            nonlocal current
            current = next(scores)
            return {"6": {"network": current, "guided": 1.0}}

        current = 0.0
        monkeypatch.setattr(loop, "evaluate", evaluate)
        trained(tmp_path / "run", dataset, "evaluate_every=2", "keep=best")
        assert Run.open(tmp_path / "run").network()[1] == 4

    def test_a_teacher_is_followed(self, dataset, tmp_path):
        teacher = Compact((8, 8))
        torch.nn.init.constant_(teacher.head.bias, 0.3)
        fields = {"version": "1", "architecture": "compact", "config": teacher.config, "macs_per_pixel": 1,
                  "description": "", "license": ""}  # fmt: skip
        checkpoints.save(teacher, tmp_path / "teacher.safetensors", half=False, **fields)
        overrides = (f"teacher={tmp_path / 'teacher.safetensors'}", "teacher_weight=1.0", "steps=60",
                     "graphics=0.0", "projected=0.0",
                     "averaging=0.5", "learning_rate=1e-2", "evaluate_every=60")  # fmt: skip
        pupil = trained(tmp_path / "run", dataset, *overrides)
        recipe = recipes.load("compact", SMALL)
        inputs, _ = batches.draw(dataset.squares, [0], recipe, SIDE * SIDE, np.random.default_rng(0), CPU)
        with torch.no_grad():
            taught, found = paint(teacher, inputs), paint(pupil, inputs)
        assert (found - taught).abs().mean() < 0.2 * (inputs.planes["base"] - taught).abs().mean()

    def test_tensorboard_has_the_figures_of_the_log(self, dataset, tmp_path):
        trained(tmp_path / "run", dataset)
        (line,) = Run.open(tmp_path / "run").metrics()
        events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
        (loss,) = events.Scalars("loss")
        assert (loss.step, loss.value) == (6, pytest.approx(line["loss"]))
        (error,) = events.Scalars("ab_mse n=20/network")
        assert error.value == pytest.approx(line["ab_mse"]["20"]["network"])

    def test_epochs_are_passes_over_the_data(self, dataset):
        material = loop.Material(dataset.squares, np.arange(4), dataset.squares, np.arange(4))
        recipe = recipes.load("paper", ["side=64", "crop=64", "batch=8192", "epochs=3"])
        assert loop._schedule(recipe, material) == (6, 2)

    @pytest.mark.parametrize(("loss", "expected"), [
        ("mse", (4 + 36) / 2), ("mae", (2 + 6) / 2), ("rmse", (2 + 6) / 2), ("log", np.log(2 * 6)),
        ("huber", (4 + 36) / 4),
    ])  # fmt: skip
    def test_losses_of_an_easy_and_a_difficult_picture(self, loss, expected):
        truth = torch.zeros(2, 2, 4, 4)
        predicted = torch.tensor([2.0, -6.0]).view(2, 1, 1, 1).expand_as(truth)
        found = loop._loss(recipes.load("compact", [f"loss={loss}"]), predicted, truth)
        assert float(found) == pytest.approx(expected, rel=2e-3)

    def test_huber_is_linear_where_colours_are_a_whole_unit_of_their_range_away(self):
        truth, recipe = torch.zeros(1, 2, 4, 4), recipes.load("xiaonet")
        far, farther = (float(loop._loss(recipe, truth + away, truth)) for away in (200.0, 300.0))
        assert (farther - far) / 100 == pytest.approx(128)

    def test_statistics_of_batches_are_kept_and_not_those_of_evaluation(self, dataset, tmp_path):
        overrides = ("architecture=xiaonet", "network={width=2}", "projected=0.0", "sampling=point")
        network = trained(tmp_path / "run", dataset, *overrides)
        assert not network.training
        kept = dict(network.named_buffers())
        assert kept
        assert all((statistics != statistics.round()).any() for statistics in kept.values())
        again, _ = Run.open(tmp_path / "run").network()
        assert all(torch.equal(kept[name], buffer) for name, buffer in again.named_buffers())

    @pytest.mark.parametrize(("schedule", "last"), [("cosine", 0.0), ("constant", 1.0)])
    def test_learning_rates(self, schedule, last):
        recipe = recipes.load("compact", ["learning_rate=1.0", "warmup=4", f"schedule={schedule}"])
        rates = [loop.learning_rate(recipe, step, 100) for step in range(101)]
        assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
        assert rates[100] == pytest.approx(last)

    def test_learning_rates_follow_the_time_where_it_runs_out_first(self):
        recipe = recipes.load("compact", ["learning_rate=1.0", "warmup=4"])
        assert loop.learning_rate(recipe, 10, 1000, passed=0.5) == pytest.approx(0.5)
        assert loop.learning_rate(recipe, 10, 1000, passed=1.2) == pytest.approx(0.0)
        assert loop.learning_rate(recipe, 502, 1000, passed=0.1) == pytest.approx(0.5, abs=0.01)
