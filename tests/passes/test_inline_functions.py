from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
import torch

import modelport
from modelport import Finding, PassError
from modelport.ops.library import load
from modelport.passes.inline_functions import Lacks, inline_bodies
from tests.passes.support import array, run
from tests.support import onnx_text

STANDARD = {
    "Gelu": ("g (float[2,4,6] x) => (float[2,4,6] y) { y = Gelu(x) }", 20),
    "Gelu tanh": ('g (float[2,4,6] x) => (float[2,4,6] y) { y = Gelu<approximate="tanh">(x) }', 20),
    "Mish": ("g (float[2,4,6] x) => (float[2,4,6] y) { y = Mish(x) }", 18),
    "CenterCropPad": (
        "g (float[2,4,6] x) => (float[M,N,6] y) <int64[2] s = {3,3}> "
        "{ y = CenterCropPad<axes=[0,1]>(x, s) }",
        18,
    ),
    "DynamicQuantizeLinear": (
        "g (float[2,4,6] x) => (uint8[2,4,6] y, float s, uint8 z) "
        "{ y, s, z = DynamicQuantizeLinear(x) }",
        18,
    ),
    "LayerNormalization": (
        "g (float[2,4,6] x) => (float[2,4,6] y) <float[6] s = {1,2,3,4,5,6}> "
        "{ y = LayerNormalization(x, s) }",
        18,
    ),
    "AffineGrid": (
        "g (float[2,4,6] x) => (float[N,H,W,two] y) <int64[4] size = {2,3,4,5}, "
        "int64[3] from = {0,0,0}, int64[3] to = {2,2,3}, int64[3] axes = {0,1,2}> "
        "{ theta = Slice(x, from, to, axes) y = AffineGrid(theta, size) }",
        20,
    ),
    "SoftmaxCrossEntropyLoss": (
        "g (float[2,4,6] x) => (float y) <int64[2,6] t = {0,1,2,3,0,1,2,3,0,1,2,3}> "
        '{ y = SoftmaxCrossEntropyLoss<reduction="mean">(x, t) }',
        18,
    ),
}
HIGHEST = 22
"""The last opset of which ONNX Runtime has all of these."""


def named(*names: str) -> Lacks:
    return lambda node: not node.domain and node.op_type in names


def custom(node: ir.Node) -> bool:
    return node.domain == "mine"


def inlined(
    folder: Path, before: Path, lacks: Lacks, **inputs: np.ndarray
) -> tuple[modelport.Model, list[Finding]]:
    """Inlines, and holds that ONNX takes the graph and that it gives what it gave."""
    model = modelport.Model.load(before)
    findings = inline_bodies(model, lacks, "a backend")
    assert not any(map(lacks, model.ir.graph.all_nodes()))
    after = model.save(folder / "after.onnx")
    onnx.checker.check_model(after, full_check=True)
    for one, other in zip(run(before, inputs), run(after, inputs), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    return model, findings


@pytest.mark.parametrize("name", STANDARD)
def test_standard_body_computes_the_same_in_every_opset(tmp_path: Path, name: str) -> None:
    body, since = STANDARD[name]
    for opset in range(since, HIGHEST + 1):
        before = onnx_text(tmp_path / "before.onnx", body, opset)
        lacked = named(name.split()[0], "NegativeLogLikelihoodLoss")
        _, findings = inlined(tmp_path, before, lacked, x=array(2, 4, 6))
        assert {finding.rule for finding in findings} == {"inlined-body"}
        assert name.split()[0] in findings[0].message


def test_what_the_backend_has_stays(tmp_path: Path) -> None:
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", STANDARD["Mish"][0]))
    assert inline_bodies(model, named("Gelu"), "a backend") == []
    assert [node.op_type for node in model.ir.graph] == ["Mish"]


def test_what_has_no_body_stays_and_is_named(tmp_path: Path) -> None:
    body = "g (float[2] x) => (float[2] y) { y = mine.Foo(x) }"
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    assert inline_bodies(model, custom, "a backend") == []
    assert [node.op_type for node in model.ir.graph] == ["Foo"]


FUNCTIONS = """
<ir_version: 10, opset_import: ["" : 18, "mine" : 1]>
g (float[2, 3] x, bool pick) => (float[2, 3] y, float[2, 3] z) {
    a = mine.Twice <by = 2.5> (x)
    y = mine.Twice (a)
    z = If (pick) <
        then_branch = t () => (float[2, 3] p) { p = mine.Twice <by = 0.5> (a) },
        else_branch = e () => (float[2, 3] q) { q = Relu(a) }
    >
}
<domain: "mine", opset_import: ["" : OPSET, "mine" : 1]>
Twice <by: float = 3.0> (x) => (y) { once = mine.Scaled <by: float = @by> (x) y = Add(once, once) }
<domain: "mine", opset_import: ["" : OPSET]>
Scaled <by: float> (x) => (y) { factor = Constant <value_float: float = @by> () y = Mul(x, factor) }
"""


def functions(path: Path, opset: int = 18) -> Path:
    text = FUNCTIONS.replace("OPSET", str(opset))
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return path


@pytest.mark.parametrize("opset", [18, 13])
@pytest.mark.parametrize("pick", [True, False])
def test_functions_inside_of_each_other_and_of_branches(
    tmp_path: Path, pick: bool, opset: int
) -> None:
    # Add and Mul mean in opset 13 what they mean in 18.
    before = functions(tmp_path / "before.onnx", opset)
    model = modelport.Model.load(before)
    expected = 5 * 6 * array(2, 3)
    model, findings = inlined(tmp_path, before, custom, x=array(2, 3), pick=np.array(pick))
    assert not model.ir.functions
    assert "mine" not in model.ir.opset_imports
    np.testing.assert_allclose(
        run(tmp_path / "after.onnx", {"x": array(2, 3), "pick": np.array(pick)})[0],
        expected,
        rtol=1e-6,
    )
    assert [value.name for value in model.ir.graph.outputs] == ["y", "z"]
    assert {finding.message.partition(":")[0] for finding in findings}


def test_function_of_an_opset_that_means_something_else_is_refused(tmp_path: Path) -> None:
    text = """
    <ir_version: 10, opset_import: ["" : 18, "mine" : 1]>
    g (float[2, 3] x) => (float[2] y) { y = mine.Sum (x) }
    <domain: "mine", opset_import: ["" : 11]>
    Sum (x) => (y) { y = ReduceSum <axes = [1], keepdims = 0> (x) }
    """
    model = modelport.Model(ir.from_proto(onnx.parser.parse_model(text)))
    with pytest.raises(PassError, match=r"the body of mine::Sum cannot be inlined") as caught:
        inline_bodies(model, custom, "a backend")
    assert "opset 11" in (caught.value.why or "")


def test_circle_of_functions_is_refused() -> None:
    text = """
    <ir_version: 10, opset_import: ["" : 18, "mine" : 1]>
    g (float[2] x) => (float[2] y) { y = mine.A (x) }
    <domain: "mine", opset_import: ["mine" : 1]> A (x) => (y) { y = mine.B (x) }
    <domain: "mine", opset_import: ["mine" : 1]> B (x) => (y) { y = mine.A (x) }
    """
    model = modelport.Model(ir.from_proto(onnx.parser.parse_model(text)))
    with pytest.raises(PassError, match="a pass failed") as caught:
        inline_bodies(model, custom, "a backend")
    assert "Cyclic" in (caught.value.why or "")


class Bent(torch.nn.Module):
    """Twice the library's operator, with other attributes each time."""

    def forward(self, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        sample: Callable[..., torch.Tensor] = torch.ops.modelport.grid_sample
        near = sample(x, grid, mode="nearest", padding_mode="border", align_corners=True)
        return near + sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def test_declared_operator_becomes_its_decomposition(tmp_path: Path) -> None:
    load()
    x, grid = torch.from_numpy(array(1, 2, 5, 6)), torch.from_numpy(array(1, 3, 4, 2, seed=1))
    model = modelport.export(Bent(), (x, grid), input_names=["x", "grid"], capture="trace")
    findings = inline_bodies(model, lambda node: node.domain == "modelport", "TensorRT")
    assert [finding.message for finding in findings] == [
        "TensorRT has no modelport::grid_sample: 2 nodes became the standard operators of its body"
    ]
    assert {domain for domain, _ in model.operators()} == {""}
    outputs = run(model.save(tmp_path / "m.onnx"), {"x": x.numpy(), "grid": grid.numpy()})
    np.testing.assert_allclose(outputs[0], Bent()(x, grid).numpy(), atol=1e-5)
