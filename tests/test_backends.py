"""Where networks run: every backend paints the same, and what cannot be is said in one line."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec import CheckpointError, CrayWarning, DeviceError
from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid
from crayoncodec.commands import timing
from crayoncodec.commands.cray import main
from crayoncodec.machine.process import models_folder
from crayoncodec.networks import Compact
from crayoncodec.painting import backends, checkpoints, pytorch, recolorize, runtimes
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.training.graph import graph

SMALL = ("nested", "compact")
CPU = ("opencv", "openvino", "onnx")


@pytest.fixture
def copied(tmp_path):
    """The path of a copy of a shipped checkpoint, all its files."""

    def copy(name="nested"):
        for path in models_folder().glob(f"{name}.*"):
            shutil.copy(path, tmp_path)
        return tmp_path / f"{name}.safetensors"

    return copy


@pytest.fixture(scope="module")
def coded():
    """Nested grids and one grid, odd sizes, one of them of several tiles."""
    return [
        crayoncodec.encode(photo(*shape, seed=seed), **options)
        for seed, (shape, options) in enumerate(
            [
                ((141, 203), {}),
                ((3, 97), {}),
                ((1, 1), {}),
                ((99, 161), {"n": 5}),
                ((1801, 53), {"quality": 60}),
            ]
        )
    ]


@pytest.fixture
def installed(monkeypatch):
    """Pretend that only these modules are installed, and no CUDA."""
    find = backends.find_spec

    def only(*modules):
        monkeypatch.setattr(backends, "find_spec", lambda name: find(name) if name in modules else None)

    monkeypatch.setattr(backends, "has_cuda", lambda: False)
    return only


def cray(*arguments, code=0):
    done = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


class TestAgreement:
    @pytest.mark.parametrize("backend", CPU)
    def test_every_backend_paints_what_torch_does(self, coded, backend):
        decoder, reference = (
            crayoncodec.Decoder(color="neural", backend=name, device="cpu") for name in (backend, "torch")
        )
        for data in coded:
            difference = decoder.decode(data).astype(int) - reference.decode(data)
            assert np.abs(difference).max() <= 1

    @pytest.mark.parametrize("backend", [*CPU, "torch"])
    def test_results_stay_when_the_next_come(self, backend):
        rng = np.random.default_rng(0)
        windows = [
            {name: rng.normal(0, 9, (size, 40, 56)).astype(np.float32) for name, size in
             (("lightness", 1), ("cell_lightness", 1), ("bicubic", 2), ("base", 2))}
            for _ in range(3)
        ]  # fmt: skip
        loaded = backends.load("nested", backend=backend, device="cpu")
        kept = list(loaded.predict(windows, 9.0))
        for window, found in zip(windows, kept, strict=True):
            (alone,) = loaded.predict([window], 9.0)
            assert np.array_equal(found, alone)
            assert found.shape == (2, 40, 56)

    @pytest.mark.parametrize("backend", ["openvino", "torch"])
    def test_bfloat16_is_close(self, coded, backend):
        options = {"color": "neural", "backend": backend, "device": "cpu"}
        for data in coded[:1]:
            exact = crayoncodec.decode(data, **options).astype(int)
            assert np.abs(crayoncodec.decode(data, precision="bfloat16", **options) - exact).mean() < 0.5


class TestGraphs:
    @pytest.mark.parametrize("name", SMALL)
    def test_shipped_graphs_are_what_their_checkpoints_make(self, name):
        """The same operations in the same order, and every weight the same, bit by bit."""
        network, card = checkpoints.load(name)
        assert (card.reach, card.multiple) == (network.reach, network.multiple)
        shipped = onnx.load_from_string(checkpoints.graph(name)[1])
        made = onnx.load_from_string(graph(network))
        assert operations(made) == operations(shipped)
        ours, theirs = weights(made), weights(shipped)
        assert ours.keys() == theirs.keys()
        for key, values in ours.items():
            assert values.dtype == theirs[key].dtype
            assert np.array_equal(values, theirs[key])
        state = network.state_dict()
        assert state.keys() <= ours.keys()
        for key, values in state.items():
            assert np.array_equal(values.numpy(), ours[key])

    def test_the_same_weights_make_the_same_bytes(self):
        network, _ = checkpoints.load("nested")
        assert graph(network) == graph(network)

    @pytest.mark.parametrize("shuffle", [1, 2, 3])
    def test_a_graph_does_what_the_network_does(self, shuffle):
        torch.manual_seed(shuffle)
        network = Compact((6, 7, 8, 9), shuffle).eval().requires_grad_(False)
        torch.nn.init.normal_(network.head.weight)
        side = 3 * network.multiple
        ab = torch.randn(2, 1, 2, side, side) * 20
        plane = torch.rand(2, 1, 1, side, side) * 100
        given = dict(zip(network.inputs, (*plane, *ab, torch.tensor([13.0])), strict=True))
        expected = network(*given.values()).numpy()
        for load in runtimes._LOADERS.values():
            added = load(graph(network), "float32")({name: values.numpy() for name, values in given.items()})
            found = given["base"] + torch.nn.functional.pixel_shuffle(torch.from_numpy(added), shuffle)
            assert np.abs(found.numpy() - expected).max() < 1e-3

    def test_networks_that_are_large_or_shallow_have_none(self):
        from crayoncodec.networks import Crayon

        assert graph(Crayon(8)) is None
        assert graph(Compact((8, 8))) is None

    @pytest.mark.parametrize("name", SMALL)
    def test_a_checkpoint_is_exported_again(self, name, copied, tmp_path):
        weights = copied(name)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        cray("export", str(weights), "-o", str(weights.with_suffix("")))
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert (
            "a checkpoint keeps its card"
            in cray("export", name, "-o", "x", "--license", "mine", code=2).stderr
        )

    def test_graphs_that_are_not_their_cards_are_not_loaded(self, copied):
        weights = copied()
        path = weights.with_suffix(".onnx")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        checkpoints.load(str(weights))
        for load in (checkpoints.graph, backends.load):
            with pytest.raises(CheckpointError, match=r"\.onnx: SHA-256 is [0-9a-f]{64}, its card says"):
                load(str(weights))
        assert "SHA-256" in cray("models", "verify", str(weights), code=4).stderr
        path.unlink()
        assert "cannot be read" in cray("models", "verify", str(weights), code=4).stderr

    @pytest.mark.parametrize("backend", CPU)
    def test_graphs_that_are_none_are_refused(self, copied, backend):
        weights = copied()
        checkpoints.write_graph(weights, "float32", b"not a graph")
        with pytest.raises(CheckpointError, match="is not an ONNX graph"):
            backends.load(str(weights), backend=backend)
        model = onnx.load_from_string(checkpoints.graph("nested")[1])
        model.graph.node[3].op_type = "Nonesuch"
        checkpoints.write_graph(weights, "float32", model.SerializeToString())
        with pytest.raises(
            CheckpointError, match=f"the graph of nested cannot be loaded by {backend}"
        ) as said:
            backends.load(str(weights), backend=backend)
        assert "\n" not in str(said.value)

    @pytest.mark.parametrize("numbers", [{"multiple": 0}, {"reach": 100}, {"reach": -16}, {"multiple": "x"}])
    def test_cards_without_sensible_windows_are_refused(self, copied, numbers):
        weights = copied()
        card = weights.with_suffix(".json")
        card.write_text(json.dumps(json.loads(card.read_text()) | numbers))
        with pytest.raises(CheckpointError, match="is not a model card"):
            backends.load(str(weights))


class TestInt8:
    @pytest.mark.parametrize("name", SMALL)
    @pytest.mark.parametrize("backend", ["openvino", "onnx"])
    def test_shipped_graphs_paint_nearly_the_same(self, coded, name, backend):
        options = {"model": name, "device": "cpu", "backend": backend}
        for data in coded[:2] if name == "nested" else coded[3:4]:
            exact, rounded = (
                crayoncodec.decode(data, precision=precision, **options).astype(int)
                for precision in ("float32", "int8")
            )
            assert np.abs(exact - rounded).mean() < 0.6
        assert not np.array_equal(exact, rounded)

    @pytest.mark.parametrize("name", SMALL)
    def test_what_they_lose_is_a_small_part_of_what_networks_gain(self, name):
        card = checkpoints.read_card(checkpoints.find(name))
        (label,) = (label for label in card.metrics if label.startswith("kodak, coded with"))
        values = card.metrics[label]
        assert values["int8"] - values["float32"] < 0.05 * (values["guided"] - values["float32"])

    def test_graphs_are_made_of_a_checkpoint_and_pictures(self, copied, tmp_path):
        weights = copied()
        for seed in range(3):
            Image.fromarray(photo(70, 90, seed)).save(tmp_path / f"{seed}.png")
        (tmp_path / "bad.png").write_bytes(b"no picture")
        Image.fromarray(photo(50, 50)[..., 0]).save(tmp_path / "grey.png")
        (tmp_path / "test").mkdir()
        Image.fromarray(photo(60, 80, 9)).save(tmp_path / "test" / "0.png")
        shipped = weights.with_name("nested.int8.onnx").read_bytes()
        done = cray("export", str(weights), "-o", str(weights), "--int8", str(tmp_path),
                    "--measured-on", str(tmp_path / "test"))  # fmt: skip
        assert done.stdout.count("\n") == 1
        card, data = checkpoints.graph(str(weights), "int8")
        assert data != shipped
        values = card.metrics["test, coded with quality 80, AB MSE"]
        assert values["int8"] == pytest.approx(values["float32"], rel=0.05)
        cray("models", "verify", str(weights))
        for name in ("0.png", "1.png", "2.png", "test/0.png"):
            (tmp_path / name).unlink()
        error = cray("export", "nested", "-o", str(weights), "--int8", str(tmp_path), code=2).stderr
        assert error.endswith(f"no colour picture that can be read in {tmp_path}\n")

    def test_networks_without_one_say_so(self, copied):
        with pytest.raises(DeviceError, match="network crayon has no int8 graph"):
            backends.load("crayon", precision="int8")
        with pytest.raises(DeviceError, match="network crayon has no int8 graph for onnx"):
            backends.load("crayon", precision="int8", backend="onnx")

    def test_what_runs_them_is_named_where_it_is_missing(self, installed):
        installed("cv2", "torch")
        with pytest.raises(DeviceError, match=r"int8 needs openvino or onnxruntime, expected pip install"):
            backends.load("nested", precision="int8")


class TestTiming:
    def test_every_backend_is_timed_and_one_is_named(self):
        done = cray("bench", "--size", "0.01", "--json")
        *rows, last = map(json.loads, done.stdout.splitlines())
        found = [(row["backend"], row["precision"]) for row in rows if row["device"] == "cpu"]
        assert found == [
            ("guided", None), ("openvino", "float32"), ("openvino", "bfloat16"), ("openvino", "int8"),
            ("onnx", "float32"), ("onnx", "int8"), ("opencv", "float32"), ("torch", "float32"),
        ]  # fmt: skip
        for row in rows[1:]:
            assert 0 < row["network_s_per_mp"] < 1000
            assert row["decode_s_per_mp"] > 0
        assert last["advice"].startswith("choose --backend ")

    def test_advice(self, installed):
        def row(backend, precision, seconds):
            return timing.Row(backend, "cpu", precision, 0.1, seconds, seconds)

        rows = [row("guided", None, 0.1), row("opencv", "float32", 0.5), row("torch", "float32", 0.4)]
        installed("cv2", "torch")
        assert timing.advice(rows) == (
            "choose --backend torch --device cpu: 0.40 s a megapixel; "
            "pip install crayoncodec[openvino] brings what is fastest on most processors"
        )
        installed("cv2", "torch", "openvino")
        rows += [row("openvino", "float32", 0.3), row("openvino", "int8", 0.2)]
        assert timing.advice(rows) == (
            "choose --backend openvino --device cpu: 0.30 s a megapixel; "
            "--backend openvino --precision int8 takes 0.20 s and moves colours a little"
        )

    def test_large_networks_get_small_pictures(self, monkeypatch):
        monkeypatch.setattr(timing, "_MOST_MACS", 1e9)
        monkeypatch.setattr(timing, "_REPEATS", 1)
        monkeypatch.setattr(timing, "_candidates", lambda card: [])
        said = []
        (row,) = timing.measure("crayon", 1.0, said.append)
        assert said[0] == "network crayon is large: a picture of 0.00074 megapixels"
        assert row.backend == "guided"

    def test_models_that_are_not_there(self):
        assert "no checkpoint 'nonesuch'" in cray("bench", "--model", "nonesuch", code=4).stderr


def operations(model):
    return [
        (node.op_type, *node.input, *node.output, *sorted(map(str, node.attribute)))
        for node in model.graph.node
    ]


def weights(model):
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}


class TestChoice:
    @pytest.mark.parametrize(
        ("modules", "expected"),
        [(("cv2", "torch"), "opencv"), (("cv2", "onnxruntime"), "onnx"),
         (("cv2", "onnxruntime", "openvino"), "openvino")],
    )  # fmt: skip
    def test_auto_takes_the_fastest_that_is_installed(self, installed, modules, expected):
        installed(*modules)
        card = checkpoints.read_card(checkpoints.find("nested"))
        assert backends._chosen(card, "auto", "auto", "auto") == expected

    def test_auto_takes_torch_where_there_is_no_graph(self):
        assert isinstance(backends.load("crayon", device="cpu"), TorchBackend)

    def test_auto_takes_torch_where_there_is_cuda(self, monkeypatch):
        monkeypatch.setattr(backends, "has_cuda", lambda: True)
        card = checkpoints.read_card(checkpoints.find("nested"))
        assert backends._chosen(card, "auto", "auto", "auto") == "torch"
        assert backends._chosen(card, "auto", "cpu", "auto") != "torch"
        assert backends._chosen(card, "opencv", "auto", "auto") == "opencv"

    def test_the_driver_is_asked(self, monkeypatch):
        class Driver:
            def cuInit(self, flags):  # noqa: N802
                return 0

            def cuDeviceGetCount(self, count):  # noqa: N802
                count._obj.value = 2
                return 0

        monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
        assert backends._has_nvidia_device()
        monkeypatch.setattr(Driver, "cuInit", lambda self, flags: 100)
        assert not backends._has_nvidia_device()

    @pytest.mark.parametrize(("backend", "extra"), [("openvino", "openvino"), ("onnx", "onnx")])
    def test_what_is_not_installed_is_named_with_its_extra(self, installed, tmp_path, backend, extra):
        installed("cv2", "torch")
        path = tmp_path / "photo.cray"
        crayoncodec.write(path, photo(9, 9))
        said = cray("decode", str(path), "--color", "neural", "--backend", backend, code=2).stderr
        assert said.count("\n") == 1
        assert said.endswith(f", expected pip install crayoncodec[{extra}]\n")

    def test_what_is_installed_but_broken_is_said(self, monkeypatch):
        find = backends.find_spec
        monkeypatch.setattr(backends, "find_spec", lambda name: find("cv2"))
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(DeviceError, match="backend onnx cannot be imported"):
            backends.load("nested", backend="onnx")

    def test_networks_without_a_graph_need_torch(self):
        with pytest.raises(DeviceError, match="network crayon has no graph for opencv, expected torch"):
            backends.load("crayon", backend="opencv")

    @pytest.mark.parametrize(
        "options",
        [{"backend": "opencv", "device": "cuda"}, {"backend": "opencv", "precision": "int8"},
         {"backend": "onnx", "precision": "float16"}, {"device": "cuda", "precision": "int8"},
         {"precision": "float8"}, {"backend": "tensorflow"}],
    )  # fmt: skip
    def test_options_that_exclude_each_other(self, options, tmp_path):
        with pytest.raises(ValueError, match="expected"):
            crayoncodec.Decoder(**options)
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        assert "Error: " in cray("decode", "photo.cray", *arguments, code=2).stderr

    def test_runtimes_say_nothing(self, tmp_path):
        crayoncodec.write(tmp_path / "photo.cray", photo(20, 20))
        for backend in CPU:
            command = [sys.executable, "-m", "crayoncodec", "decode", "photo.cray", "--color", "neural",
                       "--backend", backend, "--overwrite", "--quiet"]  # fmt: skip
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
            assert done.stdout + done.stderr == ""

    def test_signals_are_outlived_when_networks_come_and_go(self):
        program = """
import gc, os, signal
from crayoncodec.painting import backends
signal.signal(signal.SIGINT, lambda *_: None)
for _ in range(3):
    first = backends.load("nested", backend="openvino", device="cpu")
    second = backends.load("compact", backend="openvino", device="cpu")
    del first
    gc.collect()
    del second
    gc.collect()
    os.kill(os.getpid(), signal.SIGINT)
"""
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_processes_that_are_told_how_many_threads_use_them(self, monkeypatch):
        for value, expected in (("3", 3), ("", 0), ("4,2", 0)):
            monkeypatch.setenv("OMP_NUM_THREADS", value)
            assert runtimes._threads() == expected


class TestBatches:
    def windows(self, *sizes):
        rng = np.random.default_rng(0)
        return [
            {"lightness": rng.random((side, side), np.float32) * 100,
             "cell_lightness": rng.random((side, side), np.float32) * 100,
             "bicubic": rng.normal(0, 9, (2, side, side)).astype(np.float32),
             "base": rng.normal(0, 9, (2, side, side)).astype(np.float32)}
            for side in sizes
        ]  # fmt: skip

    def test_neighbours_of_one_size_go_together(self):
        groups = pytorch._groups(self.windows(16, 16, 16, 16, 32, 16, 48, 48), 3 * 16 * 16)
        assert [[window["lightness"].shape[0] for window in group] for group in groups] == [
            [16, 16, 16], [16], [32], [16], [48], [48],
        ]  # fmt: skip

    def test_batches_give_what_single_windows_do(self):
        network, _ = checkpoints.load("nested")
        single, batched = (TorchBackend(network, "cpu", batch_pixels=pixels) for pixels in (1, 3 * 64 * 64))
        given = self.windows(64, 64, 64, 64, 32, 64, 64)
        for one, other in zip(single.predict(given, 7.0), batched.predict(given, 7.0), strict=True):
            assert np.abs(one - other).max() < 1e-3

    def test_windows_are_asked_for_as_they_are_needed(self):
        asked = []

        def given():
            for number, window in enumerate(self.windows(*[16] * 6)):
                asked.append(number)
                yield window

        network, _ = checkpoints.load("nested")
        painted = TorchBackend(network, "cpu").predict(given(), 7.0)
        next(painted)
        # One is computed while the one before is fetched; the third told that the second batch is full.
        assert asked == [0, 1, 2]
        assert len(list(painted)) == 5

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_halves_are_close(self, precision):
        network, _ = checkpoints.load("nested")
        given = self.windows(64, 64, 64)
        exact = TorchBackend(network, "cpu").predict(given, 7.0)
        halves = TorchBackend(network, "cpu", precision, batch_pixels=2 * 64 * 64).predict(given, 7.0)
        for one, other in zip(exact, halves, strict=True):
            assert other.dtype == np.float32
            assert 0 < np.abs(one - other).mean() < 0.3


@pytest.fixture(scope="module")
def picture():
    lightness, ab = cielab.rgb_to_lab(photo(700, 2000))
    return cielab.lightness_to_u8(lightness), sample_grid(ab, 8)


class Limited:
    """A backend that can paint windows of at most so many pixels; on a device there is a CPU behind it."""

    inputs = ("base",)
    reach = 16
    multiple = 8

    def __init__(self, pixels, cpu=None):
        self.pixels, self.cpu, self.sides = pixels, cpu, []

    def predict(self, windows, coarseness):
        for window in windows:
            self.sides.append(max(window["base"].shape[1:]))
            if window["base"][0].size > self.pixels:
                raise MemoryError("not enough memory on it")
            yield window["base"]

    def on_cpu(self):
        return self.cpu


class TestMemory:
    def test_a_network_that_goes_to_the_cpu_stays_where_it_was_too(self, monkeypatch):
        """Others may be using it, and so do later pictures."""
        used = TorchBackend(checkpoints.load("nested")[0], "cpu")
        assert used.on_cpu() is None
        monkeypatch.setattr(used, "device", torch.device("cuda"))
        other = used.on_cpu()
        assert other.device.type == "cpu"
        for ours, theirs in zip(other.network.parameters(), used.network.parameters(), strict=True):
            assert ours is not theirs
            assert torch.equal(ours, theirs)

    def test_what_torch_cannot_run_is_said_in_one_line(self):
        network, _ = checkpoints.load("nested")
        network.stem = torch.nn.Conv2d(3, 22, 3)
        given = TestBatches().windows(16)
        with pytest.raises(DeviceError, match="backend torch cannot run the network on cpu") as said:
            list(TorchBackend(network, "cpu").predict(given, 7.0))
        assert "\n" not in str(said.value)

    def test_what_is_wrong_with_the_windows_is_not_the_networks(self):
        def windows():
            raise RuntimeError("of the caller")
            yield

        for backend in (*CPU, "torch"):
            with pytest.raises(RuntimeError, match="of the caller"):
                list(backends.load("nested", backend=backend, device="cpu").predict(windows(), 7.0))

    @pytest.mark.parametrize("backend", CPU)
    def test_a_runtime_that_had_no_memory_is_loaded_anew(self, backend):
        loaded = backends.load("nested", backend=backend)
        (given,) = TestBatches().windows(16)
        (expected,) = loaded.predict([given], 7.0)
        loaded._run = lambda feed: (_ for _ in ()).throw(RuntimeError("out of memory"))
        with pytest.raises(MemoryError, match="not enough memory for the network"):
            next(loaded.predict([given], 7.0))
        (found,) = loaded.predict([given], 7.0)
        assert np.array_equal(found, expected)

    def run(self, picture, backend):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                ab = recolorize.predict(*picture, backend)
            except MemoryError:
                ab = None
        assert all(warning.category is CrayWarning for warning in caught)
        return ab, [str(warning.message) for warning in caught]

    def test_smaller_tiles_are_tried_and_it_is_said(self, picture):
        unlimited, said = self.run(picture, Limited(10**9))
        assert said == []
        small, said = self.run(picture, Limited(300 * 300))
        assert said == [f"not enough memory on it, trying tiles of {side} pixels" for side in (896, 448, 256)]
        assert np.abs(small - unlimited).max() < 0.1

    def test_then_the_cpu(self, picture):
        cpu = Limited(10**9)
        painted, said = self.run(picture, Limited(1, cpu))
        assert said[-1] == "not enough memory on it, trying the CPU"
        assert len(said) == 4
        assert max(cpu.sides) > 600
        assert np.array_equal(painted, self.run(picture, cpu)[0])

    def test_then_it_fails(self, picture):
        painted, said = self.run(picture, Limited(1))
        assert painted is None
        assert len(said) == 3

    @pytest.mark.parametrize("shape", [(1, 1), (700, 33), (333, 1000)])
    def test_tiles_cover_the_picture_and_are_of_one_size(self, shape):
        seen = np.zeros(shape, int)
        found = recolorize.equal_tiles(shape, 256, 32, 16)
        for tile in found:
            seen[tile.core] += 1
            for core, window, length in zip(tile.core, tile.window, shape, strict=True):
                assert window.start % 16 == 0
                assert core.start - window.start >= 32 or core.start == window.start == 0
                assert window.stop - core.stop >= 32 or core.stop == window.stop == length
        assert (seen == 1).all()
        sizes = {tuple(-(-(span.stop - span.start) // 16) for span in tile.window) for tile in found}
        assert len(sizes) == 1

    def test_errors_of_runtimes_are_known(self):
        for text in ("bad allocation", "CUDA out of memory. Tried to", "(-4:Insufficient memory) Failed to"):
            assert runtimes.is_out_of_memory(RuntimeError(text))
        assert not runtimes.is_out_of_memory(RuntimeError("shapes do not fit"))
