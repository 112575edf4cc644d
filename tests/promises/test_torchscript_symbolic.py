"""M6: an operator of another library, with 14 typed arguments.

The example: torchvision::deform_conv2d becomes custom::deform_conv2d, then the real DeformConv;
torch_cluster::grid(pos, size, start?, end?) becomes custom::torch_cluster_grid. Neither library is
needed: tests/libraries.py declares their operators.
"""

import numpy as np
import onnx_ir
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch.onnx.symbolic_helper import parse_args

import modelport
import tests.libraries  # noqa: F401 - declares operators

KINDS = ("v", "v", "v", "v", "v", "i", "i", "i", "i", "i", "i", "i", "i", "b")
CAPTURES = ("dynamo", "trace", "script")


class Deformed(torch.nn.Module):
    """A modulated deformable convolution, as torchvision's layer calls the operator."""

    def __init__(self, groups: int = 1, offset_groups: int = 1, masked: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.groups, self.offset_groups, self.masked = groups, offset_groups, masked
        self.weight = torch.nn.Parameter(torch.randn(6, 4 // groups, 3, 3))
        self.bias = torch.nn.Parameter(torch.randn(6))
        self.offset = torch.nn.Conv2d(4, 18 * offset_groups, 3, padding=1, stride=(2, 1))
        self.mask = torch.nn.Conv2d(4, 9 * offset_groups, 3, padding=1, stride=(2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.sigmoid(self.mask(x))
        numbers = (2, 1, 1, 1, 1, 1, self.groups, self.offset_groups, self.masked)
        return torch.ops.torchvision.deform_conv2d(
            x, self.weight, self.offset(x), mask, self.bias, *numbers
        )


class Voxels(torch.nn.Module):
    def __init__(self, bounded: bool) -> None:
        super().__init__()
        self.bounded = bounded
        self.register_buffer("size", torch.tensor([0.5, 1.0, 0.25]))
        self.register_buffer("start", torch.tensor([-4.0, -4.0, -4.0]))
        self.register_buffer("end", torch.tensor([4.0, 4.0, 4.0]))

    def forward(self, pos: torch.Tensor) -> torch.Tensor:
        if self.bounded:
            return torch.ops.torch_cluster.grid(pos, self.size, self.start, self.end)
        return torch.ops.torch_cluster.grid(pos, self.size, None, None)


# The 14 arguments have to be spelled out: parse_args goes by the names of the parameters.
# fmt: off
@parse_args(*KINDS)
def to_custom(
    g, input, weight, offset, mask, bias, stride_h, stride_w, pad_h, pad_w,
    dilation_h, dilation_w, groups, offset_groups, use_mask,
):
    return g.op(
        "custom::deform_conv2d", input, weight, offset, mask, bias,
        stride_h_i=stride_h, stride_w_i=stride_w, pad_h_i=pad_h, pad_w_i=pad_w,
        dilation_h_i=dilation_h, dilation_w_i=dilation_w, groups_i=groups,
        offset_groups_i=offset_groups, use_mask_i=int(use_mask),
    )


@parse_args(*KINDS)
def to_deform_conv(
    g, input, weight, offset, mask, bias, stride_h, stride_w, pad_h, pad_w,
    dilation_h, dilation_w, groups, offset_groups, use_mask,
):
    operands = (input, weight, offset, bias, mask) if use_mask else (input, weight, offset, bias)
    return g.op(
        "DeformConv", *operands,
        strides_i=[stride_h, stride_w], pads_i=[pad_h, pad_w, pad_h, pad_w],
        dilations_i=[dilation_h, dilation_w], group_i=groups, offset_group_i=offset_groups,
    )
# fmt: on


def to_custom_grid(g, pos, size, start, end):
    return g.op("custom::torch_cluster_grid", pos, size, start, end)


def only(model: modelport.Model, op_type: str) -> onnx_ir.Node:
    (node,) = [node for node in model.ir.graph.all_nodes() if node.op_type == op_type]
    return node


def rules(model: modelport.Model) -> set[str]:
    return {finding.rule for finding in model.findings}


def export(network: torch.nn.Module, capture: str, *, opset: int = 19) -> modelport.Model:
    return modelport.export(
        network.eval(),
        (torch.randn(2, 4, 8, 9),),
        input_names=["x"],
        output_names=["y"],
        dynamic={"x": {0: "batch", 2: "height", 3: "width"}},
        capture=capture,
        opset=opset,
    )


def test_the_reference_is_a_convolution_where_nothing_moves() -> None:
    x, weight, bias = torch.randn(2, 4, 8, 9), torch.randn(6, 2, 3, 3), torch.randn(6)
    offset, mask = torch.zeros(2, 18, 4, 9), torch.ones(2, 9, 4, 9)
    numbers = (2, 1, 1, 1, 1, 1, 2, 1, True)
    result = torch.ops.torchvision.deform_conv2d(x, weight, offset, mask, bias, *numbers)
    expected = F.conv2d(x, weight, bias, stride=(2, 1), padding=1, groups=2)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_node_in_a_domain_of_ones_own(capture: str) -> None:
    with modelport.register_symbolic("torchvision::deform_conv2d", to_custom, opset=9):
        model = export(Deformed(groups=2, offset_groups=2), capture)
    node = only(model, "deform_conv2d")
    assert node.domain == "custom"
    assert "custom" in model.ir.opset_imports
    assert len(node.inputs) == 5
    attributes = {name: attribute.as_int() for name, attribute in node.attributes.items()}
    assert attributes == {
        **{"stride_h": 2, "stride_w": 1, "pad_h": 1, "pad_w": 1},
        **{"dilation_h": 1, "dilation_w": 1, "groups": 2},
        "offset_groups": 2,
        "use_mask": 1,
    }
    assert "not-probed" in rules(model), "nobody has a kernel for it yet"


@pytest.mark.parametrize(
    ("capture", "groups", "offset_groups"),
    [("dynamo", 1, 1), ("dynamo", 2, 2), ("trace", 2, 1), ("script", 1, 2)],
)
def test_the_real_one_runs(capture: str, groups: int, offset_groups: int) -> None:
    network = Deformed(groups, offset_groups).eval()
    with modelport.register_symbolic("torchvision::deform_conv2d", to_deform_conv, opset=19):
        model = export(network, capture)
    assert len(only(model, "DeformConv").inputs) == 5
    assert not {"no-kernel", "not-probed"} & rules(model)
    content = onnx_ir.serde.serialize_model(model.ir).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for shape in ((2, 4, 8, 9), (1, 4, 16, 6), (5, 4, 7, 7)):
        x = torch.randn(shape)
        with torch.no_grad():
            expected = network(x).numpy()
        (result,) = session.run(None, {"x": x.numpy()})
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4)


def test_an_operand_that_is_left_out_is_found() -> None:
    with modelport.register_symbolic("torchvision::deform_conv2d", to_deform_conv, opset=19):
        model = export(Deformed(masked=False), "dynamo")
    (finding,) = [item for item in model.findings if item.rule == "symbolic-drops-operand"]
    assert "'mask'" in finding.message
    line = to_deform_conv.__wrapped__.__code__.co_firstlineno
    assert finding.where.startswith(__file__)
    assert abs(int(finding.where.rpartition(":")[2]) - line) <= 1


def test_deform_conv_needs_opset_19() -> None:
    with (
        modelport.register_symbolic("torchvision::deform_conv2d", to_deform_conv, opset=9),
        pytest.raises(modelport.ExportError, match="DeformConv"),
    ):
        export(Deformed(), "dynamo", opset=18)


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
@pytest.mark.parametrize("bounded", [True, False])
def test_optional_arguments(capture: str, bounded: bool) -> None:
    with modelport.register_symbolic("torch_cluster::grid", to_custom_grid, opset=9):
        model = modelport.export(
            Voxels(bounded),
            (torch.randn(10, 3),),
            input_names=["pos"],
            output_names=["cluster"],
            dynamic={"pos": {0: "points"}},
            capture=capture,
        )
    node = only(model, "torch_cluster_grid")
    assert node.domain == "custom"
    is_present = [value is not None and value.name != "" for value in node.inputs]
    assert is_present[:2] == [True, True]
    assert is_present[2:] == ([True, True] if bounded else is_present[2:])
    assert bounded or not any(is_present[2:])
    (output,) = model.signature.outputs
    assert output.dtype == "int64"
    if capture == "dynamo":
        assert output.shape == ("points",), "found by running the operator, as it has no fake one"
