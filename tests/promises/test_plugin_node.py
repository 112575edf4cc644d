"""M8: a node in a made-up domain exports, and then runs by the kernel that is tied to its name.

The example: Just_A_Scope_Name::DynamicTRTResize(x, scales), a bicubic resize by scales that are
chosen at run time.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import modelport
from modelport.backends.tensorrt.legalize.plugin_nodes import plug_in
from modelport.conformance import prove_plugins
from modelport.ops.build import BuildOptions
from modelport.ops.library import load
from tests.conftest import RunCli
from tests.isolation import restored

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin_node"
SCALES = torch.tensor([3.0, 3.0])


@pytest.fixture(scope="module")
def resize():
    # The kernel that it ties to a node of tutorials is of this module alone.
    with restored():
        sys.path.insert(0, str(EXAMPLE))
        import resize

        yield resize
        del sys.modules["resize"]


def unbound(domain: str) -> torch.nn.Module:
    """A model with such a node of a domain that nothing is tied to."""

    class Resize(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scales):
            return F.interpolate(x, scale_factor=tuple(scales.tolist()), mode="bicubic")

        @staticmethod
        def symbolic(g, x, scales):
            return g.op(f"{domain}::DynamicTRTResize", x, scales)

    class Model(torch.nn.Module):
        def forward(self, x, scales):
            return torch.relu(Resize.apply(x, scales))

    return Model()


@pytest.mark.parametrize(
    ("domain", "capture"), [("Nobody_Knows_It", "dynamo"), ("any_will_do", "trace")]
)
def test_any_domain_exports(domain: str, capture: str) -> None:
    model = modelport.export(
        unbound(domain),
        (torch.rand(1, 3, 6, 5), SCALES),
        input_names=["x", "scales"],
        output_names=["y"],
        dynamic={"x": {0: "batch", 2: "height", 3: "width"}},
        capture=capture,
    )
    first = model.ir.graph[0]
    assert (first.domain, first.op_type) == (domain, "DynamicTRTResize")
    assert model.ir.opset_imports[domain] == 1
    # Shape inference: type and rank are known, and what is not dynamic.
    (output,) = model.signature.outputs
    assert output.dtype == "float32"
    assert len(output.shape) == 4
    # The old exporter finds no more of an operator that it does not know than its rank.
    assert capture == "trace" or output.shape[1] == 3
    assert first.outputs[0].dtype is not None
    # Nothing can run it, and that is said.
    assert "not-probed" in {finding.rule for finding in model.findings}


@pytest.fixture(scope="module")
def deployed(resize, tmp_path_factory: pytest.TempPathFactory) -> modelport.Deployment:
    return modelport.deploy(resize.recipe(), tmp_path_factory.mktemp("m8") / "enlarger.port")


def test_it_runs_by_the_kernel_tied_to_its_name(deployed: modelport.Deployment, resize) -> None:
    graph = deployed.model.ir.graph
    assert [(node.domain, node.op_type) for node in graph] == [
        ("Just_A_Scope_Name", "DynamicTRTResize"),
        ("", "Conv"),
    ]
    assert not deployed.model.ir.functions, "there is no body: the kernel runs"
    torch.manual_seed(0)
    model = resize.Enlarger().eval()
    engine = modelport.load(deployed.path)
    for shape, scales in (((1, 3, 12, 10), (4.0, 4.0)), ((2, 3, 7, 9), (1.3, 2.5))):
        x, factors = torch.rand(shape), torch.tensor(scales)
        with torch.no_grad():
            expected = model(x, factors).numpy()
        actual = engine.run({"x": x.numpy(), "scales": factors.numpy()})["y"]
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_the_kernel_refuses_what_makes_no_sense(deployed: modelport.Deployment) -> None:
    engine = modelport.load(deployed.path)
    x = np.ones((1, 3, 4, 4), np.float32)
    with pytest.raises(modelport.RunError, match="must be above 0"):
        engine.run({"x": x, "scales": np.array([-1, 2], np.float32)})


def test_the_bundle_carries_its_kernel(deployed: modelport.Deployment, run_cli: RunCli) -> None:
    assert list(deployed.path.glob("operators/*/Just_A_Scope_Name.so"))
    done = run_cli("verify", deployed.path)
    assert done.code == 0, done.out + done.err


def test_it_is_a_tensorrt_plugin(resize, tensorrt_headers: Path) -> None:
    own = resize.bind()
    options = BuildOptions(cuda=True, capabilities=(86,))
    (found,) = prove_plugins([own], cases=10, options=options)
    assert found.ok, found.failures[0].detail
    assert found.counts()["plugin"] == (10, 0, 0)

    deployed = modelport.export(
        resize.Enlarger().eval(),
        (torch.rand(1, 3, 12, 10), SCALES),
        input_names=["x", "scales"],
        output_names=["y"],
        dynamic={"x": {0: "batch", 2: "height", 3: "width"}},
    )
    (finding,) = plug_in(deployed)
    assert "Just_A_Scope_Name::DynamicTRTResize" in finding.message
    node = deployed.ir.graph[0]
    assert node.op_type == "DynamicTRTResize"
    assert node.attributes["plugin_namespace"].as_string() == "Just_A_Scope_Name"


@pytest.mark.slow
def test_the_librarys_operator_is_a_tensorrt_plugin(
    tensorrt_headers: Path, cli: RunCli, tmp_path: Path
) -> None:
    folder = load()["dynamic_resize"].folder
    done = cli("ops", "test", folder, "--tensorrt", "--arch", 86, "--cases", 20, "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    ways = [check["ok"] for check in found["checks"] if check["way"] == "plugin"]
    assert ways == [True] * 20
