"""Indices of equal values agree where what they select does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

import modelport
from modelport import Model, ProofError, Recipe
from modelport.deployment.selected_values import judged_by_selection
from modelport.numerics import Case, ReferenceCase, Verification, tolerance_for, verify_cases

TIED = torch.tensor([[3, 3, 1, 1, 3, 0], [2, 2, 2, 2, 0, 0]])


class Sorted(nn.Module):
    """Indices alone, so that nothing else shows what they select."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sort(1, descending=True).indices


class Largest(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 2).topk(3, dim=1).indices


class Place(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(1).argmax(1)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32], ids=str)
@pytest.mark.parametrize("model", [Sorted(), Largest(), Place()], ids=lambda m: type(m).__name__)
def test_ties_of_the_example_are_not_refused(
    tmp_path: Path, model: nn.Module, dtype: torch.dtype
) -> None:
    x = TIED.to(dtype)
    recipe = Recipe(model, (x,), input_names=["x"], output_names=["y"])
    modelport.deploy(recipe, tmp_path / "m.port")
    (y,) = modelport.load(tmp_path / "m.port").run({"x": x.numpy()}).values()
    source = {"Place": np.flip(x.numpy(), 1)}.get(type(model).__name__, x.numpy())
    expected = np.atleast_2d(-np.sort(-source, 1)[:, : y.shape[1] if y.ndim > 1 else 1])
    indices = y if y.ndim > 1 else y[:, None]
    np.testing.assert_array_equal(np.take_along_axis(source, indices, 1), expected)


def selection(path: Path, kind: str, wrong: np.ndarray) -> Verification:
    """Results of indices beside those of NumPy's stable order, for the values of `TIED`."""
    x = TIED.numpy().astype(np.float32)
    k = onnx.numpy_helper.from_array(np.array([6], np.int64), "k")
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["squared"]),
        helper.make_node("TopK", ["squared", "k"], ["v", "y"], axis=1)
        if kind == "TopK"
        else helper.make_node("ArgMax", ["squared"], ["y"], axis=1, keepdims=0),
    ]
    x_info = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 6])
    y_info = helper.make_tensor_value_info("y", onnx.TensorProto.INT64, None)
    graph = helper.make_graph(nodes, "g", [x_info], [y_info], [k])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    right = np.argsort(-x, 1, kind="stable") if kind == "TopK" else np.argmax(x, 1)
    item = ReferenceCase(Case("example", {"x": x}, "here"), {"y": right})
    compared = verify_cases([item], lambda _: {"y": wrong})
    model = Model.load(path)
    return judged_by_selection(model, [item], compared, lambda _: {"y": wrong}, tolerance_for)


def test_only_indices_of_equal_values_agree(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    swapped = np.array([[4, 1, 0, 3, 2, 5], [3, 2, 1, 0, 5, 4]])
    assert selection(path, "TopK", swapped).ok
    assert selection(path, "ArgMax", np.array([4, 3])).ok
    twice = np.array([[0, 0, 1, 2, 3, 5], [0, 1, 2, 3, 4, 5]])
    assert not selection(path, "TopK", twice).ok
    ascending = np.array([[5, 2, 3, 0, 1, 4], [4, 5, 0, 1, 2, 3]])
    assert not selection(path, "TopK", ascending).ok
    assert not selection(path, "ArgMax", np.array([2, 3])).ok
    assert not selection(path, "ArgMax", np.array([6, 3])).ok


def test_wrong_order_is_still_refused(tmp_path: Path) -> None:
    class Frozen(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.topk(int(x.sum() > 0) + 1, dim=1).indices[:, :1] * 0 + int(x[0, 0])

    with pytest.raises((ProofError, modelport.ExportError)):
        modelport.deploy(Recipe(Frozen(), (TIED.float(),), capture="trace"), tmp_path / "m.port")
