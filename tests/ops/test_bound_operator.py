"""Operators that PyTorch has get nodes and kernels. The kernels are those of `trial`'s files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import modelport
from modelport import OperatorError, bind_operator
from tests.operators.graphs import open_graph

KERNEL = """#include <modelport/kernel.h>

void times(Context&, In<float> x, Out<float> output, int64_t count, double more) {
  float* to = output.alloc(x.shape());
  const float by = static_cast<float>(count), plus = static_cast<float>(more);
  for (int64_t i = 0; i < x.size(); ++i) to[i] = x[i] * by + plus;
}
"""
HERE = Path(__file__).parent

LIBRARY = torch.library.Library("there_before", "FRAGMENT")
LIBRARY.define("times(Tensor x, int count, *, float more=0.5) -> Tensor")
LIBRARY.impl("times", lambda x, count, more=0.5: x * count + more, "CPU")
LIBRARY.define("split(Tensor x, int[] sizes) -> Tensor[]")
LIBRARY.define("odd(Tensor x, Device d) -> Tensor")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bound") / "kernel.cpp"
    path.write_text(KERNEL)
    return str(path)


class Network(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.ops.there_before.times(x, 3))


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_attribute_that_the_node_takes_as_input(capture: str, kernel: str, tmp_path: Path) -> None:
    bound = bind_operator(
        "there_before::times", onnx="bound::times", kernels=[kernel], inputs={0: "count"}
    )
    bound.shapes(lambda x, *, count, more: x)
    assert bound.node_inputs == ("count", "x")
    x = torch.tensor([1.0, -2.0])
    # PyTorch's own operator is what runs in PyTorch.
    assert torch.equal(bound(x, 2, more=1.0), torch.tensor([3.0, -3.0]))
    model = modelport.export(
        Network(), (x,), input_names=["x"], output_names=["y"], dynamic={"x": [0]}, capture=capture
    )
    (node,) = (node for node in model.ir.graph if node.domain == "bound")
    assert [value.name for value in node.inputs][1] == "x"
    assert list(node.attributes) == ["more"]
    model.save(tmp_path / "exported.onnx")
    import onnx

    engine = open_graph(onnx.load(tmp_path / "exported.onnx"), tmp_path, ["bound"])
    x = torch.linspace(-2, 2, 7)
    np.testing.assert_allclose(
        engine.run({"x": x.numpy()})["y"], torch.relu(x * 3 + 0.5).numpy(), rtol=1e-6
    )


def test_function(kernel: str) -> None:
    calls = []

    def existing(x: Tensor, *, count: int, more: float = 0.0) -> Tensor:
        calls.append(count)
        return x * count + more

    bound = bind_operator(existing, onnx="bound_function::times", reference=existing)
    bound.shapes(lambda x, *, count, more: x)
    assert torch.equal(bound(torch.ones(2), count=4), torch.full((2,), 4.0))
    assert calls == [4]
    with pytest.raises(OperatorError, match="schema of bound_function::other is not known"):
        bind_operator(existing, onnx="bound_function::other")


def test_what_cannot_be_bound() -> None:
    with pytest.raises(OperatorError, match="PyTorch has no operator there_before::absent"):
        bind_operator("there_before::absent", onnx="bound::absent")
    with pytest.raises(OperatorError, match=r"gives List\[Tensor\]"):
        bind_operator("there_before::split", onnx="bound::split")
    with pytest.raises(OperatorError, match="the argument 'd' is a Device"):
        bind_operator("there_before::odd", onnx="bound::odd")
    with pytest.raises(OperatorError, match="has the overloads"):
        bind_operator(torch.ops.aten.add, onnx="bound::add")
    with pytest.raises(OperatorError, match="'width' cannot be an input of the node"):
        bind_operator("there_before::times", onnx="bound::other", inputs={0: "width"})
    with pytest.raises(OperatorError, match="has no input 5 for 'count'"):
        bind_operator("there_before::times", onnx="bound::other", inputs={5: "count"})
