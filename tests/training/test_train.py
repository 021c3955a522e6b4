"""``cray train``, ``eval`` and ``export``, from pictures to what they decode, in several processes, too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import photo
from PIL import Image
from training_runs import CPU, SIDE, SMALL, train

from crayoncodec.commands.cray import main
from crayoncodec.networks.inputs import paint
from crayoncodec.painting import checkpoints
from crayoncodec.training import batches, data, loop, recipes
from crayoncodec.training.runs import Run


class TestCommands:
    def test_train_eval_export_and_decode(self, sources, tmp_path):
        done = train(sources, tmp_path / "run")
        assert done.exit_code == 0, done.output
        assert "widths': [8, 8]" in done.stdout
        assert "training: 4 pictures; left out: 2 unreadable, 1 too small, 1 grey" in done.stdout
        assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == ["0000006.png"]
        exported = CliRunner().invoke(
            main, ["export", str(tmp_path / "run"), "-o", str(tmp_path / "mine"), "--data", "tests",
                   "--measured-on", str(sources[1])]
        )  # fmt: skip
        assert exported.exit_code == 0, exported.output
        network, card = checkpoints.load(str(tmp_path / "mine.safetensors"))
        assert card.grids == "one"
        assert (card.training["steps"], card.training["data"]) == (6, "tests")
        assert card.training["recipe"]["steps"] == 6
        (line,) = Run.open(tmp_path / "run").metrics()
        assert card.metrics["validation, AB MSE"] == line["ab_mse"]
        assert set(card.metrics["pack.tar, 1 pictures, decoded"]) == {"6", "10", "20", "40"}
        average, _ = Run.open(tmp_path / "run").network()
        for ours, theirs in zip(network.parameters(), average.parameters(), strict=True):
            assert (ours - theirs).abs().max() < 1e-2
        # What goes on from it says so, but not where on this machine it was.
        again = tmp_path / "again"
        done = train(sources, again, f"start={tmp_path / 'mine.safetensors'}", "steps=1")
        assert done.exit_code == 0, done.output
        exported = CliRunner().invoke(main, ["export", str(again), "-o", str(again)])
        assert exported.exit_code == 0, exported.output
        card = (tmp_path / "again.json").read_text()
        assert '"start": "mine.safetensors"' in card
        assert str(tmp_path) not in card
        for model in (tmp_path / "run", tmp_path / "mine.safetensors"):
            arguments = [
                "eval",
                str(model),
                "--data",
                str(sources[0]),
                "-n",
                "8",
                "--json",
                "--device",
                "cpu",
            ]
            evaluated = CliRunner().invoke(main, arguments)
            assert evaluated.exit_code == 0, evaluated.output
            report = json.loads(evaluated.stdout)
            assert report["pictures"] == 5
            assert report["n"]["8"]["network"]["ab_mse"] > 0
            assert "broken.jpg is left out" in evaluated.stderr

    @pytest.mark.parametrize("network", ["{widthz=[8]}", "{widths='ab'}", "{widths=[8,8], shuffle=0}"])
    def test_a_network_that_cannot_be_built(self, sources, tmp_path, network):
        done = train(sources, tmp_path / "run", f"network={network}")
        assert done.exit_code == 2
        assert "not one of compact" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "run").exists()

    def test_a_run_is_not_begun_twice(self, sources, tmp_path):
        assert train(sources, tmp_path / "run").exit_code == 0
        done = train(sources, tmp_path / "run")
        assert done.exit_code == 2
        assert "has a run already, expected --resume" in done.stderr

    def test_a_run_that_failed_at_its_start_blocks_nothing(self, sources, tmp_path, monkeypatch):
        folder, empty = tmp_path / "run", tmp_path / "empty"
        empty.mkdir()
        done = train([empty], folder)
        assert (done.exit_code, "no usable picture" in done.stderr) == (2, True)
        assert train(sources, folder, "start=nonesuch").exit_code == 4

        def killed(*_):
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(loop.Learner, "step", killed)
            assert train(sources, folder).stderr.endswith("cray: out of memory\n")
        (folder / "metrics.jsonl").write_text("{}\n")
        done = train(sources, folder, "steps=2", "evaluate_every=2")
        assert done.exit_code == 0, done.stderr
        run = Run.open(folder)
        assert (run.recipe.steps, run.recipe.start) == (2, "")
        assert [line["step"] for line in run.metrics()] == [2]

    def test_evaluation_of_pictures_without_errors(self, tmp_path):
        folder = tmp_path / "pictures"
        folder.mkdir()
        for name, pixels in (("color", photo(40, 60)), ("grey", np.full((40, 60, 3), 119, np.uint8))):
            Image.fromarray(pixels).save(folder / f"{name}.png")

        def evaluated(*options):
            done = CliRunner().invoke(main, ["eval", "compact", "--data", str(folder), "-n", "8", *options])
            assert done.exit_code == 0, done.output
            return done.stdout

        def refuse(word):
            raise AssertionError(f"{word} is not JSON")

        both = json.loads(evaluated("--json"), parse_constant=refuse)["n"]["8"]["guided"]
        assert "exact 1" in evaluated()
        (folder / "grey.png").rename(tmp_path / "grey.png")
        alone = json.loads(evaluated("--json"))["n"]["8"]["guided"]
        assert (both["exact"], alone["exact"]) == (1, 0)
        assert both["psnr_rgb"] == alone["psnr_rgb"]
        assert both["ab_mse"] < alone["ab_mse"]
        (folder / "color.png").unlink()
        (tmp_path / "grey.png").rename(folder / "grey.png")
        only = json.loads(evaluated("--json"), parse_constant=refuse)["n"]["8"]["guided"]
        assert (only["exact"], only["psnr_rgb"]) == (1, None)

    def test_data_that_went_away(self, sources, tmp_path):
        assert train(sources, tmp_path / "run").exit_code == 0
        sources[1].unlink()
        done = CliRunner().invoke(main, ["train", "--resume", str(tmp_path / "run")])
        assert done.exit_code == 2
        assert "pack.tar, which the run learns from, is not there any more" in done.stderr

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
    def test_no_gpu(self, sources, tmp_path):
        done = train(sources, tmp_path / "run", "--device", "cuda")
        assert done.exit_code == 2
        assert done.stderr == "cray: train: device cuda is not available here, expected auto or cpu\n"
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("arguments", [[], ["compact"], ["compact", "--resume", "."]])
    def test_usage(self, arguments):
        assert CliRunner().invoke(main, ["train", *arguments]).exit_code == 2

    def test_ctrl_c_saves_and_says_how_to_go_on(self, sources, tmp_path):
        folder = tmp_path / "run"
        command = [sys.executable, "-m", "crayoncodec", "train", "compact", *SMALL, "steps=100000", "--out",
                   str(folder), "--data", str(sources[0]), "--device", "cpu"]  # fmt: skip
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert said.splitlines()[-1] == f"interrupted; cray train --resume {folder} goes on"
        step = torch.load(folder / "state.pt", weights_only=True)["step"]
        assert step >= 6

    def test_two_processes_learn_from_the_mean_of_their_gradients(self, sources, tmp_path):
        overrides = ("steps=1", "save_every=1", "precision=float32", "averaging=0.0", "lossy=0", "clip=0.0")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m",
                   "crayoncodec", "train", "compact", *SMALL, *overrides, "--out", str(tmp_path / "run"),
                   "--data", str(sources[0]), "--validation", str(sources[0]), "--device", "cpu"]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        found, _ = Run.open(tmp_path / "run").network()
        recipe = recipes.load("compact", [*SMALL, *overrides])
        learner = loop.Learner(recipe, loop.Process(0, 1, CPU))
        squares = data.open_dataset([sources[0]], tmp_path / "x.lab", SIDE).squares
        for rank in range(2):
            rng = np.random.default_rng((recipe.seed, 0, rank))
            inputs, truth = batches.draw(squares, np.arange(3), recipe, recipe.batch // 2, rng, CPU)
            counted = loop._counted(recipe, paint(learner.network, inputs), inputs)
            (loop._error(recipe, counted, truth) / 2).backward()
        learner.optimizer.param_groups[0]["lr"] = loop.learning_rate(recipe, 0, 1)
        learner.optimizer.step()
        moved = 0.0
        start = loop.Learner(recipe, loop.Process(0, 1, CPU)).network
        for ours, theirs, before in zip(
            found.parameters(), learner.network.parameters(), start.parameters(), strict=True
        ):
            assert torch.allclose(ours, theirs, atol=2e-5)
            moved = max(moved, float((ours - before).detach().abs().max()))
        assert moved > 1e-4
