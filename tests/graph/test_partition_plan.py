from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import modelport
from modelport import Model, UsageError
from modelport.graph import partition
from tests.support import onnx_text

SKIP = """g (float[2] x, float[2] z) => (float[2] y, float[2] early) {
    a = Relu(x)
    early = Neg(a)
    b = Exp(a)
    c = Add(b, z)
    d = Sub(c, a)
    y = Sqrt(d)
}"""


class Marked(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.cut = modelport.mark("features")
        self.norm = torch.nn.BatchNorm2d(4)
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.cut(self.conv(x))))


def chained(parts: list[Model], values: dict[str, Any], folder: Path) -> dict[str, Any]:
    values = dict(values)
    for part in parts:
        engine = modelport.load(part.save(folder / "part.onnx"))
        values |= engine.run({spec.name: values[spec.name] for spec in engine.signature.inputs})
    return values


def test_parts_run_in_turn_give_the_same(tmp_path: Path) -> None:
    model = Model.load(onnx_text(tmp_path / "m.onnx", SKIP))
    given = {"x": np.array([1, -2], np.float32), "z": np.array([3, 4], np.float32)}
    whole = modelport.load(tmp_path / "m.onnx").run(given)
    parts = partition(model, ["c", "b"])
    assert [[n.op_type for n in part.ir.graph] for part in parts] == [
        ["Relu", "Exp"],
        ["Add"],
        ["Neg", "Sub", "Sqrt"],
    ]
    # What skips a cut is an output too.
    assert {spec.name for spec in parts[0].signature.outputs} == {"a", "b"}
    results = chained(parts, given, tmp_path)
    for name, array in whole.items():
        np.testing.assert_array_equal(results[name], array)


@pytest.mark.parametrize("capture", ["dynamo", "trace", "script"])
def test_a_mark_is_a_place_to_cut(capture: str, tmp_path: Path) -> None:
    net, x = Marked(), torch.rand(1, 3, 6, 6)
    model = modelport.export(
        net, (x,), capture=capture, input_names=["x"], output_names=["y"], probes=False
    )
    kinds = [node.op_type for node in model.ir.graph if node.op_type != "Identity"]
    assert kinds == ["Conv", "BatchNormalization", "Relu"]
    assert set(model.ir.opset_imports) == {""}
    saved = Model.load(model.save(tmp_path / "m.onnx"))
    parts = partition(saved, ["features"])
    results = chained(parts, {"x": x.numpy()}, tmp_path)
    np.testing.assert_allclose(results["y"], net(x).detach().numpy(), atol=1e-6)
    assert len(parts) == 2


@pytest.mark.parametrize("dynamo", [True, False])
def test_a_mark_leaves_nothing_behind_elsewhere(dynamo: bool, tmp_path: Path) -> None:
    net, x = Marked(), torch.rand(1, 3, 6, 6)
    assert net.cut(x) is x
    torch.onnx.export(net, (x,), tmp_path / "m.onnx", dynamo=dynamo, verbose=False)
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert kinds == ["Conv", "Relu"]


def test_a_mark_at_an_output_keeps_its_name() -> None:
    net = torch.nn.Sequential(torch.nn.ReLU(), modelport.mark("end"), modelport.mark("after"))
    model = modelport.export(net, (torch.rand(2),), output_names=["y"], capture="trace")
    assert [value.name for value in model.ir.graph.outputs] == ["y"]
    assert [node.op_type for node in model.ir.graph] == ["Relu"]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (["nowhere"], "no mark and no tensor 'nowhere'"),
        (["x"], "nothing computes it"),
        ([], "there is no cut"),
        (["y"], "leaves a part empty"),
    ],
)
def test_cuts_that_are_none_are_refused(at: list[str], message: str, tmp_path: Path) -> None:
    body = "g (float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }"
    with pytest.raises(UsageError, match=message):
        partition(Model.load(onnx_text(tmp_path / "m.onnx", body)), at)


def test_a_mark_needs_a_name() -> None:
    with pytest.raises(TypeError, match="not empty"):
        modelport.mark("")
