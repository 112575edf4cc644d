"""Nodes of declared operators become those of plugins, and lose nothing on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

import modelport
from modelport import Target
from modelport.backends.tensorrt.legalize.plugin_nodes import plug_in
from modelport.ops.library import load
from modelport.passes import prepare


def model_of(node: ir.Node, **constants: Any) -> modelport.Model:
    """A model of one node, whose named inputs are the graph's."""
    given = {value.name for value in node.inputs if value is not None} - set(constants)
    for value in node.inputs:
        if value is not None and value.name in constants:
            value.const_value = ir.tensor(np.array(constants[value.name]))
            value.dtype, value.shape = value.const_value.dtype, value.const_value.shape
        elif value is not None:
            value.dtype, value.shape = ir.DataType.FLOAT, ir.Shape([None])
    values = {value.name: value for value in node.inputs if value is not None}
    for value in node.outputs:
        value.dtype, value.shape = ir.DataType.FLOAT, ir.Shape([None])
    graph = ir.Graph(
        [value for name, value in values.items() if name in given],
        node.outputs,
        nodes=[node],
        initializers=[value for name, value in values.items() if name in constants],
        opset_imports={"": 20, node.domain: 1},
        name="one",
    )
    return modelport.Model(ir.Model(graph, ir_version=9))


def node_of(operator: str, *names: str | None, **attributes: Any) -> ir.Node:
    values = [None if name is None else ir.Value(name=name) for name in names]
    domain, _, name = operator.partition("::")
    made = ir.node(name, values, attributes, domain=domain, name="the node")
    made.outputs[0].name = "y"
    return made


def plugged(model: modelport.Model) -> ir.Node:
    (node,) = model.ir.graph
    return node


def test_inputs_that_are_absent_leave_their_places() -> None:
    load()
    names = ("x", "weight", "offset", None, "bias")
    model = model_of(node_of("modelport::deform_conv2d", *names, groups=2))
    (finding,) = plug_in(model)
    assert "modelport::deform_conv2d" in finding.message
    node = plugged(model)
    assert [value.name for value in node.inputs if value] == ["x", "weight", "offset", "bias"]
    assert node.attributes["modelport_inputs"].as_ints() == (0, 1, 2, 4)
    assert node.attributes["groups"].as_int() == 2
    assert node.attributes["plugin_namespace"].as_string() == "modelport"
    assert node.attributes["plugin_version"].as_string() == "1"
    assert node.name == "the node"
    assert [value.name for value in model.ir.graph.outputs] == ["y"]


def test_all_inputs_there_need_no_places_and_a_second_time_changes_nothing() -> None:
    load()
    model = model_of(node_of("modelport::hswish", "x"))
    assert len(plug_in(model)) == 1
    assert "modelport_inputs" not in plugged(model).attributes
    assert plug_in(model) == []


@pytest.fixture
def scaled(tmp_path: Path) -> modelport.Operator:
    """An operator whose node takes its attribute as an input."""

    def reference(x, *, by=2.0):
        return x * by

    import torch

    reference.__annotations__ = {"x": torch.Tensor, "by": float, "return": torch.Tensor}
    (tmp_path / "kernel.cu").write_text("")
    return modelport.bind_operator(
        lambda x, by: x * by,
        onnx="plugged::scaled",
        kernels=[str(tmp_path / "kernel.cu")],
        inputs={0: "by"},
        reference=reference,
    )


def test_an_attribute_that_comes_as_an_input(scaled: modelport.Operator) -> None:
    model = model_of(node_of("plugged::scaled", "by", "x"), by=1.5)
    plug_in(model)
    node = plugged(model)
    assert [value.name for value in node.inputs if value] == ["x"]
    assert node.attributes["by"].as_float() == 1.5


def test_one_that_is_no_constant_is_named(scaled: modelport.Operator) -> None:
    with pytest.raises(modelport.PassError, match="'by' must be a constant") as raised:
        plug_in(model_of(node_of("plugged::scaled", "by", "x")))
    assert "the node" in str(raised.value)


def test_nodes_with_a_body_or_without_a_cuda_kernel_stay(trial: Any) -> None:
    load()
    model = model_of(node_of("trial::twice", "x"))
    assert plug_in(model) == []
    bodied = model_of(node_of("modelport::hswish", "x"))
    from modelport.capture.custom_operators import add_bodies

    add_bodies(bodied.ir)
    assert plug_in(bodied) == []
    assert "plugin_namespace" not in plugged(bodied).attributes


@pytest.mark.parametrize(("target", "expected"), [("tensorrt", True), ("tensorrt-rtx", False)])
def test_a_graph_is_prepared_for_tensorrt_with_plugins(target: str, expected: bool) -> None:
    """What has a body becomes it; what has none is a plugin where there are plugins."""
    load()
    model = model_of(node_of("modelport::knn_query", "xyz", "offset", nsample=3))
    ready = prepare(model, Target.parse(target))
    assert ("plugin_namespace" in plugged(ready).attributes) is expected
    assert ("plugin-node" in {finding.rule for finding in ready.findings}) is expected


@pytest.mark.parametrize("preferred", [False, True])
def test_an_operator_with_a_body_becomes_what_was_chosen(preferred: bool) -> None:
    load()
    model = model_of(node_of("modelport::hswish", "x"))
    from modelport.capture.custom_operators import add_bodies

    add_bodies(model.ir)
    names = {"modelport::hswish"} if preferred else set()
    ready = prepare(model, Target("tensorrt"), names)
    is_plugin = [node.domain for node in ready.ir.graph] == ["modelport"]
    assert is_plugin is preferred
    assert not ready.ir.functions
    (chosen,) = [item for item in ready.findings if item.rule == "body-or-plugin"]
    said = "the plugin was asked for" if preferred else "the body is taken"
    assert said in chosen.message
    # TensorRT for RTX has no plugins, so that there is nothing to choose.
    rtx = prepare(model, Target("tensorrt-rtx"))
    assert "body-or-plugin" not in {item.rule for item in rtx.findings}
