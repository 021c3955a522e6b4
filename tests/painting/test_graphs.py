"""Networks as graphs for other runtimes than torch: of floating point, and of 8-bit integers."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from commandline import cray
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec import CheckpointError, DeviceError
from crayoncodec.machine.process import models_folder
from crayoncodec.networks import Compact
from crayoncodec.painting import backends, checkpoints, runtimes
from crayoncodec.training.graph import graph

SMALL = ("nested", "compact")
CPU = ("opencv", "openvino", "onnx")


@pytest.fixture
def copy_of(tmp_path):
    """A function: the path of a copy of a shipped checkpoint, with all its files."""

    def copy(name="nested"):
        for path in models_folder().glob(f"{name}.*"):
            shutil.copy(path, tmp_path)
        return tmp_path / f"{name}.safetensors"

    return copy


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
    def test_a_checkpoint_is_exported_again(self, name, copy_of, tmp_path):
        weights = copy_of(name)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        cray("export", str(weights), "-o", str(weights.with_suffix("")))
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert (
            "a checkpoint keeps its card"
            in cray("export", name, "-o", "x", "--license", "mine", code=2).stderr
        )

    def test_graphs_that_are_not_their_cards_are_not_loaded(self, copy_of):
        weights = copy_of()
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
    def test_graphs_that_are_none_are_refused(self, copy_of, backend):
        weights = copy_of()
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
    def test_cards_without_sensible_windows_are_refused(self, copy_of, numbers):
        weights = copy_of()
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

    def test_graphs_are_made_of_a_checkpoint_and_pictures(self, copy_of, tmp_path):
        weights = copy_of()
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

    def test_networks_without_one_say_so(self, copy_of):
        with pytest.raises(DeviceError, match="network crayon has no int8 graph"):
            backends.load("crayon", precision="int8")
        with pytest.raises(DeviceError, match="network crayon has no int8 graph for onnx"):
            backends.load("crayon", precision="int8", backend="onnx")

    def test_what_runs_them_is_named_where_it_is_missing(self, installed):
        installed("cv2", "torch")
        with pytest.raises(DeviceError, match=r"int8 needs openvino or onnxruntime, expected pip install"):
            backends.load("nested", precision="int8")


def operations(model):
    return [
        (node.op_type, *node.input, *node.output, *sorted(map(str, node.attribute)))
        for node in model.graph.node
    ]


def weights(model):
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
