"""Runs in their folders: what cannot be gone on with, and networks that start from another."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from training_runs import CPU, SIDE, SMALL, train, trained

from crayoncodec.commands.cray import main
from crayoncodec.errors import TrainingError
from crayoncodec.networks import Compact, Crayon
from crayoncodec.networks.inputs import paint
from crayoncodec.painting import checkpoints
from crayoncodec.training import batches, recipes
from crayoncodec.training.runs import Run
from crayoncodec.training.widening import widen


class TestRuns:
    def test_states_survive_a_full_disk(self, dataset, tmp_path, monkeypatch):
        trained(tmp_path / "run", dataset)
        before = (tmp_path / "run" / "state.pt").read_bytes()

        def full(state, stream):
            stream.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="No space left"):
            trained(tmp_path / "run", dataset, "steps=9")
        assert (tmp_path / "run" / "state.pt").read_bytes() == before

    def test_nobody_else_trains_in_the_folder(self, dataset, tmp_path):
        trained(tmp_path / "run", dataset)
        with Run.open(tmp_path / "run").locked():
            done = CliRunner().invoke(main, ["train", "--resume", str(tmp_path / "run")])
        assert done.exit_code == 2
        assert done.stderr.splitlines() == [f"cray: train: another process is training in {tmp_path / 'run'}"]

    @pytest.mark.parametrize(("file", "content", "said"), [
        ("run.json", b"{}", "is not the folder of a run"),
        ("run.json", b'{"format": 9, "recipe": {}, "sources": {"data": [], "validation": [], "without": []}}',
         "is a run of version 9, expected 1"),
        ("run.json", b"[" * 100_000, "is not the folder of a run"),
        ("run.json", b'{"format": 1, "recipe": [], "sources": {}}', "is not the folder of a run"),
        ("run.json", b'{"format": 1, "recipe": {}, "sources": {"data": "x"}}', "is not the folder of a run"),
        ("run.json", b'{"format": 1, "recipe": {}, "sources": {"without": [1],"data": [], "validation": []}}',
         "is not the folder"),
        ("state.pt", b"half a state", "state.pt cannot be read"),
    ])  # fmt: skip
    def test_folders_that_cannot_be_gone_on_with(self, dataset, sources, tmp_path, file, content, said):
        folder = tmp_path / "run"
        assert train(sources, folder).exit_code == 0
        (folder / file).write_bytes(content)
        done = CliRunner().invoke(main, ["train", "--resume", str(folder)])
        assert done.exit_code == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(("change", "said"), [
        (lambda state: [], "state.pt is a list, expected the state of a run"),
        (lambda state: {"format": 1}, "state.pt has no '"),
        (lambda state: {**state, "format": torch.ones(2)}, "state.pt is of version tensor"),
        (lambda state: {**state, "average": []}, "is of another network"),
        (lambda state: {**state, "step": -5}, "'step' is -5, expected 0 or more"),
        (lambda state: {**state, "step": "six"}, "'step' is 'six', expected a number"),
        (lambda state: {**state, "average": {k: v * float("nan") for k, v in state["average"].items()}},
         "not finite"),
    ])  # fmt: skip
    def test_states_that_are_none(self, sources, tmp_path, change, said):
        folder = tmp_path / "run"
        assert train(sources, folder).exit_code == 0
        torch.save(change(torch.load(folder / "state.pt", weights_only=True)), folder / "state.pt")
        done = CliRunner().invoke(main, ["train", "--resume", str(folder)])
        assert done.exit_code == 2, done.output
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        done = CliRunner().invoke(main, ["export", str(folder), "-o", str(tmp_path / "x")])
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr
        assert not (tmp_path / "x.safetensors").exists()

    def test_export_needs_no_optimizer(self, dataset, tmp_path):
        trained(tmp_path / "run", dataset)
        path = tmp_path / "run" / "state.pt"
        torch.save(torch.load(path, weights_only=True) | {"optimizer": {}}, path)
        assert Run.open(tmp_path / "run").network()[1] == 6
        with pytest.raises(TrainingError, match="is of another network"):
            trained(tmp_path / "run", dataset)

    @pytest.mark.parametrize("text", ["no line", "[]", '{"step": 6}', "[" * 100_000])
    def test_a_log_that_is_none(self, dataset, tmp_path, text):
        trained(tmp_path / "run", dataset)
        (tmp_path / "run" / "metrics.jsonl").write_text(text)
        with pytest.raises(TrainingError, match=r"metrics.jsonl is not the log of a run"):
            Run.open(tmp_path / "run").metrics()

    def test_a_state_of_another_network(self, dataset, tmp_path):
        trained(tmp_path / "run", dataset)
        with pytest.raises(TrainingError, match="is of another network"):
            trained(tmp_path / "run", dataset, "network={widths=[8,16]}")

    def test_a_start_of_another_architecture(self, dataset, tmp_path):
        with pytest.raises(checkpoints.CheckpointError, match="compact is not a network of this recipe"):
            trained(tmp_path / "run", dataset, "start=compact")

    @pytest.mark.parametrize(("narrow", "wide"), [
        (Crayon(width=4), Crayon(width=12)),
        (Crayon(width=4, residual=True), Crayon(width=4, residual=True)),
        (Compact((4, 8), shuffle=4), Compact((8, 24), shuffle=4)),
    ])  # fmt: skip
    def test_a_widened_network_computes_the_same_and_learns_more(self, dataset, narrow, wide):
        for parameter in narrow.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        recipe = recipes.load("compact", SMALL)
        inputs, truth = batches.draw(
            dataset.squares, range(4), recipe, 2 * SIDE * SIDE, np.random.default_rng(0), CPU
        )
        widen(narrow, wide)
        painted = paint(wide, inputs)
        assert torch.allclose(painted, paint(narrow, inputs), rtol=1e-3, atol=1e-3)
        (painted - truth).square().mean().backward()
        for name, parameter in wide.named_parameters():
            copies = len(parameter) // len(narrow.get_parameter(name))
            if name.endswith("bias") and copies > 1 and parameter.grad.any():
                assert parameter.grad.unflatten(0, (-1, copies)).std(dim=1).any(), name

    @pytest.mark.parametrize(("narrow", "wide", "said"), [
        (Compact((8, 8)), Compact((8, 12)), "layer down.0 has 8 channels, expected 12 or a whole part"),
        (Compact((8, 8)), Compact((8, 8, 8)), "it has other layers"),
    ])  # fmt: skip
    def test_what_cannot_be_widened(self, narrow, wide, said):
        with pytest.raises(ValueError, match=said):
            widen(narrow, wide)
