"""Declared operators in captured graphs: nodes, types, bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import modelport
from modelport import Operator
from tests.operators.graphs import open_graph

pytestmark = pytest.mark.usefixtures("trial")


class Everything(torch.nn.Module):
    """Operators of two domains, a list of tensors, an optional one that is not there."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        blended = torch.ops.tinted.blend(a, b, share=0.25)
        joined = torch.ops.trial.joined(blended, [a, torch.relu(b)])
        total, there = torch.ops.trial.pick(joined, None, joined.double())
        return torch.ops.tinted.blend(total, total), there + 1


def types_of(model: modelport.Model) -> dict[str, list[str]]:
    return {
        node.op_type: [f"{value.dtype.name}[{len(value.shape)}]" for value in node.outputs]
        for node in model.ir.graph
    }


@pytest.mark.parametrize("capture", ["dynamo", "trace", "script"])
def test_nodes_and_their_types(
    capture: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = Everything()
    model = modelport.export(
        network,
        (torch.randn(3, 4), torch.randn(3, 4)),
        input_names=["a", "b"],
        output_names=["y", "there"],
        dynamic={"a": {0: "n"}, "b": {0: "n"}},
        capture=capture,
    )
    assert not model.findings
    assert "shape inference" not in capfd.readouterr().err
    types = types_of(model)
    assert types["blend"] == ["FLOAT[1]"]
    assert types["joined"] == ["FLOAT[1]"]
    assert types["pick"] == ["FLOAT[1]", "INT32[1]"]
    assert {"trial", "tinted"} <= set(model.ir.opset_imports)
    path = model.save(tmp_path / "exported.onnx")
    engine = open_graph(onnx.load(path), tmp_path, ["tinted", "trial"])
    a, b = torch.randn(5, 4), torch.randn(5, 4)
    outputs = engine.run({"a": a.numpy(), "b": b.numpy()})
    wanted = network(a, b)
    np.testing.assert_allclose(outputs["y"], wanted[0].numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs["there"], wanted[1].numpy())


def traced(network: torch.nn.Module, **options: Any) -> modelport.Model:
    return modelport.export(
        network, (torch.ones(3, 4),), input_names=["x"], capture="trace", probes=False, **options
    )


def test_sizes_known_to_the_rule_are_in_a_traced_graph() -> None:
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(torch.ops.trial.marked(x))

    fixed = next(iter(traced(Network()).ir.graph))
    assert list(fixed.outputs[0].shape) == [3, 4]
    dynamic = next(iter(traced(Network(), dynamic={"x": [0]}).ir.graph))
    assert dynamic.outputs[0].shape[1] == 4
    assert not isinstance(dynamic.outputs[0].shape[0], int)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (lambda x, *, factor: x.like([x.shape[0] + 1, x.shape[1] * 2]), [None, 8]),
        # It asks for the size that is not known: the rank is all that is sure.
        (lambda x, *, factor: x.like([min(x.shape[0], 2), x.shape[1]]), [None, None]),
        (lambda x, *, factor: x.like([2 if x.shape[0] == x.shape[1] else 3, 1]), [None, None]),
    ],
)
def test_no_size_is_made_up(trial: dict[str, Operator], rule: Any, wanted: list[Any]) -> None:
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.trial.marked(x).sum()

    marked = trial["marked"]
    declared = marked.shape_rule
    assert declared is not None
    model = None
    marked.kernels, kernels = {}, marked.kernels  # the rules are not those of the kernel
    try:
        marked.shapes(rule)
        model = traced(Network(), dynamic={"x": [0]})
    finally:
        marked.kernels = kernels
        marked.shapes(declared)
    node = next(node for node in model.ir.graph if node.op_type == "marked")
    shape = node.outputs[0].shape
    assert [dim if isinstance(dim, int) else None for dim in shape] == wanted


def test_body_for_each_set_of_attributes() -> None:
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.ops.trial.marked(x, factor=2.0) + torch.ops.trial.marked(x + 1, factor=2.0)
            return y + torch.ops.trial.marked(x) + torch.ops.trial.joined(x, [x])[:4]

    model = traced(Network())
    assert sorted(model.ir.functions) == [
        ("trial", "joined", ""),
        ("trial", "marked", ""),
        ("trial", "marked", "1"),
    ]
    nodes = [node.overload for node in model.ir.graph if node.op_type == "marked"]
    assert nodes == ["", "", "1"]


def test_decomposition_of_a_later_opset(trial: dict[str, Operator]) -> None:
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.trial.marked(x)

    marked = trial["marked"]
    marked.decomposition_since = 20
    try:
        model = traced(Network(), opset=18)
    finally:
        marked.decomposition_since = 18
    assert not model.ir.functions
    (finding,) = (item for item in model.findings if item.rule == "no-body")
    assert "needs opset 20, the graph has 18" in finding.message


def test_decomposition_that_fails(trial: dict[str, Operator]) -> None:
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.trial.marked(x)

    marked = trial["marked"]
    body = marked.decomposition
    marked.onnx(lambda op, x, *, factor: op.Add(x, undefined))  # type: ignore[name-defined] # noqa: F821
    try:
        with pytest.raises(modelport.ExportError, match="decomposition of trial::marked fails"):
            traced(Network())
    finally:
        marked.onnx(body)
