"""M7: a function of one's own in C++, packaged as an extension of PyTorch; a symbolic; a layer.

The example: my_add, 2a + b, and with other factors 3a + 2b -> Mul, Mul, Add with Constants.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir
import onnxruntime
import pytest
import torch

import modelport
from modelport.ops.scaffold import load_folder
from tests.conftest import RunCli

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_operator"


@pytest.fixture(scope="module")
def layer():
    """The example's module; its C++ function is there without an extension being installed."""
    load_folder(EXAMPLE)
    sys.path.insert(0, str(EXAMPLE))
    try:
        import layer

        yield layer
    finally:
        sys.path.remove(str(EXAMPLE))
        sys.modules.pop("layer", None)


def export(model: torch.nn.Module, capture: str) -> modelport.Model:
    return modelport.export(
        model,
        (torch.rand(2, 3), torch.rand(2, 3)),
        input_names=["a", "b"],
        output_names=["sum"],
        dynamic={"a": {0: "n"}, "b": {0: "n"}},
        capture=capture,
    )


def run(model: modelport.Model, a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """The graph in a session of ONNX Runtime alone."""
    content = onnx_ir.serde.serialize_model(model.ir).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"a": a.numpy(), "b": b.numpy()})[0]


def test_the_c_plus_plus_function(layer) -> None:
    a, b = torch.rand(4, 5), torch.rand(4, 5)
    torch.testing.assert_close(torch.ops.my_lib.my_add(a, b), 2 * a + b)
    torch.testing.assert_close(layer.AddLayer(layer.WeightedAdd)(a, b), 3 * a + 2 * b)


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
@pytest.mark.parametrize(
    ("name", "factors", "nodes"),
    [
        ("MyAdd", (2, 1), {"Mul": 1, "Add": 1}),
        ("WeightedAdd", (3, 2), {"Mul": 2, "Add": 1}),
    ],
)
def test_its_nodes_are_the_standards(layer, capture: str, name: str, factors, nodes) -> None:
    model = export(layer.AddLayer(getattr(layer, name)), capture)
    made = Counter(node.op_type for node in model.ir.graph if node.op_type != "Constant")
    assert made == nodes
    assert {node.domain for node in model.ir.graph} == {""}
    a, b = torch.rand(7, 3), torch.rand(7, 3)
    expected = factors[0] * a + factors[1] * b
    np.testing.assert_allclose(run(model, a, b), expected.numpy(), rtol=1e-6)


def test_a_symbolic_that_says_something_else_is_found(layer) -> None:
    class Wrong(layer.WeightedAdd):
        @staticmethod
        def symbolic(g, a, b):
            three = g.op("Constant", value_t=torch.tensor(3.0))
            return g.op("Add", g.op("Mul", a, three), g.op("Mul", b, three))

    with pytest.raises(modelport.ExportError, match="not the same model"):
        export(layer.AddLayer(Wrong), "dynamo")


PROGRAM = """
import numpy, torch, my_lib_ops, modelport
from layer import AddLayer, WeightedAdd

a, b = torch.rand(2, 3), torch.rand(2, 3)
torch.testing.assert_close(my_lib_ops.my_add(a, b), 2 * a + b)
model = modelport.export(AddLayer(WeightedAdd), (a, b), input_names=["a", "b"])
made = sorted(node.op_type for node in model.ir.graph if node.op_type != "Constant")
assert made == ["Add", "Mul", "Mul"], made
(actual,) = modelport.load(model.save("sum.onnx")).run({"a": a.numpy(), "b": b.numpy()}).values()
numpy.testing.assert_allclose(actual, (3 * a + 2 * b).numpy(), rtol=1e-6)
"""


@pytest.mark.slow
def test_packaged_as_an_extension(cli: RunCli, tmp_path: Path) -> None:
    built = cli("ops", "build", EXAMPLE, "--extension", "-o", tmp_path / "out")
    assert built.code == 0, built.err
    package, target = tmp_path / "out" / "my_lib_extension", tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"]
    subprocess.run([*install, "--no-deps", "--target", target, package], check=True)
    paths = [str(target), str(EXAMPLE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, env=environment, cwd=tmp_path)
