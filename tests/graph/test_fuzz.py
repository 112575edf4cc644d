"""Whatever a file holds, a command ends with a result or with a clear error.

`make fuzz` runs many cases: MODELPORT_FUZZ is how many each test tries.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import onnx
import pytest
from onnx import helper

from modelport.cli import main
from tests.graph.bad_files import valid
from tests.graph.test_bad_files import commands

CASES = int(os.environ.get("MODELPORT_FUZZ", "12"))
FUZZ = hypothesis.settings(
    max_examples=CASES,
    deadline=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    derandomize=CASES <= 12,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
NAMES = st.sampled_from(["x", "y", "a", "w", "", "b c", "\n", "é\x1b", "a" * 300])
OPS = st.sampled_from(
    [
        "Add",
        "Relu",
        "Conv",
        "MatMul",
        "Reshape",
        "If",
        "Loop",
        "Constant",
        "LSTM",
        "Einsum",
        "",
        "No",
    ]
)
DIMS = st.lists(st.one_of(st.integers(-3, 5), st.just(2**62), st.text(max_size=2)), max_size=4)


@st.composite
def graphs(draw: st.DrawFn, depth: int = 1) -> onnx.GraphProto:
    """Graphs that may be anything but sound."""
    graph = onnx.GraphProto(name=draw(NAMES))
    for _ in range(draw(st.integers(0, 5))):
        node = graph.node.add(op_type=draw(OPS), name=draw(NAMES))
        node.domain = draw(st.sampled_from(["", "", "", "mine", "ai.onnx"]))
        node.input.extend(draw(st.lists(NAMES, max_size=3)))
        node.output.extend(draw(st.lists(NAMES, max_size=2)))
        for _ in range(draw(st.integers(0, 2))):
            node.attribute.append(draw(attributes(depth)))
    for _ in range(draw(st.integers(0, 2))):
        graph.initializer.append(draw(tensors()))
    for values in (graph.input, graph.output, graph.value_info):
        for _ in range(draw(st.integers(0, 2))):
            values.append(draw(infos()))
    return graph


@st.composite
def infos(draw: st.DrawFn) -> onnx.ValueInfoProto:
    info = onnx.ValueInfoProto(name=draw(NAMES))
    if draw(st.booleans()):
        info.type.tensor_type.elem_type = draw(st.sampled_from([0, 1, 1, 7, 8, 9, 16, 25, 99]))
        for dim in draw(DIMS):
            place = info.type.tensor_type.shape.dim.add()
            if isinstance(dim, int):
                place.dim_value = dim
            else:
                place.dim_param = dim
    return info


@st.composite
def tensors(draw: st.DrawFn) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=draw(NAMES))
    tensor.data_type = draw(st.sampled_from([0, 1, 1, 7, 8, 9, 10, 16, 21, 25, 99]))
    tensor.dims.extend(draw(st.lists(st.integers(-1, 4) | st.just(2**40), max_size=3)))
    tensor.raw_data = draw(st.binary(max_size=24))
    if draw(st.booleans()):
        tensor.float_data.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    if draw(st.integers(0, 4)) == 0:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        location = draw(st.sampled_from(["../x", "/etc/passwd", "w.bin", "", "\0", "."]))
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="offset", value=draw(st.sampled_from(["0", "-1", "z"])))
    return tensor


@st.composite
def attributes(draw: st.DrawFn, depth: int) -> onnx.AttributeProto:
    names = st.sampled_from(["then_branch", "else_branch", "body", "value", "equation", "axis", ""])
    attribute = onnx.AttributeProto(name=draw(names))
    attribute.type = draw(st.sampled_from([0, 1, 2, 3, 4, 5, 5, 7, 8]))
    if attribute.type == 5 and depth:
        attribute.g.CopyFrom(draw(graphs(depth - 1)))
    elif attribute.type == 4:
        attribute.t.CopyFrom(draw(tensors()))
    attribute.i = draw(st.integers(-(2**63), 2**63 - 1))
    attribute.s = draw(st.binary(max_size=6))
    attribute.ints.extend(draw(st.lists(st.integers(-3, 3), max_size=3)))
    if draw(st.integers(0, 6)) == 0:
        attribute.ref_attr_name = "other"
    return attribute


@st.composite
def models(draw: st.DrawFn) -> bytes:
    model = helper.make_model(draw(graphs()), ir_version=draw(st.sampled_from([3, 8, 10, 99])))
    model.opset_import[0].version = draw(st.sampled_from([1, 13, 18, 23, 10**6]))
    return model.SerializeToString()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file with bytes changed, taken out or put in."""
    data = bytearray(valid().SerializeToString())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


@pytest.mark.parametrize("command", commands(Path("x")))
@FUZZ
@hypothesis.given(data=st.one_of(models(), damaged(), st.binary(max_size=200)))
def test_command_ends_well(command: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(data)
        words = [str(word) for word in commands(path)[command]]
        # Anything but ModelportError passes through `main` and fails the test.
        assert main(["graph", *words]) in (0, 1, 2)
        left = {file.name for file in Path(folder).iterdir()}
        assert not {name for name in left if name.endswith(".partial")}
