"""Training: recipes, data, batches, learning, stopping and going on, several processes, exporting."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import photo
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid, scatter_samples
from crayoncodec.color.guided import GuidedModel
from crayoncodec.commands.cray import main
from crayoncodec.errors import TrainingError
from crayoncodec.networks import Compact, Crayon
from crayoncodec.networks.inputs import back_project, paint
from crayoncodec.painting import checkpoints
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.painting.recolorize import painter
from crayoncodec.training import batches, data, drawings, loop, recipes
from crayoncodec.training.runs import Run
from crayoncodec.training.widening import widen

SIDE = 64
CPU = torch.device("cpu")
SMALL = (
    "network={widths=[8,8]}", "side=64", "crop=64", "batch=8192", "warmup=2", "save_every=3",
    "evaluate_every=6", "evaluated=[6,20]", "steps=6",
)  # fmt: skip


def png(rgb):
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")
    return stream.getvalue()


def packed(path, pictures):
    with tarfile.open(path, "w") as tar:
        for name, content in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def sources(tmp_path):
    """A folder and a tar pack with usable, small, grey and broken pictures."""
    folder = tmp_path / "pictures" / "deep"
    folder.mkdir(parents=True)
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(png(photo(SIDE + seed, SIDE, seed)))
    (folder / "small.png").write_bytes(png(photo(SIDE - 1, SIDE)))
    Image.fromarray(photo(SIDE, SIDE)).convert("L").save(folder / "grey.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    pack = packed(
        tmp_path / "pack.tar", {"a/b.png": png(photo(SIDE, SIDE, 9)), "a/broken.png": b"no picture"}
    )
    return [tmp_path / "pictures", pack]


@pytest.fixture
def dataset(sources, tmp_path):
    return data.open_dataset(sources, tmp_path / "train.lab", SIDE)


class TestRecipes:
    @pytest.mark.parametrize("name", recipes.names())
    def test_what_ships_can_be_used(self, name):
        recipe = recipes.load(name)
        assert recipe.description
        assert recipes.from_dict(json.loads(json.dumps(vars(recipe)))) == recipe

    def test_the_paper(self):
        recipe = recipes.load("paper", ["spacings=[60]", "evaluated=[60]", "evaluate_every=0.5"])
        assert (recipe.architecture, recipe.sampling, recipe.loss) == ("crayon", "point", "mse")
        assert (recipe.optimizer, recipe.learning_rate, recipe.epochs, recipe.keep) == (
            "adam",
            1e-4,
            30,
            "best",
        )
        assert recipe.spacings == recipe.evaluated == (60,)

    def test_overrides(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text('steps = 7\nloss = "mse"')
        recipe = recipes.load(str(path), ["loss=rmse", "learning_rate=1e-3", "flips=false"])
        assert (recipe.steps, recipe.loss, recipe.learning_rate, recipe.flips) == (7, "rmse", 1e-3, False)

    @pytest.mark.parametrize(("override", "said"), [
        ("stepz=3", "recipes have no 'stepz'"),
        ("steps", "override 'steps', expected KEY=VALUE"),
        ("steps=many", "steps is 'many', expected something like 60000"),
        ("steps=0", "steps is 0, expected more than 0"),
        ("flips=1", "flips is 1, expected something like True"),
        ("loss=lpips", "loss is 'lpips', expected one of rmse, mse, mae, log"),
        ("evaluated=[1.5]", "evaluated is (1.5,)"),
        ("spacings=[0]", "spacings is (0,), expected 1 to 65535"),
        ("spacing_range=[9, 3]", "spacing_range is (9, 3), expected least and largest value"),
        ("zoom=0.5", "zoom is 0.5, expected at least 1"),
        ("zoom=inf", "zoom is inf, expected finite numbers"),
        ("learning_rate=nan", "learning_rate is nan, expected finite numbers"),
        ("learning_rate=-1", "learning_rate is -1, expected more than 0"),
        ("step_range=[1.0, inf]", "step_range is (1.0, inf), expected finite numbers"),
        ("hue=-3.0", "hue is -3.0, expected 0 or more"),
        ("seed=-1", "seed is -1, expected 0 to 9223372036854775807"),
        ("seed=9223372036854775808", "seed is 9223372036854775808, expected 0 to"),
        ("side=1", "side is 1, expected more than 1"),
        ("lossy=1.5", "lossy is 1.5, expected 0 to 1"),
    ])  # fmt: skip
    def test_what_cannot_be_meant(self, override, said):
        with pytest.raises(TrainingError) as caught:
            recipes.load("compact", [override])
        assert said in str(caught.value)

    def test_no_recipe(self, tmp_path):
        with pytest.raises(TrainingError, match="no recipe 'compakt', expected one of compact, "):
            recipes.load("compakt")
        with pytest.raises(TrainingError, match="cannot be read"):
            recipes.load(str(tmp_path / "gone.toml"))
        (tmp_path / "bad.toml").write_text("steps = = 3")
        with pytest.raises(TrainingError, match="is not TOML"):
            recipes.load(str(tmp_path / "bad.toml"))


class TestData:
    def test_holds_every_usable_picture(self, dataset):
        assert dataset.squares.shape == (4, 4, SIDE, SIDE)
        assert dataset.skipped == {"unreadable": 2, "too small": 1, "grey": 1, "excluded": 0}
        lightness, ab = cielab.rgb_to_lab(photo(SIDE, SIDE, 0))
        assert np.abs(dataset.squares[0, 1:3] / data.UNIT - ab).max() <= 0.5 / data.UNIT + 1e-4
        assert np.abs(dataset.squares[0, 0] / data.UNIT - lightness).max() < 0.2
        lossy = np.abs(dataset.squares[:, 3] - dataset.squares[:, 0]).mean(axis=(1, 2)) / data.UNIT
        assert ((lossy > 0.05) & (lossy < 10)).all()

    def test_is_made_once_and_again_when_a_source_changes(self, dataset, sources, tmp_path, capsys):
        path = tmp_path / "train.lab"
        made = path.stat().st_mtime_ns
        again = data.open_dataset(sources, path, SIDE)
        assert path.stat().st_mtime_ns == made
        assert np.array_equal(again.squares, dataset.squares)
        (sources[0] / "new.png").write_bytes(png(photo(SIDE, SIDE, 12)))
        assert len(data.open_dataset(sources, path, SIDE).squares) == 5

    def test_is_made_again_if_it_was_cut_short(self, dataset, sources, tmp_path):
        path, before = tmp_path / "train.lab", dataset.squares.copy()
        path.write_bytes(path.read_bytes()[:-1])
        assert np.array_equal(data.open_dataset(sources, path, SIDE).squares, before)

    def test_lossy_lightness_is_made_where_it_is_wanted(self, dataset, sources, tmp_path):
        exact = data.open_dataset(sources, tmp_path / "exact.lab", SIDE, lossy=False)
        assert np.array_equal(exact.squares[:, :3], dataset.squares[:, :3])
        assert np.array_equal(exact.squares[:, 3], exact.squares[:, 0])

    def test_named_pictures_are_left_out(self, sources, tmp_path):
        dataset = data.open_dataset(sources, tmp_path / "x.lab", SIDE, without=["a/b.png", "deep/0.png"])
        assert len(dataset.squares) == 2
        assert dataset.skipped["excluded"] == 2

    def test_a_link_into_what_is_closed_is_unreadable(self, sources, tmp_path, monkeypatch):
        closed, stat = sources[0] / "closed.png", os.stat

        def refused(path, **options):
            if path == closed:
                raise PermissionError(13, "Permission denied")
            return stat(path, **options)

        closed.symlink_to(tmp_path / "closed")
        monkeypatch.setattr("os.stat", refused)
        dataset = data.open_dataset(sources, tmp_path / "x.lab", SIDE)
        assert dataset.skipped["unreadable"] == 3

    def test_a_pack_that_is_cut_off_gives_what_it_has(self, tmp_path):
        pack = packed(tmp_path / "p.tar", {f"{seed}.png": png(photo(SIDE, SIDE, seed)) for seed in range(3)})
        pack.write_bytes(pack.read_bytes()[:-12000])
        dataset = data.open_dataset([pack], tmp_path / "x.lab", SIDE)
        assert len(dataset.squares) == 2
        assert dataset.skipped["unreadable"] == 1

    @pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
    @pytest.mark.parametrize("damage", ["cut", "changed"])
    def test_a_compressed_pack_that_is_damaged_gives_what_it_has(self, tmp_path, compression, damage):
        pack = tmp_path / f"p.tar.{compression}"
        noise = np.random.default_rng(0).integers(0, 256, 2_000_000, np.uint8).tobytes()
        with tarfile.open(pack, f"w:{compression}") as tar:
            for name, content in (("0.png", png(photo(SIDE, SIDE, 0))), ("1.png", noise), ("2.png", noise)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        content = bytearray(pack.read_bytes())
        if damage == "cut":
            del content[-1_000_000:]
        else:
            content[-1_000_000:-999_000] = bytes(1000)
        pack.write_bytes(content)
        dataset = data.open_dataset([pack], tmp_path / "x.lab", SIDE)
        assert len(dataset.squares) == 1
        assert dataset.skipped["unreadable"] >= 1

    def test_nothing_usable(self, tmp_path):
        with pytest.raises(TrainingError, match="no usable picture of at least 64 x 64 pixels in"):
            data.open_dataset([tmp_path], tmp_path / "x.lab", SIDE)
        (tmp_path / "x.tar").write_bytes(b"no pack")
        with pytest.raises(TrainingError, match=r"x\.tar is neither a folder nor a tar pack"):
            data.open_dataset([tmp_path / "x.tar"], tmp_path / "x.lab", SIDE)
        assert not (tmp_path / "x.lab").exists()

    def test_a_split_has_every_picture_once(self, dataset):
        training, validation = data.held_out(dataset.squares, 0.3, 0)
        assert sorted([*training, *validation]) == [0, 1, 2, 3]
        assert len(validation) == 1


class TestBatches:
    @pytest.mark.parametrize("sampling", ["mean", "point"])
    @pytest.mark.parametrize(
        ("spacing", "shape"), [(2, (64, 64)), (6, (50, 64)), (20, (64, 96)), (100, (64, 64))]
    )
    def test_planes_are_those_of_the_decoder(self, sampling, spacing, shape):
        pictures = [cielab.rgb_to_lab(photo(*shape, seed)) for seed in range(2)]
        lightness, ab = (torch.from_numpy(np.stack(planes)) for planes in zip(*pictures, strict=True))
        inputs = batches.planes_of(lightness[:, None], ab, spacing, sampling, 0.5)
        found = inputs.planes
        for index, (plane, colors) in enumerate(pictures):
            grid = sample_grid(colors, spacing, sampling, 0.5)
            expected = GuidedModel.fit(grid.ab(), plane, grid.spacing, grid.sampling).planes(plane)._asdict()
            expected["sparse"] = scatter_samples(grid, shape, (slice(0, shape[0]), slice(0, shape[1])))
            for name, array in expected.items():
                # A sample that lies between two steps may be rounded to the other one.
                wrong = np.abs(found[name][index].numpy().reshape(array.shape) - array) > 0.01
                assert wrong.mean() < 0.02, name
        assert found["coarseness"].tolist() == [spacing, spacing]

    @pytest.mark.parametrize(("spacing", "sampling"), [(6, "mean"), (20, "mean"), (9, "point")])
    def test_what_is_painted_is_what_the_decoder_paints(self, spacing, sampling):
        network = Compact((8, 8)).eval().requires_grad_(False)
        torch.nn.init.normal_(network.head.weight, std=0.05)
        lightness, ab = cielab.rgb_to_lab(photo(50, 64))
        plane = cielab.lightness_to_u8(lightness)
        expected = painter(plane, sample_grid(ab, spacing, sampling), TorchBackend(network, "cpu"))
        exact = torch.from_numpy(cielab.lightness_from_u8(plane))[None, None]
        inputs = batches.planes_of(exact, torch.from_numpy(ab)[None], spacing, sampling, 1.0)
        with torch.autocast("cpu", torch.bfloat16):
            coarse = back_project(paint(network, inputs), inputs)[0].numpy()
        alone = paint(network, inputs)
        painted = back_project(alone, inputs)[0].numpy()
        wanted = expected((slice(0, 50), slice(0, 64)))
        assert np.abs(painted - wanted).max() < 0.1
        assert np.abs(coarse - wanted).mean() < 0.1
        assert np.abs(alone[0].numpy() - wanted).max() > 0.5

    @pytest.mark.parametrize("seed", range(6))
    def test_are_what_networks_take(self, dataset, seed):
        recipe = recipes.load("compact", [*SMALL, "hue=20", "lossy=0.5"])
        rng = np.random.default_rng(seed)
        inputs, truth = batches.draw(dataset.squares, range(4), recipe, 3 * SIDE * SIDE, rng, CPU)
        assert truth.shape == (3, 2, SIDE, SIDE)
        for network in (Compact(), Crayon(4), Crayon(4, residual=True), Crayon(4, mask=True)):
            assert paint(network, inputs).shape == truth.shape

    def test_zoomed_squares_are_smoother(self, dataset):
        roughness = []
        for zoom in (1, 4):
            recipe = recipes.load("compact", [*SMALL, f"zoom={zoom}"])
            drawn = [
                batches.draw(
                    dataset.squares, range(4), recipe, 4 * SIDE * SIDE, np.random.default_rng(seed), CPU
                )
                for seed in range(4)
            ]
            assert all(truth.shape == (4, 2, SIDE, SIDE) for _, truth in drawn)
            roughness.append(np.mean([float(truth.diff(dim=-1).abs().mean()) for _, truth in drawn]))
        assert roughness[1] < 0.8 * roughness[0]

    def test_ramps_are_smooth_and_of_all_colors(self):
        for seed in range(6):
            drawn = drawings.ramps(4, SIDE, np.random.default_rng(seed))
            assert drawn.shape == (4, 3, SIDE, SIDE)
            assert drawn.diff(dim=-1).abs().max() < 20
            steps = drawn[:, 0] * 255 / 100
            assert torch.allclose(steps, steps.round(), atol=1e-3)
            assert drawn[:, 1:].std() > 10
            assert drawn[:, 0].std() > 5

    def test_shapes_are_flat_and_of_all_colors(self):
        drawn = drawings.shapes(8, SIDE, np.random.default_rng(0))
        assert drawn.shape == (8, 3, SIDE, SIDE)
        assert (drawn.diff(dim=-1) == 0).float().mean() > 0.8
        assert (drawn.diff(dim=-1).abs() > 10).float().mean() > 0.002
        assert drawn[:, 1:].std() > 10

    def test_some_batches_are_drawn(self, dataset):
        squares = dataset.squares[:1]
        found = set()
        for seed in range(12):
            recipe = recipes.load("compact", [*SMALL, "graphics=0.5", "zoom=1", "flips=false"])
            rng = np.random.default_rng(seed)
            _, truth = batches.draw(squares, [0], recipe, 2 * SIDE * SIDE, rng, CPU)
            assert truth.shape == (2, 2, SIDE, SIDE)
            photograph = torch.from_numpy(squares[0, 1:3].astype(np.float32)) / data.UNIT
            found.add(bool(torch.allclose(truth[0], photograph)))
        assert found == {True, False}

    def test_hue_turns_colors_and_keeps_their_chroma(self, dataset):
        pair = []
        for hue in (0, 30):
            recipe = recipes.load("compact", [*SMALL, f"hue={hue}", "flips=false"])
            pair.append(
                batches.draw(dataset.squares, [0], recipe, SIDE * SIDE, np.random.default_rng(3), CPU)[1]
            )
        plain, turned = pair
        assert torch.allclose(plain.square().sum(1), turned.square().sum(1), rtol=1e-3, atol=1e-2)
        assert (plain - turned).abs().max() > 1


def test_the_residual_crayon_begins_as_the_guided_base(dataset):
    recipe = recipes.load("crayon", [*SMALL, "network={width=4, residual=true}"])
    inputs, _ = batches.draw(dataset.squares, range(4), recipe, SIDE * SIDE, np.random.default_rng(0), CPU)
    network = Crayon(width=4, residual=True)
    assert torch.equal(paint(network, inputs), inputs.planes["base"])


def trained(folder, dataset, *overrides):
    run = Run(
        folder,
        recipes.load("compact", [*SMALL, *overrides]),
        {"data": ["x"], "validation": [], "without": []},
    )
    if not folder.exists():
        run.begin()
    indices = np.arange(len(dataset.squares))
    material = loop.Material(dataset.squares, indices, dataset.squares, indices)
    return loop.train(run, material, loop.Process(0, 1, CPU))


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
    ])  # fmt: skip
    def test_losses_of_an_easy_and_a_difficult_picture(self, loss, expected):
        truth = torch.zeros(2, 2, 4, 4)
        predicted = torch.tensor([2.0, -6.0]).view(2, 1, 1, 1).expand_as(truth)
        found = loop._loss(recipes.load("compact", [f"loss={loss}"]), predicted, truth)
        assert float(found) == pytest.approx(expected, rel=2e-3)

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


def train(sources, out, *overrides):
    arguments = ["train", "compact", "--device", "cpu", *SMALL, *overrides, "--out", str(out)]
    for source in sources:
        arguments += ["--data", str(source)]
    return CliRunner().invoke(main, arguments)


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
