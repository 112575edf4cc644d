"""M5: an ATen operator gets its ONNX mapping in one line, for this opset on.

The example: asinh -> Asinh, opset 9; allclose with PyTorch.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx_ir
import onnxruntime
import pytest
import torch

import modelport
from modelport.capture.symbolic import SymbolicRegistration


class Network(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.asinh(x) + 1


@pytest.fixture
def asinh() -> Iterator[SymbolicRegistration]:
    # Asinh is odd. PyTorch's own mapping makes no Neg.
    def odd(g, x):
        return g.op("Neg", g.op("Asinh", g.op("Neg", x)))

    registration = modelport.register_symbolic("aten::asinh", odd, opset=9)
    yield registration
    registration.remove()


def operators(model: modelport.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.ir.graph.all_nodes())


def run(model: modelport.Model, x: torch.Tensor) -> np.ndarray:
    """The graph in a session of ONNX Runtime alone."""
    content = onnx_ir.serde.serialize_model(model.ir).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return result


def export(capture: str, opset: int) -> modelport.Model:
    return modelport.export(
        Network(),
        (torch.randn(2, 3),),
        input_names=["x"],
        dynamic_axes={"x": [0]},
        capture=capture,
        opset=opset,
    )


@pytest.mark.parametrize(
    ("capture", "opset"),
    [("dynamo", 18), ("dynamo", 20), ("trace", 9), ("trace", 13), ("trace", 20), ("script", 9)],
)
def test_one_line(capture: str, opset: int) -> None:
    with modelport.register_symbolic("aten::asinh", lambda g, x: g.op("Asinh", x), opset=9):
        model = export(capture, opset)
    assert operators(model)["Asinh"] == 1
    assert model.opset == opset
    x = torch.linspace(-1e3, 1e3, 21).reshape(7, 3)
    np.testing.assert_allclose(run(model, x), Network()(x).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("asinh")
def test_it_is_the_line_that_makes_the_node() -> None:
    for capture in ("dynamo", "trace"):
        made = operators(export(capture, 18))
        assert (made["Neg"], made["Asinh"]) == (2, 1), capture


def test_before_its_opset_it_does_not_hold() -> None:
    with (
        modelport.register_symbolic("aten::asinh", lambda g, x: g.op("Asinh", x), opset=13),
        pytest.raises(modelport.ExportError, match="asinh"),
    ):
        export("trace", 12)


def test_gone_after_remove(asinh: SymbolicRegistration) -> None:
    asinh.remove()
    with pytest.raises(modelport.ExportError, match="operator 'aten::asinh' to ONNX"):
        export("trace", 18)
    # The new exporter has a mapping of its own, which holds again.
    assert operators(export("dynamo", 18)) == {"Asinh": 1, "Add": 1}
