"""M14: a plugin's class with forward and symbolic, its layer, the model, and the plugin's library.

The example: HSwish(x) = x * clip(x + 3, 0, 6) / 6 as tensorRT_Pro writes it: a node `Plugin` with
the name "HSwish", a bias and an info that are carried along unused; FooModel is
relu(input2 * hswish(input1)). It runs in ONNX Runtime; the C++/CUDA plugin (configuration, output
dimensions, enqueue) is built and goes through all that TensorRT asks of it, as far as there is a
GPU.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import modelport
from modelport.backends.tensorrt.legalize.plugin_nodes import plug_in
from modelport.ops.library import load
from modelport.passes import adopt
from tests.conftest import RunCli


class HSwishImpl(torch.autograd.Function):
    @staticmethod
    def symbolic(g: Any, x: Any, bias: Any) -> Any:
        info = json.dumps({"alpha": 3.5, "beta": 2.88})
        return g.op("Plugin", x, bias, name_s="HSwish", info_s=info)

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return x * (x + 3).clamp(0, 6) / 6


class MemoryEfficientHSwish(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return HSwishImpl.apply(x, self.bias)


class FooModel(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hswish = MemoryEfficientHSwish()

    def forward(self, input1: torch.Tensor, input2: torch.Tensor) -> torch.Tensor:
        return torch.relu(input2 * self.hswish(input1))


def expected(input1: np.ndarray, input2: np.ndarray) -> np.ndarray:
    x = input1.astype(np.float64)
    return np.maximum(input2 * (x * np.clip(x + 3, 0, 6) / 6), 0)


def recipe(capture: str) -> modelport.Recipe:
    return modelport.Recipe(
        FooModel(),
        args=(torch.randn(1, 3, 5, 5), torch.randn(1, 3, 5, 5)),
        input_names=["input1", "input2"],
        dynamic_axes={"input1": {0: "batch"}, "input2": {0: "batch"}},
        capture=capture,
    )


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_model_with_the_plugin_deploys_to_onnxruntime(capture: str, tmp_path: Path) -> None:
    deployed = modelport.deploy(recipe(capture), tmp_path / "foo.port")
    assert ("modelport", "hswish") in deployed.model.operators()
    assert "adopted-operator" in {finding.rule for finding in deployed.model.findings}

    engine = modelport.load(tmp_path / "foo.port")
    rng = np.random.default_rng(0)
    for batch in (1, 4):
        inputs = [rng.normal(0, 4, (batch, 3, 5, 5)).astype(np.float32) for _ in range(2)]
        (result,) = engine.run(dict(zip(["input1", "input2"], inputs, strict=True))).values()
        np.testing.assert_allclose(result, expected(*inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", pytest.param("fp16", marks=pytest.mark.slow)])
def test_model_with_the_plugin_deploys_to_tensorrt_for_rtx(precision: str, tmp_path: Path) -> None:
    """It takes no plugins: the operator is built of standard ones."""
    pytest.importorskip("tensorrt_rtx")
    target = modelport.Target.parse(f"tensorrt-rtx:{precision}:sm89")
    deployed = modelport.deploy(recipe("trace"), tmp_path / "foo.port", targets=[target])
    rules = {finding.rule for finding in deployed.model.findings}
    assert {"adopted-operator", "inlined-body"} <= rules
    assert deployed.verifications[target].ok
    bundle = tmp_path / "foo.port"
    (engine,) = bundle.glob("engines/*.engine")
    assert engine.stat().st_size > 0
    # The engine cannot run here: its graph of standard operators runs instead.
    (graph,) = bundle.glob("graphs/tensorrt-rtx*.onnx")
    assert {node.domain for node in onnx.load(graph).graph.node} == {""}
    assert not list(bundle.rglob("*.so"))


def plugin_file(path: Path, name: str) -> Path:
    """Result of the old exporter."""
    graph = helper.make_graph(
        [
            helper.make_node("Plugin", ["input1", "bias"], ["h"], info="{}"),
            helper.make_node("Mul", ["input2", "h"], ["m"]),
            helper.make_node("Relu", ["m"], ["output"]),
        ],
        "foo",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])
            for name in ("input1", "input2")
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor("bias", TensorProto.FLOAT, [1], [3.0])],
    )
    graph.node[0].attribute.append(helper.make_attribute("name", name))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def test_file_with_the_plugin_deploys(tmp_path: Path, cli: RunCli) -> None:
    path = plugin_file(tmp_path / "old.onnx", "HSwish")
    ran = cli("deploy", path, "-o", tmp_path / "old.port")
    assert ran.code == 0, ran.err
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0, 4, (3, 4)).astype(np.float32) for _ in range(2)]
    engine = modelport.load(tmp_path / "old.port")
    (result,) = engine.run(dict(zip(["input1", "input2"], inputs, strict=True))).values()
    np.testing.assert_allclose(result, expected(*inputs), rtol=1e-5, atol=1e-6)


def test_a_plugin_that_the_library_lacks_is_named(tmp_path: Path, cli: RunCli) -> None:
    path = plugin_file(tmp_path / "old.onnx", "DCNv9")
    ran = cli("deploy", path, "-o", tmp_path / "old.port")
    assert ran.code == 1
    assert "Plugin DCNv9 is not in the library of operators" in ran.err
    assert "HSwish" in ran.err
    assert not (tmp_path / "old.port").exists()


def test_the_plugin_is_built_and_does_what_tensorrt_asks(
    tensorrt_headers: Path, tmp_path: Path, cli: RunCli
) -> None:
    folder = load()["hswish"].folder
    built = cli("ops", "build", folder, "--tensorrt", "--arch", 86, "-o", tmp_path, "--json")
    assert built.code == 0, built.err
    (library,) = json.loads(built.out)
    assert Path(library["library"]).is_file()
    assert {kernel.split("(")[0] for kernel in library["kernels"]} == {"hswish"}
    tested = cli("ops", "test", folder, "--tensorrt", "--arch", 86, "--cases", 20, "--json")
    assert tested.code == 0, tested.err
    (found,) = json.loads(tested.out)
    ways = [check["ok"] for check in found["checks"] if check["way"] == "plugin"]
    assert ways == [True] * 20


def test_the_old_node_becomes_the_plugins_node(tmp_path: Path) -> None:
    model = modelport.Model.load(plugin_file(tmp_path / "old.onnx", "HSwish"))
    adopt(model)
    (finding,) = plug_in(model)
    assert "modelport::hswish" in finding.message
    node = model.ir.graph[0]
    assert (node.op_type, node.attributes["plugin_namespace"].as_string()) == (
        "hswish",
        "modelport",
    )
    assert [value.name for value in node.inputs if value] == ["input1"]
