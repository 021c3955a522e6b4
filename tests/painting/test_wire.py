"""Graphs that a checkpoint brings are looked at before a runtime sees them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from pictures import photo

import crayoncodec
from crayoncodec import CheckpointError
from crayoncodec.commands.cray import main
from crayoncodec.painting import backends, checkpoints, runtimes, wire


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
        monkeypatch.setattr(runtimes, "_LOADERS", {})  # whatever is asked of them is a KeyError
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
