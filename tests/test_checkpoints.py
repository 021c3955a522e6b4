"""Checkpoints are loaded only if they are what their cards say."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper
from pictures import photo
from safetensors.torch import load, save

import crayoncodec
from crayoncodec import CheckpointError
from crayoncodec.commands.cray import main
from crayoncodec.machine.process import models_folder
from crayoncodec.networks import Compact
from crayoncodec.painting import backends, checkpoints, wire


@pytest.fixture
def copied(tmp_path):
    for suffix in (".safetensors", ".json"):
        shutil.copy(models_folder() / f"compact{suffix}", tmp_path)
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


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A package that brings checkpoints, as pip would have installed it; importing it fails."""
    package, about = tmp_path / "theirs", tmp_path / "theirs-1.dist-info"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[crayoncodec.models]\na = gone\nb = gone.deeper\nc = no module!\nd = theirs\ne = theirs.deeper\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (package / "settings.json").write_text("[]")
    described = {"version": "1", "architecture": "compact", "config": {"widths": [4, 4]}, "macs_per_pixel": 1}
    described |= {"description": "", "license": ""}
    for name in ("theirs", "nested"):
        checkpoints.save(Compact(widths=(4, 4)), package / f"{name}.safetensors", half=False, **described)
    (package / "deeper").mkdir()
    checkpoints.save(Compact(widths=(4, 4)), package / "deeper/deep.safetensors", half=False, **described)
    return package


def test_other_packages_bring_checkpoints(theirs):
    assert {*checkpoints.names()} == {"compact", "nested", "theirs", "deep", *checkpoints.APART}
    assert checkpoints.load("theirs")[1].config == {"widths": [4, 4]}
    assert checkpoints.find("theirs").parent == theirs


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".safetensors", "a\0b.safetensors", "\ud800"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoints.find(name)


def test_no_other_package_takes_the_place_of_what_ships(theirs):
    assert checkpoints.names().count("nested") == 1
    assert checkpoints.find("nested").parent == models_folder()


def test_a_network_that_is_too_large_to_ship_is_named_with_what_installs_it(tmp_path, monkeypatch):
    """As where the package is not a checkout."""
    installed = tmp_path / "models"
    shutil.copytree(models_folder(), installed, ignore=lambda *_: checkpoints.APART)
    monkeypatch.setattr(checkpoints, "models_folder", lambda: installed)
    monkeypatch.setattr(checkpoints.metadata, "entry_points", lambda group: ())
    assert checkpoints.missing() == {"crayon": "crayoncodec[crayon]", "paper": "crayoncodec[paper]"}
    assert checkpoints.names() == ["compact", "nested"]
    message = r"'crayon' is not installed, expected pip install crayoncodec\[crayon\]$"
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load("crayon")
    listed = CliRunner().invoke(main, ["models"], catch_exceptions=False).stdout.splitlines()
    assert listed[-2].split() == ["crayon", "not", "installed:", "pip", "install", "crayoncodec[crayon]"]


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


def test_shipped_cards_say_which_files_they_are_for():
    found = {name: checkpoints.read_card(checkpoints.find(name)).grids for name in checkpoints.names()}
    assert found == {"compact": "one", "crayon": "one", "nested": "nested", "paper": "one"}


class TestWrongFiles:
    @pytest.mark.parametrize(
        ("model", "options", "said"),
        [("compact", {}, "is for files of one grid, expected one for nested grids, as nested"),
         ("crayon", {}, "is for files of one grid, expected one for nested grids, as nested"),
         ("nested", {"n": 4}, "is for files of nested grids, expected one for one grid, as compact")],
    )  # fmt: skip
    def test_a_network_for_others_is_refused(self, model, options, said, tmp_path):
        path = tmp_path / "photo.cray"
        crayoncodec.write(path, photo(20, 30), **options)
        with pytest.raises(CheckpointError) as error:
            crayoncodec.read(path, model=model)
        assert str(error.value) == f"network {model} {said}"
        done = CliRunner().invoke(main, ["decode", str(path), "--model", model])
        assert (done.exit_code, done.stderr) == (4, f"cray: {path}: {error.value}\n")
        assert not path.with_suffix(".png").exists()

    def test_it_is_refused_when_it_is_loaded_already(self):
        decoder = crayoncodec.Decoder(model="compact")
        one, nested = (crayoncodec.encode(photo(20, 30), n=n) for n in (4, None))
        decoder.decode(one)
        with pytest.raises(CheckpointError, match="for files of one grid"):
            decoder.decode(nested)
        decoder.decode(one)

    @pytest.mark.parametrize(
        ("training", "grids"),
        [({"recipe": {"nested_range": [3.0, 110.0]}}, "nested"),
         ({"recipe": {"nested_range": [0.0, 0.0]}}, "one"),
         ({"recipe": {}}, "one"), ({}, "any"), ({"recipe": []}, "any")],
    )  # fmt: skip
    def test_cards_of_earlier_versions_are_for_what_their_recipe_trained(self, copied, training, grids):
        path = copied.with_suffix(".json")
        card = {key: value for key, value in json.loads(path.read_text()).items() if key != "grids"}
        path.write_text(json.dumps(card | {"training": training}))
        assert checkpoints.read_card(copied).grids == grids

    def test_one_for_any_file_is_loaded_once(self, copied, monkeypatch):
        edit_card(copied, grids="any", onnx_sha256=None, int8_onnx_sha256=None)
        decoder = crayoncodec.Decoder(model=str(copied), device="cpu")
        for n in (4, None):
            decoder.decode(crayoncodec.encode(photo(20, 30), n=n))
        assert decoder.network(nested=True) is decoder.network(nested=False)


@pytest.mark.parametrize(
    "changes",
    [{"reach": -16}, {"reach": 2**20}, {"reach": 100}, {"reach": True}, {"reach": "112"}, {"reach": 112.0},
     {"multiple": 0}, {"multiple": 2**30, "reach": 2**30}, {"multiple": None}, {"grids": "two"},
     {"grids": ["one"]}, {"name": 3}, {"name": "two\nlines"}, {"version": 3}, {"sha256": "A" * 64},
     {"sha256": None}, {"onnx_sha256": "../nested"}, {"onnx_sha256": 7}, {"config": []}, {"config": None},
     {"training": "by hand"}, {"metrics": 1}, {"parameters": -1}, {"macs_per_pixel": float("nan")},
     {"macs_per_pixel": None}, {"bogus": 1}],
)  # fmt: skip
def test_cards_with_fields_of_other_kinds_are_refused(copied, changes):
    edit_card(copied, **changes)
    with pytest.raises(CheckpointError, match="is not a model card") as said:
        checkpoints.read_card(copied)
    assert "\n" not in str(said.value)
    assert CliRunner().invoke(main, ["models", "show", str(copied)]).exit_code == 4


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, " " * 2**20 + "{}", "1" * 10_000])
def test_cards_that_are_too_much_are_refused(copied, text):
    copied.with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError, match="is not a model card"):
        checkpoints.read_card(copied)
    done = CliRunner().invoke(main, ["models", "verify", str(copied)])
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1)


def rewritten(weights, change):
    """The weights after ``change``, and the card with their SHA-256."""
    tensors = load(weights.read_bytes())
    change(tensors)
    data = save(tensors)
    weights.write_bytes(data)
    edit_card(weights, sha256=hashlib.sha256(data).hexdigest())


def set_to(value):
    def change(tensors):
        tensors["stem.weight"].view(-1)[7] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [(set_to(float("nan")), "not finite"), (set_to(float("inf")), "not finite"),
     (lambda tensors: tensors.pop("stem.bias"), "Missing key"),
     (lambda tensors: tensors.update(more=torch.zeros(3)), "Unexpected key"),
     (lambda tensors: tensors.update({"stem.bias": torch.zeros(3)}), "size mismatch"),
     (lambda tensors: tensors.update({"stem.bias": torch.zeros(32, dtype=torch.int64)}), "floating"),
     (lambda tensors: tensors.update({"stem.bias": torch.ones(32).double() * 1e300}), "not finite"),
     (lambda tensors: tensors.clear(), "Missing key")],
)  # fmt: skip
def test_weights_that_are_no_weights_are_refused(copied, change, said):
    rewritten(copied, change)
    with pytest.raises(CheckpointError, match=f"does not fit its card .*{said}") as error:
        checkpoints.load(str(copied))
    assert "\n" not in str(error.value)


def test_weights_of_twice_the_precision_are_weights(copied):
    expected, _ = checkpoints.load("compact")
    rewritten(copied, lambda tensors: tensors.update({key: tensors[key].double() for key in tensors}))
    found, _ = checkpoints.load(str(copied))
    for ours, theirs in zip(found.parameters(), expected.parameters(), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "config", [{"widths": [10**6, 10**6]}, {"widths": [8] * 500}, {"widths": [8, 8], "shuffle": 10**9},
               {"widths": [10**30, 8]}],
)  # fmt: skip
def test_a_network_of_any_size_takes_no_memory_before_it_is_refused(copied, config):
    edit_card(copied, config=config)
    with pytest.raises(CheckpointError, match="does not fit its card"):
        checkpoints.load(str(copied))


def external(tensor):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../etc/passwd"), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def tensor():
    return helper.make_tensor("t", TensorProto.FLOAT, [1], np.ones(1, np.float32).tobytes(), raw=True)


def in_initializer(model):
    external(model.graph.initializer[0])


def in_constant(model):
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external(tensor())))


def in_branch(model):
    constant = helper.make_node("Constant", [], ["c"], value=external(tensor()))
    value = helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])
    branch = helper.make_graph([constant], "branch", [], [value])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))


def in_function(model):
    constant = helper.make_node("Constant", [], ["c"], value=external(tensor()))
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", [], ["c"], [constant], opset))


def in_sparse(model):
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(external(tensor()), indices, [4]))


def in_list(model):
    model.graph.node.append(helper.make_node("Own", [], ["c"], domain="own", values=[external(tensor())]))


def in_training(model):
    model.training_info.add().algorithm.initializer.append(external(tensor()))


def only_location(model):
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


class TestGraphs:
    @pytest.fixture
    def graphed(self, copied):
        """A copy of a checkpoint with this graph, of which the card knows."""

        def write(data):
            checkpoints.write_graph(copied, "float32", data)
            return str(copied)

        return write

    @pytest.mark.parametrize(
        "place", [in_initializer, in_constant, in_branch, in_function, in_sparse, in_list, in_training,
                  only_location],
    )  # fmt: skip
    def test_numbers_in_other_files_are_refused_before_a_runtime_sees_them(self, graphed, place, monkeypatch):
        model = onnx.load_from_string(checkpoints.graph("compact")[1])
        assert not wire.has_external_data(model.SerializeToString())
        place(model)
        path = graphed(model.SerializeToString())
        monkeypatch.setattr(backends.graphs, "_LOADERS", {})  # whatever is asked of them is a KeyError
        for backend in ("opencv", "onnx", "openvino"):
            with pytest.raises(CheckpointError, match="has numbers in other files"):
                backends.load(path, backend=backend)
        assert CliRunner().invoke(main, ["models", "verify", path]).exit_code == 4

    def test_numbers_that_are_said_to_be_here_are_here(self, graphed):
        model = onnx.load_from_string(checkpoints.graph("compact")[1])
        model.graph.initializer[0].data_location = TensorProto.DEFAULT
        checkpoints.graph(graphed(model.SerializeToString()))

    def test_weights_among_the_inputs_are_weights(self):
        model = onnx.load_from_string(checkpoints.graph("compact")[1])
        for each in model.graph.initializer:
            model.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
        assert wire.inputs(model.SerializeToString()) == checkpoints.GRAPH_INPUTS

    @pytest.mark.parametrize("name", ["mask", "base"])
    def test_other_inputs_are_refused(self, graphed, name):
        model = onnx.load_from_string(checkpoints.graph("compact")[1])
        if name == "base":
            del model.graph.input[:]
        else:
            model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]))
        with pytest.raises(
            CheckpointError, match="expected base, bicubic, cell_lightness, coarseness, light"
        ):
            backends.load(graphed(model.SerializeToString()))

    @pytest.mark.parametrize(
        "data", [b"", b"\x0b", b"\x3c?xml", b"\x3a\x7f", b"\x80" * 11, b"\x08", b"\xff" * 9 + b"\x01"]
    )
    def test_what_is_no_protocol_buffer_is_refused(self, graphed, data):
        with pytest.raises(CheckpointError, match=r"is not an ONNX graph|takes \[\]"):
            backends.load(graphed(data))

    @pytest.mark.parametrize("backend", ["opencv", "onnx", "openvino"])
    @pytest.mark.parametrize("kind", ["size", "nan", "channels"])
    def test_what_comes_out_is_looked_at(self, graphed, backend, kind):
        data = graphed(output_of(kind))
        with pytest.raises(CheckpointError, match=f"the graph of compact cannot be .* by {backend} ") as said:
            crayoncodec.decode(crayoncodec.encode(photo(40, 50), n=5), model=data, backend=backend)
        assert "\n" not in str(said.value)


def output_of(kind):
    """A graph with the right inputs whose output is of another size, of other channels, or not finite."""

    def planes(name, channels):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "h", "w"])

    inputs = [planes("lightness", 1), planes("cell_lightness", 1), planes("bicubic", 2), planes("base", 2)]
    inputs.append(helper.make_tensor_value_info("coarseness", TensorProto.FLOAT, [1]))
    nodes = [helper.make_node("Mul", ["bicubic", "base"], ["product"]),
             helper.make_node("Mul", ["product", "coarseness"], ["all"])]  # fmt: skip
    weights = []
    if kind == "size":
        nodes.append(helper.make_node("MaxPool", ["all"], ["y"], kernel_shape=[2, 2], strides=[2, 2]))
    elif kind == "channels":
        nodes.append(helper.make_node("Concat", ["all", "lightness"], ["y"], axis=1))
    else:
        weights.append(helper.make_tensor("nan", TensorProto.FLOAT, [1], [float("nan")]))
        nodes.append(helper.make_node("Add", ["all", "nan"], ["y"]))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def test_a_network_whose_numbers_overflow_is_refused(copied):
    rewritten(copied, lambda tensors: tensors.update({key: value.float() for key, value in tensors.items()}))
    rewritten(copied, lambda tensors: [value.fill_(1e30) for value in tensors.values()])
    with pytest.raises(crayoncodec.DeviceError, match="not finite"):
        crayoncodec.decode(
            crayoncodec.encode(photo(40, 50), n=5), model=str(copied), backend="torch", device="cpu"
        )
