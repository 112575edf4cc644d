"""The kernels that are listed are those that a session finds."""

import onnxruntime
import pytest
from onnx import TensorProto, helper

from modelport.ops.catalog import KernelSource, describe, kernels
from modelport.ops.catalog.kernels import Kernel
from modelport.ops.catalog.operators import histories
from modelport.ops.catalog.probe import probe

SAMPLE = ("Add", "Asinh", "Conv", "Gather", "GridSample", "LSTM", "MaxPool", "Resize", "TopK")
"""Operators without a function body, so that a session without a kernel fails."""


def needs_list() -> None:
    if kernels.listed_kernels() is None:
        pytest.skip("this build of ONNX Runtime gives no list of its kernels")


@pytest.mark.parametrize("name", SAMPLE)
def test_list_and_probe_agree(name: str) -> None:
    needs_list()
    operator = describe(name)
    for schema, version in zip(histories()["", name], operator.versions, strict=True):
        first = version.inputs[0]
        listed = {
            kind
            for kernel in version.kernels or ()
            for kind in kernel.types.get(first.constraint, first.types)
        }
        # The runtime casts float16 to float where it has no kernel.
        listed = (listed & set(first.types)) - {"tensor(float16)"}
        assert set(probe(schema) or ()) - {"tensor(float16)"} == listed, version.since


def test_resize_kernel_is_the_one_that_runs() -> None:
    """ONNX Runtime 1.31 has Resize for float, int32, int8 and uint8, and not for double."""
    newest = describe("Resize").versions[-1].kernels
    assert newest is not None
    types = {kind for kernel in newest for kind in kernel.types.get("T1", ())}
    assert ("tensor(float)" in types) is session_exists(TensorProto.FLOAT)
    assert ("tensor(double)" in types) is session_exists(TensorProto.DOUBLE)


def session_exists(dtype: int) -> bool:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"])
    inputs = [
        helper.make_tensor_value_info("x", dtype, [1, 1, 4, 4]),
        helper.make_tensor_value_info("s", TensorProto.FLOAT, [4]),
    ]
    output = helper.make_tensor_value_info("y", dtype, None)
    graph = helper.make_graph([node], "g", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    try:
        onnxruntime.InferenceSession(model.SerializeToString())
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return False
    return True


def test_without_a_list_sessions_are_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "listed_kernels", lambda: None)
    asinh = describe("Asinh")
    assert asinh.kernel_source is KernelSource.PROBED
    for version in asinh.versions:
        assert version.kernels is not None
        assert "tensor(float)" in version.kernels[0].types["T"]
        assert "tensor(double)" not in version.kernels[0].types["T"]
    assert describe("Loop").versions[-1].kernels is None, "a body cannot be made up"


def test_open_ended_kernels_serve_their_own_version_only() -> None:
    assert Kernel({}, 14, None).serves(14)
    assert not Kernel({}, 14, None).serves(19)
    assert Kernel({}, 11, 12).serves(12)
    assert not Kernel({}, 11, 12).serves(13)


def test_operator_of_another_domain() -> None:
    scaler = describe("ai.onnx.ml::Scaler").versions[0].kernels
    assert scaler
