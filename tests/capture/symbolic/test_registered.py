"""Operators with registered symbolic functions, in every way of capturing a model."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.onnx.symbolic_helper as helper

import tests.libraries  # noqa: F401 - declares operators
from modelport import UsageError, register_symbolic


def asinh(g: Any, x: Any) -> Any:
    # A trace that the symbolic was used: PyTorch's own emits one Asinh.
    return g.op("Neg", g.op("Asinh", g.op("Neg", x)))


def test_one_line_for_aten(export):
    with register_symbolic("aten::asinh", asinh, opset=9):
        exported = export(lambda x: torch.asinh(x) + 1, torch.randn(2, 3), dynamic=({0},))
    assert exported.nodes == ["Neg", "Asinh", "Neg", "Add"]
    exported.matches(torch.randn(5, 3))
    after = export(lambda x: torch.asinh(x) + 1, torch.randn(2, 3))
    assert after.nodes == ["Asinh", "Add"]


@pytest.mark.parametrize("script", [False, True])
def test_the_same_line_for_trace_and_script(script):
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.asinh(x)

    model: Any = torch.jit.script(Model()) if script else Model()
    buffer = io.BytesIO()
    with warnings.catch_warnings(), register_symbolic("aten::asinh", asinh, opset=9):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.randn(2),), buffer, dynamo=False, opset_version=15)
    nodes = onnx.load_from_string(buffer.getvalue()).graph.node
    assert [n.op_type for n in nodes] == ["Neg", "Asinh", "Neg"]


def test_it_wins_over_later_functions_of_pytorch_and_is_undone():
    from modelport.capture.torch_private import symbolics

    name = "aten::sort"  # PyTorch has several, for several opsets.
    later = [v for v in symbolics.registered_opsets(name) if v > 9]
    assert later
    outer = register_symbolic(name, asinh, opset=9)
    inner = register_symbolic(name, lambda g, x: x, opset=9)
    assert symbolics.overriding_symbolics(20)[name] is not asinh
    inner.remove()
    inner.remove()
    assert symbolics.overriding_symbolics(20)[name] is asinh
    assert symbolics.overriding_symbolics(later[0])[name] is asinh
    outer.remove()
    assert name not in symbolics.overriding_symbolics(20)
    assert [v for v in symbolics.registered_opsets(name) if v > 9] == later


def test_not_before_its_opset(export):
    with register_symbolic("aten::asinh", asinh, opset=20):
        exported = export(torch.asinh, torch.randn(2, 3), opset=18)
    assert exported.nodes == ["Asinh"]


@pytest.mark.parametrize(
    ("name", "function", "opset", "message"),
    [
        ("asinh", asinh, 9, "aten::asinh"),
        ("aten::add.Tensor", asinh, 9, "without an overload"),
        ("prim::If", asinh, 9, "part of the exporter"),
        ("aten::asinh", "Asinh", 9, "pass a function"),
        ("aten::asinh", asinh, 99, "from 7 to"),
    ],
)
def test_wrong_use(name, function, opset, message):
    with pytest.raises(UsageError) as error:
        register_symbolic(name, function, opset=opset)
    assert message in str(error.value)


@pytest.fixture
def registered() -> Iterator[Any]:
    """Registers through PyTorch's own function, and undoes it."""
    done = []

    def register(name: str, function: Any, opset: int = 9) -> None:
        torch.onnx.register_custom_op_symbolic(name, function, opset)
        done.append((name, opset))

    yield register
    for name, opset in done:
        torch.onnx.unregister_custom_op_symbolic(name, opset)


@torch.library.custom_op("modelport_test::scaled_clip", mutates_args=())
def scaled_clip(
    x: torch.Tensor,
    factor: float,
    bounds: list[int],
    negate: bool = False,
    bias: torch.Tensor | None = None,
    mode: str = "plain",
) -> torch.Tensor:
    y = (x * (-factor if negate else factor)).clip(*bounds)
    return y if bias is None else y + bias


@scaled_clip.register_fake
def _(x, factor, bounds, negate=False, bias=None, mode="plain"):
    return torch.empty_like(x)


@helper.parse_args("v", "f", "is", "b", "v", "s")
def parsed_clip(g: Any, x: Any, factor: Any, bounds: Any, negate: Any, bias: Any, mode: Any) -> Any:
    assert isinstance(factor, float)
    assert isinstance(negate, bool)
    assert bounds == [-1, 2]
    assert mode == "plain"
    low, high = (g.op("Constant", value_t=torch.tensor(float(b))) for b in bounds)
    factor = g.op("Constant", value_t=torch.tensor(-factor if negate else factor))
    y = g.op("Clip", g.op("Mul", x, factor), low, high)
    return y if helper._is_none(bias) else g.op("Add", y, bias)


def plain_clip(g: Any, x: Any, factor: Any, bounds: Any, negate: Any, bias: Any, mode: Any) -> Any:
    # Without parse_args the arguments are values of the graph.
    assert helper._is_packed_list(bounds)
    return parsed_clip(g, x, factor, bounds, negate, bias, mode)


@pytest.mark.parametrize("symbolic", [parsed_clip, plain_clip])
def test_a_library_operator_with_typed_arguments(export, registered, symbolic):
    registered("modelport_test::scaled_clip", symbolic)
    exported = export(
        lambda x, b: scaled_clip(x, 0.1, [-1, 2]) + scaled_clip(x, 3.0, [-1, 2], True, b),
        torch.randn(2, 3),
        torch.randn(3),
        dynamic=({0}, {}),
    )
    exported.matches(torch.randn(5, 3), torch.randn(3))


@torch.library.custom_op("modelport_test::top_half", mutates_args=())
def top_half(x: torch.Tensor, extra: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    found = x.topk(x.shape[1] // 2 + extra)
    return found.values, found.indices


def test_an_operator_without_fake_kernel_is_probed(export, registered):
    def symbolic(g: Any, x: Any, extra: Any) -> Any:
        return g.op(
            "custom::top_half", x, extra_i=helper._get_const(extra, "i", "extra"), outputs=2
        )

    registered("modelport_test::top_half", symbolic)
    exported = export(
        lambda x: tuple(top_half(torch.relu(x), 2)), torch.randn(2, 6), dynamic=({0},)
    )
    for output in exported.proto.graph.output:
        dims = output.type.tensor_type.shape.dim
        assert (
            dims[0].dim_param
            == exported.proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param
        )
        assert dims[1].dim_value == 5
    # The kernel that raised before does so again.
    with pytest.raises(RuntimeError, match="no fake impl"), torch._subclasses.FakeTensorMode():
        top_half(torch.empty(2, 6))


def test_torch_cluster_grid(export):
    def symbolic(g: Any, pos: Any, size: Any, start: Any, end: Any) -> Any:
        return g.op("custom::torch_cluster_grid", pos, size, start, end)

    with register_symbolic("torch_cluster::grid", symbolic, opset=9):
        exported = export(
            lambda pos, size, start: torch.ops.torch_cluster.grid(pos, size, start),
            torch.rand(8, 3),
            torch.rand(3) + 0.1,
            torch.zeros(3),
            dynamic=({0}, {}, {}),
        )
    assert exported.nodes == ["custom::torch_cluster_grid"]
    node = exported.node("torch_cluster_grid")
    assert list(node.input) == [i.name for i in exported.proto.graph.input]
    output = exported.proto.graph.output[0].type.tensor_type
    assert output.elem_type == onnx.TensorProto.INT64
    assert len(output.shape.dim) == 1
    assert output.shape.dim[0].dim_param
    assert exported.rules == ["no-kernel"]


def deform(x: Any, weight: Any, offset: Any, mask: Any, bias: Any) -> Any:
    return torch.ops.torchvision.deform_conv2d(
        x, weight, offset, mask, bias, 1, 1, 0, 0, 1, 1, 1, 1, True
    )


TYPES = ("v", "v", "v", "v", "v", "i", "i", "i", "i", "i", "i", "i", "i", "b")
EXAMPLE = (
    torch.randn(1, 2, 6, 7),
    torch.randn(4, 2, 3, 3),
    0.3 * torch.randn(1, 18, 4, 5),
    torch.rand(1, 9, 4, 5),
    torch.randn(4),
)


def test_deform_conv2d_to_a_custom_node(export):
    @helper.parse_args(*TYPES)
    def symbolic(
        g: Any, x: Any, weight: Any, offset: Any, mask: Any, bias: Any, sh: int, sw: int, ph: int,
        pw: int, dh: int, dw: int, groups: int, offset_groups: int, use_mask: bool,
    ) -> Any:  # fmt: skip
        assert use_mask is True
        assert (sh, ph) == (1, 0)
        return g.op("custom::deform_conv2d", x, offset)

    with register_symbolic("torchvision::deform_conv2d", symbolic, opset=11):
        exported = export(deform, *EXAMPLE)
    assert exported.nodes == ["custom::deform_conv2d"]
    assert sorted(exported.rules) == ["no-kernel"] + ["symbolic-drops-operand"] * 3
    dropped = [f.message for f in exported.findings if f.rule == "symbolic-drops-operand"]
    assert [name in " ".join(dropped) for name in ("'weight'", "'mask'", "'bias'")] == [True] * 3


def test_deform_conv2d_to_the_real_one(export):
    @helper.parse_args(*TYPES)
    def symbolic(
        g: Any, x: Any, weight: Any, offset: Any, mask: Any, bias: Any, sh: int, sw: int, ph: int,
        pw: int, dh: int, dw: int, groups: int, offset_groups: int, use_mask: bool,
    ) -> Any:  # fmt: skip
        return g.op(
            "DeformConv", x, weight, offset, bias, mask, strides_i=[sh, sw],
            pads_i=[ph, pw, ph, pw], dilations_i=[dh, dw], group_i=groups,
            offset_group_i=offset_groups,
        )  # fmt: skip

    with register_symbolic("torchvision::deform_conv2d", symbolic, opset=19):
        exported = export(deform, *EXAMPLE, opset=19, dynamic=({0}, {}, {0}, {0}, {}))
    assert exported.nodes == ["DeformConv"]
    assert exported.findings == []
    x, weight, offset, mask, bias = EXAMPLE
    two = [torch.cat([value, value * 0.9]) for value in (x, offset, mask)]
    session = ort.InferenceSession(exported.proto.SerializeToString())
    names = [value.name for value in session.get_inputs()]
    values = (two[0], weight, two[1], two[2], bias)
    feeds = {name: value.numpy() for name, value in zip(names, values, strict=True)}
    expected = deform(*values).numpy()
    np.testing.assert_allclose(session.run(None, feeds)[0], expected, atol=1e-4)


def linear(g: Any, x: Any, weight: Any, bias: Any) -> Any:
    product = g.op("MatMul", x, g.op("Transpose", weight, perm_i=[1, 0]))
    return product if helper._is_none(bias) else g.op("Add", product, bias)


@helper.parse_args("v", "i", "i")
def log_softmax(g: Any, x: Any, dim: int, dtype: int) -> Any:
    assert dtype == 6  # As PyTorch numbers float32.
    return g.op("LogSoftmax", g.op("Cast", x, to_i=1), axis_i=dim)


def split(g: Any, x: Any, size: Any, dim: Any) -> Any:
    return g.op("Split", x, axis_i=helper._get_const(dim, "i", "dim"), num_outputs_i=2, outputs=2)


def test_aten_operators_of_all_kinds(export):
    layer = torch.nn.Linear(4, 4)

    def model(x: Any) -> Any:
        first, second = layer(x).split(2, 1)
        return torch.log_softmax(first.double() - second, 1, dtype=torch.float32)

    with (
        register_symbolic("aten::linear", linear),
        register_symbolic("aten::log_softmax", log_softmax),
        register_symbolic("aten::split", split),
    ):
        exported = export(model, torch.randn(2, 4), dynamic=({0},))
    assert {"MatMul", "Split", "LogSoftmax"} < set(exported.nodes)
    assert "Gemm" not in exported.nodes
    exported.matches(torch.randn(5, 4))
