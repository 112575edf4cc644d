"""autograd Functions with `symbolic`, exported with dynamo=True and run in ONNX Runtime."""

from __future__ import annotations

import json
from typing import Any

import onnxscript
import pytest
import torch
import torch.onnx.symbolic_helper as helper
from onnx import numpy_helper
from onnxscript import opset18 as op
from torch import nn
from torch.onnx import symbolic_opset9

from modelport.capture.symbolic import honour_symbolics

Function = torch.autograd.Function


class MyAdd(Function):
    @staticmethod
    def symbolic(g: Any, a: Any, b: Any) -> Any:
        two = g.op("Constant", value_t=torch.tensor([2]))
        three = g.op("Constant", value_t=torch.tensor([3]))
        return g.op("Add", g.op("Mul", a, three), g.op("Mul", b, two))

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        return 3 * a + 2 * b


# Captured when the module is imported, as user code does.
my_add = MyAdd.apply


def test_integer_constants_are_promoted(export):
    model = nn.Sequential(nn.Linear(4, 4))
    exported = export(
        lambda a, b: my_add(a, model(b)).relu(),
        torch.randn(2, 4),
        torch.randn(2, 4),
        dynamic=({0}, {0}),
    )
    assert exported.nodes.count("Mul") == 2
    exported.matches(torch.randn(5, 4), torch.randn(5, 4))
    assert exported.findings == []


@pytest.mark.parametrize("opset", [17, 24])
def test_other_opsets(export, opset):
    exported = export(my_add, torch.randn(2, 4), torch.randn(2, 4), opset=opset)
    exported.matches(torch.randn(2, 4), torch.randn(2, 4))


def test_half_precision_constants_are_promoted(export):
    exported = export(my_add, torch.randn(2, 4).half(), torch.randn(2, 4).half())
    exported.matches(torch.randn(2, 4).half(), torch.randn(2, 4).half(), atol=1e-2)


class DynamicResize(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, scales: Any) -> Any:
        return g.op(
            "Resize",
            x,
            g.op("Constant", value_t=torch.tensor([], dtype=torch.float32)),
            scales,
            coordinate_transformation_mode_s="pytorch_half_pixel",
            cubic_coeff_a_f=-0.75,
            mode_s="cubic",
            nearest_mode_s="floor",
        )

    @staticmethod
    def forward(ctx: Any, x: Any, scales: Any) -> Any:
        scales = scales.tolist()[-2:]
        return nn.functional.interpolate(x, scale_factor=scales, mode="bicubic")


class SuperResolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.last = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: Any, scales: Any) -> Any:
        return self.last(DynamicResize.apply(x, scales)).relu()


def test_scale_factor_at_run_time(export):
    exported = export(
        SuperResolution(),
        torch.randn(1, 3, 8, 9),
        torch.tensor([1.0, 1, 3, 3]),
        dynamic=({0, 2, 3}, {}),
    )
    assert exported.nodes[0] == "Resize"
    # Which dimensions are fixed was probed: batch and channels follow the input.
    shape = exported.proto.graph.output[0].type.tensor_type.shape.dim
    assert shape[1].dim_value == 2
    for scale in (2.0, 3.0, 4.0):
        exported.matches(torch.randn(2, 3, 7, 6), torch.tensor([1.0, 1, scale, scale]))


class Foo(Function):
    @staticmethod
    def symbolic(g: Any, a: Any, b: Any, bias: Any, k: int) -> Any:
        return g.op("custom::foo", a, b, bias, k_i=k, ratios_f=[0.5, 2.0], tag_s="t", outputs=2)

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any, bias: Any, k: int) -> Any:
        total = a + b if bias is None else a + b + bias
        return total, total.topk(k).values


def test_two_outputs_and_an_optional_input(export):
    bias = torch.randn(5)

    def model(a: Any, b: Any) -> Any:
        with_bias = Foo.apply(a, b, bias, 2)
        without = Foo.apply(a, b, None, 3)
        return *with_bias, *without

    exported = export(model, torch.randn(2, 5), torch.randn(2, 5), dynamic=({0}, {0}))
    assert exported.nodes == ["custom::foo", "custom::foo"]
    first, second = exported.proto.graph.node
    assert len(first.input) == 3
    assert len(second.input) == 2
    assert {a.name: a.i for a in second.attribute}["k"] == 3
    assert next(a for a in first.attribute if a.name == "ratios").floats == [0.5, 2.0]
    assert {o.domain: o.version for o in exported.proto.opset_import}["custom"] == 1
    dims = [o.type.tensor_type.shape.dim[1].dim_value for o in exported.proto.graph.output]
    assert dims == [5, 2, 5, 3]
    assert exported.rules == ["no-kernel"]


def test_a_known_kernel_is_no_finding(export):
    exported = export(
        lambda a, b: Foo.apply(a, b, None, 2),
        torch.randn(2, 5),
        torch.randn(2, 5),
        has_kernel=lambda domain, op_type: (domain, op_type) == ("custom", "foo"),
    )
    assert exported.findings == []


class HSwish(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, bias: Any) -> Any:
        info = json.dumps({"alpha": 3.5, "beta": 2.88})
        return g.op("Plugin", x, bias, name_s="HSwish", info_s=info)

    @staticmethod
    def forward(ctx: Any, x: Any, bias: Any) -> Any:
        return x * (x + 3).clip(0, 6) / 6


class FooModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(4))

    def forward(self, input1: Any, input2: Any) -> Any:
        return torch.relu(input2 * HSwish.apply(input1, self.bias))


def test_plugin_with_bias_and_json_info(export):
    exported = export(FooModel(), torch.randn(1, 4), torch.randn(1, 4), dynamic=({0}, {0}))
    assert exported.nodes == ["Plugin", "Mul", "Relu"]
    attributes = {a.name: a.s.decode() for a in exported.node("Plugin").attribute}
    assert json.loads(attributes["info"]) == {"alpha": 3.5, "beta": 2.88}
    assert attributes["name"] == "HSwish"
    assert exported.node("Plugin").input[1] == "bias"
    assert exported.rules == ["no-kernel"]


class KNNQuery(Function):
    @staticmethod
    def symbolic(g: Any, nsample: int, xyz: Any, offset: Any, new_xyz: Any, new_offset: Any) -> Any:
        count = g.op("Constant", value_t=torch.tensor(nsample))
        return g.op("custom::knnquery", count, xyz, offset, new_xyz, new_offset, outputs=2)

    @staticmethod
    def forward(
        ctx: Any, nsample: int, xyz: Any, offset: Any, new_xyz: Any, new_offset: Any
    ) -> Any:
        # NumPy stands for a C++ extension here: it cannot run without data.
        distance = torch.from_numpy(((new_xyz.numpy()[:, None] - xyz.numpy()[None]) ** 2).sum(-1))
        found = distance.topk(nsample, largest=False)
        return found.indices.int(), found.values.sqrt()


def test_knn_query(export):
    exported = export(
        lambda xyz, offset, new_xyz, new_offset: KNNQuery.apply(
            4, xyz, offset, new_xyz, new_offset
        ),
        torch.randn(20, 3),
        torch.tensor([10, 20]),
        torch.randn(9, 3),
        torch.tensor([4, 9]),
        dynamic=({0}, {0}, {0}, {0}),
    )
    node = exported.node("knnquery")
    weights = {i.name: numpy_helper.to_array(i) for i in exported.proto.graph.initializer}
    constants = {
        n.output[0]: numpy_helper.to_array(n.attribute[0].t)
        for n in exported.proto.graph.node
        if n.op_type == "Constant"
    }
    assert {**weights, **constants}[node.input[0]] == 4
    idx, dist = exported.proto.graph.output
    m = exported.proto.graph.input[2].type.tensor_type.shape.dim[0].dim_param
    for output, elem_type in ((idx, 6), (dist, 1)):
        tensor = output.type.tensor_type
        assert tensor.elem_type == elem_type
        assert [tensor.shape.dim[0].dim_param, tensor.shape.dim[1].dim_value] == [m, 4]


class Helpers(Function):
    @staticmethod
    @helper.parse_args("v", "v", "i", "f", "is")
    def symbolic(g: Any, x: Any, y: Any, axis: int, factor: float, order: list[int]) -> Any:
        sizes = helper._get_tensor_sizes(x)
        assert sizes[0] is None
        assert sizes[1] == 6
        assert helper._is_value(x)
        assert not helper._is_none(x)
        assert not helper._is_value(axis)
        assert helper._maybe_get_const(x, "t") is x
        assert x.type().scalarType() == "Float"
        assert x.type().dim() == 2
        x = g.op("Transpose", x, perm_i=order)
        x = g.op("Transpose", x, perm_i=order).setType(y.type())
        x = symbolic_opset9.add(g, x, y)
        x = helper._reshape_helper(g, x, g.op("Constant", value_t=torch.tensor([-1, 2, 3])))
        x = helper._unsqueeze_helper(g, x, [axis])
        scaled = g.op("Mul", x, g.op("Constant", value_t=torch.tensor(factor)))
        return helper._squeeze_helper(g, scaled, [axis])

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, axis: int, factor: float, order: list[int]) -> Any:
        return (x + y).reshape(-1, 2, 3) * factor


def test_helpers_of_torch(export):
    exported = export(
        lambda x, y: Helpers.apply(x, y, 1, 0.5, [1, 0]),
        torch.randn(2, 6),
        torch.randn(2, 6),
        dynamic=({0}, {0}),
    )
    exported.matches(torch.randn(3, 6), torch.randn(3, 6))


class Scale(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, factor: float, mode: str, negate: bool, extra: Any) -> Any:
        assert extra is None
        assert isinstance(negate, bool)
        value = g.op("Mul", x, g.op("Constant", value_t=torch.tensor(factor)))
        if negate:
            value = g.op("Neg", value)
        return g.op({"abs": "Abs", "relu": "Relu"}[mode], value)

    @staticmethod
    def forward(x: Any, factor: float, mode: str = "abs", negate: bool = False, extra: Any = None):
        value = x * (-factor if negate else factor)
        return value.abs() if mode == "abs" else value.relu()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])


def test_setup_context_and_other_constants_in_each_call(export):
    layer = nn.Linear(4, 4)

    def model(x: Any) -> Any:
        x = Scale.apply(layer(x), 2.0, "relu", False, None)
        x = Scale.apply(x - 1, 3.0, "abs", True, None)
        with torch.no_grad():
            return Scale.apply(x, 0.25, "relu", False, None)

    exported = export(model, torch.randn(2, 4), dynamic=({0},))
    assert [n for n in exported.nodes if n in ("Relu", "Abs", "Neg")] == [
        "Relu",
        "Neg",
        "Abs",
        "Relu",
    ]
    exported.matches(torch.randn(7, 4))


class JoinAll(Function):
    @staticmethod
    def symbolic(g: Any, parts: list[Any], size: tuple[Any, ...], axis: int) -> Any:
        joined = g.op("Concat", *parts, axis_i=axis)
        minus = g.op("Constant", value_t=torch.tensor([-1]))
        rows = helper._unsqueeze_helper(g, size[0], [0])
        return helper._reshape_helper(g, joined, g.op("Concat", rows, minus, axis_i=0))

    @staticmethod
    def forward(ctx: Any, parts: list[Any], size: tuple[int, ...], axis: int) -> Any:
        return torch.cat(parts, axis).reshape(size[0], -1)


def test_lists_of_tensors_and_dynamic_sizes(export):
    exported = export(
        lambda a, b: JoinAll.apply([a, b * 2], a.shape[1:], 0),
        torch.randn(2, 3, 4),
        torch.randn(2, 3, 4),
        dynamic=({1}, {1}),
    )
    exported.matches(torch.randn(2, 5, 4), torch.randn(2, 5, 4))


class Positive(Function):
    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Transpose", g.op("NonZero", g.op("Relu", x)), perm_i=[1, 0])

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.relu().nonzero()


def test_an_output_size_that_depends_on_data(export):
    exported = export(lambda x: Positive.apply(x) * 2, torch.randn(3, 4), dynamic=({0},))
    exported.matches(torch.randn(6, 4))


class Outer(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, y: Any) -> Any:
        return g.op("Sub", x, y)

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return my_add(x, y) - 2 * x - 3 * y


def test_the_outer_symbolic_wins(export):
    exported = export(Outer.apply, torch.randn(2, 4), torch.randn(2, 4), dynamic=({0}, {0}))
    assert exported.nodes == ["Sub"]
    exported.matches(torch.randn(3, 4), torch.randn(3, 4))


class InPlace(Function):
    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Relu", x)

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_dirty(x)
        return x.relu_()


def test_a_change_in_place_is_seen(export):
    def model(x: Any) -> Any:
        y = x * 1.0
        InPlace.apply(y)
        return y + 1

    exported = export(model, torch.randn(2, 4), dynamic=({0},))
    exported.matches(torch.randn(3, 4))


class Alias(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, y: Any) -> Any:
        return x, x, None, y

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return x.view(x.shape), x, None, y


def test_outputs_that_are_inputs_and_none(export):
    def model(x: Any, y: Any) -> Any:
        a, b, nothing, c = Alias.apply(x, y)
        assert nothing is None
        return a + 1, b * 2, c

    exported = export(model, torch.randn(2, 4), torch.randn(2, 4), dynamic=({0}, {0}))
    exported.matches(torch.randn(3, 4), torch.randn(3, 4))


class FromItem(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, factor: Any) -> Any:
        return g.op("Mul", x, factor)

    @staticmethod
    def forward(ctx: Any, x: Any, factor: float) -> Any:
        return x * factor


def test_a_number_taken_from_a_tensor(export):
    exported = export(
        lambda x, f: FromItem.apply(x, f.item()), torch.randn(2, 4), torch.tensor(3.0)
    )
    exported.matches(torch.randn(2, 4), torch.tensor(5.0))


class Conditional(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, flag: Any) -> Any:
        from torch.onnx._internal.torchscript_exporter import jit_utils, utils

        result, (then, other), _ = jit_utils.add_op_with_blocks(g, "If", flag, n_blocks=2)
        utils._add_output_to_block(then.block, then.op("Relu", x))
        utils._add_output_to_block(other.block, other.op("Neg", x))
        return result

    @staticmethod
    def forward(ctx: Any, x: Any, flag: Any) -> Any:
        return torch.where(flag, x.relu(), -x)


def test_a_symbolic_with_subgraphs(export):
    exported = export(Conditional.apply, torch.randn(2, 4), torch.tensor(True), dynamic=({0}, {}))
    exported.matches(torch.randn(3, 4), torch.tensor(True))
    exported.matches(torch.randn(3, 4), torch.tensor(False))


class Grid(Function):
    @staticmethod
    def symbolic(g: Any, height: Any, width: int) -> Any:
        height = helper._unsqueeze_helper(g, height, [0])
        shape = g.op("Concat", height, g.op("Constant", value_t=torch.tensor([width])), axis_i=0)
        return g.op("ConstantOfShape", shape, value_t=torch.tensor([2.0]))

    @staticmethod
    def forward(ctx: Any, height: int, width: int) -> Any:
        return torch.full((height, width), 2.0)


def test_a_function_of_sizes_and_one_of_constants(export):
    constant = torch.ones(4)
    exported = export(
        lambda x: Grid.apply(x.shape[0], 4) * x + my_add(constant, torch.ones(4)),
        torch.randn(2, 4),
        dynamic=({0},),
    )
    exported.matches(torch.randn(5, 4))


CUSTOM = onnxscript.values.Opset("test.functions", 1)


@onnxscript.script(CUSTOM)
def twice(x):
    return op.Add(x, x)


class Twice(Function):
    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.onnxscript_op(twice, x)

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x + x


def test_an_onnx_script_function_is_a_body(export):
    exported = export(Twice.apply, torch.randn(2, 4), dynamic=({0},))
    assert exported.findings == []
    exported.matches(torch.randn(3, 4))


class TwoScaled(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, factor: float, bias: Any) -> Any:
        x = x if bias is None else g.op("Add", x, bias)
        scaled = g.op("Mul", x, g.op("Constant", value_t=torch.tensor(factor)))
        return g.op("Softsign", scaled), g.op("Neg", scaled)

    @staticmethod
    def forward(ctx: Any, x: Any, factor: float, bias: Any = None) -> Any:
        scaled = (x if bias is None else x + bias) * factor
        return nn.functional.softsign(scaled), -scaled


def test_branches_of_control_flow(export):
    def model(x: Any) -> Any:
        def yes(x: Any) -> Any:
            first, second = TwoScaled.apply(x, 2.0, None)
            return first + second

        def no(x: Any) -> Any:
            return TwoScaled.apply(x, factor=0.5, bias=x)[0]

        return torch.cond(x.sum() > 0, yes, no, (x,))

    exported = export(model, torch.randn(2, 4))
    branches = [a.g for a in exported.node("If").attribute]
    assert all("Softsign" in {n.op_type for n in branch.node} for branch in branches)
    exported.matches(torch.ones(2, 4))
    exported.matches(-torch.ones(2, 4))


def test_strict_capture(export):
    layer = nn.Linear(4, 4)

    def model(x: Any) -> Any:
        # PyTorch captures this list in its strict strategy only.
        total = torch.tensor([row.sum() for row in x[:2]]).sum()
        return my_add(TwoScaled.apply(layer(x), 0.5)[0], total)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            return model(x)

    exported = export(Model(), torch.randn(2, 4))
    assert "NonStrict" not in exported.program._capture_strategy
    assert "Softsign" in exported.nodes
    exported.matches(torch.randn(2, 4))


class Trained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout()

    def forward(self, x: Any, *, scale: Any = None) -> Any:
        return my_add(self.drop(self.norm(x)), x if scale is None else x * scale)


def test_the_eager_run_leaves_no_traces(export):
    model = Trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(8, 4)
    model.train()
    state = torch.get_rng_state()
    with honour_symbolics(model, (x,), {"scale": torch.tensor(2.0)}) as bridge:
        assert bridge.recorded[MyAdd] == 1
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_keyword_inputs(export):
    model = Trained()
    exported = export(model, torch.randn(2, 4), kwargs={"scale": torch.tensor(2.0)})
    assert len(exported.proto.graph.input) == 2
