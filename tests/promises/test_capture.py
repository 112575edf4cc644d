"""M3: the ways to capture a model, and what each keeps of it.

The examples: a Python loop, which unrolls in a trace and is a Loop in a script; one Conv with
static, batch-dynamic and height/width-dynamic shapes; a clip that is there only at export; code
that breaks a trace.
"""

import functools
import linecache
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch._higher_order_ops import scan, while_loop

import modelport
from modelport import Severity
from modelport.capture.rewriters import register_rewrite
from tests.conftest import RunCli


class Accumulate(torch.nn.Module):
    """Adds 0, 1, ..., n - 1."""

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        for i in range(n):
            x = x + i
        return x


class AccumulateWhile(torch.nn.Module):
    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        _, x = while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x + i), (torch.tensor(0), x))
        return x


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x - 1, (x,))


class RunningSum(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, sums = scan(lambda sum, row: (sum + row, sum + row), torch.zeros_like(x[0]), x)
        return sums


def operators(model: modelport.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.ir.graph.all_nodes())


def session(model: modelport.Model, folder: Path) -> onnxruntime.InferenceSession:
    path = model.save(folder / "model.onnx")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def assert_same(model: modelport.Model, network: torch.nn.Module, *inputs: tuple, at: Path) -> None:
    """The graph, in a session of ONNX Runtime alone, computes the outputs of PyTorch."""
    opened = session(model, at)
    names = [value.name for value in opened.get_inputs()]
    for arguments in inputs:
        with torch.no_grad():
            expected = network(*arguments).numpy()
        arrays = [np.asarray(value) for value in arguments]
        (result,) = opened.run(None, dict(zip(names, arrays, strict=True)))
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


# --- trace and script, loops and branches -----------------------------------------------------


def test_a_loop_unrolls_in_a_trace(tmp_path: Path) -> None:
    # The number is bound, so that it is a constant of the model and not an input.
    three = functools.partial(Accumulate(), n=3)

    class Three(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return three(x)

    model = modelport.export(Three(), (torch.ones(4),), capture="trace")
    assert operators(model)["Add"] == 2, "adding 0 is dropped"
    assert operators(model)["Loop"] == 0
    assert_same(model, Three(), (torch.randn(4),), at=tmp_path)


def test_a_trace_that_lost_its_number_is_refused() -> None:
    with pytest.raises(modelport.ExportError) as refused:
        modelport.export(Accumulate(), (torch.ones(4), 3), capture="trace")
    (error,) = [item for item in refused.value.findings if item.severity is Severity.ERROR]
    assert (error.rule, error.where) == ("input-vanished", "n")


def test_a_loop_is_a_loop_in_a_script(tmp_path: Path) -> None:
    model = modelport.export(
        Accumulate(), (torch.ones(4), 3), input_names=["x", "n"], capture="script"
    )
    assert operators(model)["Loop"] == 1
    assert_same(model, Accumulate(), *((torch.randn(4), n) for n in (0, 1, 3, 7)), at=tmp_path)


def test_auto_takes_the_one_that_computes_the_same_and_says_why() -> None:
    model = modelport.export(Accumulate(), (torch.ones(4), 3))
    capture = model.provenance["capture"]
    assert capture["strategy"] == "script"
    assert "capturing by dynamo failed" in capture["reason"]
    assert "what trace gave computes something else" in capture["reason"]


@pytest.mark.parametrize(
    ("network", "op_type", "inputs"),
    [
        (AccumulateWhile, "Loop", [(torch.randn(4), torch.tensor(n)) for n in (3, 0, 1, 7)]),
        (Branch, "If", [(torch.ones(4),), (-torch.ones(4),)]),
        (RunningSum, "Scan", [(torch.randn(3, 2),), (torch.randn(1, 2),), (torch.randn(9, 2),)]),
    ],
)
def test_control_flow_of_torch(
    network: type, op_type: str, inputs: list[tuple], tmp_path: Path
) -> None:
    model = modelport.export(
        network(),
        inputs[0],
        dynamic={"x": [0]} if network is RunningSum else None,
        capture="dynamo",
    )
    assert operators(model)[op_type] == 1
    assert_same(model, network(), *inputs, at=tmp_path)


def fading_sums(x: torch.Tensor) -> torch.Tensor:
    state, states = torch.zeros_like(x[:, 0]), []
    for column in range(x.shape[1]):
        state = 0.9 * state + x[:, column]
        states.append(state)
    return torch.stack(states, 1)


class Fading(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return fading_sums(x)


def fading_sums_by_scan(ctx: Any, x: torch.Tensor) -> torch.Tensor:
    def step(state: torch.Tensor, now: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        state = 0.9 * state + now
        return state, state.clone()

    return scan(step, torch.zeros_like(x[:, 0]), x, dim=1)[1]


def test_a_loop_over_a_dynamic_length_stays_one_by_a_rewrite(tmp_path: Path) -> None:
    recipe = modelport.Recipe(
        Fading(), (torch.randn(2, 6, 4),), dynamic={"x": {0: "batch", 1: "length"}}
    )
    (unrolled,) = (
        item
        for item in modelport.diagnose(recipe.with_options(capture="trace"))
        if item.rule == "loop-unrolled"
    )
    assert "torch._higher_order_ops.scan" in unrolled.fix
    with register_rewrite(f"{__name__}.fading_sums", fading_sums_by_scan, capture="dynamo"):
        model = modelport.export(recipe)
    assert operators(model)["Scan"] == 1
    inputs = [(torch.randn(*sizes, 4),) for sizes in ((2, 6), (1, 1), (3, 17))]
    assert_same(model, Fading(), *inputs, at=tmp_path)


# --- dynamic axes -----------------------------------------------------------------------------


CONV = torch.nn.Conv2d(3, 4, 3).eval()
PIXELS = {0: "batch", 2: "height", 3: "width"}


def export_conv(capture: str, **options: Any) -> modelport.Model:
    return modelport.export(
        CONV,
        (torch.randn(1, 3, 8, 8),),
        input_names=["image"],
        output_names=["features"],
        capture=capture,
        **options,
    )


@pytest.mark.parametrize("capture", ["dynamo", "trace", "script"])
@pytest.mark.parametrize(
    ("axes", "taken", "refused"),
    [
        (None, [(1, 3, 8, 8)], {(2, 3, 8, 8): "axis 0 is 2, not 1", (1, 3, 8, 9): "axis 3 is 9"}),
        ({0: "batch"}, [(1, 3, 8, 8), (5, 3, 8, 8)], {(5, 3, 9, 8): "axis 2 is 9, not 8"}),
        (
            {2: "height", 3: "width"},
            [(1, 3, 8, 8), (1, 3, 21, 34)],
            {(2, 3, 8, 8): "axis 0 is 2", (1, 3, 8): "rank 3", (1, 4, 8, 8): "axis 1 is 4"},
        ),
    ],
    ids=["static", "batch", "height-width"],
)
def test_a_conv_takes_and_refuses(
    capture: str, axes: dict | None, taken: list, refused: dict, tmp_path: Path
) -> None:
    model = export_conv(capture, dynamic_axes=None if axes is None else {"image": axes})
    engine = modelport.load(model.save(tmp_path / "conv.onnx"))
    for shape in taken:
        image = torch.randn(shape)
        with torch.no_grad():
            expected = CONV(image).numpy()
        result = engine.run({"image": image.numpy()})["features"]
        np.testing.assert_allclose(result, expected, atol=1e-5)
    for shape, why in refused.items():
        with pytest.raises(modelport.RunError) as error:
            engine.run({"image": np.zeros(shape, np.float32)})
        (spec,) = model.signature.inputs
        assert f"'image' has shape {list(shape)}, expected {spec}" in str(error.value)
        assert why in str(error.value)


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ({"dynamic_axes": {"image": [0, 2, 3]}}, ("image_0", 3, "image_2", "image_3")),
        ({"dynamic_axes": {"image": PIXELS}}, ("batch", 3, "height", "width")),
        (
            {"dynamic_axes": {"image": {-1: "width"}, "features": {-1: "w"}}},
            (1, 3, 8, "width"),
        ),
        ({"dynamic": {"image": [0]}}, ("image_0", 3, 8, 8)),
        ({"dynamic_shapes": ({0: torch.export.Dim("batch")},)}, ("batch", 3, 8, 8)),
    ],
    ids=["list", "dict", "negative", "dynamic", "dynamic_shapes"],
)
def test_every_form_of_dynamic_axes(capture: str, form: dict, shape: tuple) -> None:
    (spec,) = export_conv(capture, probes=False, **form).signature.inputs
    assert spec.shape == shape


def test_a_range_is_kept(tmp_path: Path) -> None:
    height = modelport.Dim("height", min=4, max=64)
    model = export_conv("trace", dynamic={"image": {2: height}})
    engine = modelport.load(model.save(tmp_path / "conv.onnx"))
    with pytest.raises(
        modelport.RunError, match=r"axis 2 is 65, outside the range height in 4\.\."
    ):
        engine.run({"image": np.zeros((1, 3, 65, 8), np.float32)})


# --- names, opset, weights ----------------------------------------------------------------------


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_names_opset_and_weights(capture: str, tmp_path: Path) -> None:
    model = export_conv(capture, opset_version=20)
    graph = onnx.load(model.save(tmp_path / "conv.onnx"))
    assert [value.name for value in graph.graph.input] == ["image"]
    assert [value.name for value in graph.graph.output] == ["features"]
    assert {item.domain: item.version for item in graph.opset_import}[""] == 20
    assert sorted(tuple(weight.dims) for weight in graph.graph.initializer) == [(4,), (4, 3, 3, 3)]


def test_the_lowest_opset_that_suffices() -> None:
    assert export_conv("trace").opset == 18


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_without_export_params_the_weights_are_inputs(capture: str, tmp_path: Path) -> None:
    model = export_conv(capture, export_params=False)
    assert not model.ir.graph.initializers
    opened = session(model, tmp_path)
    weights = {name.split(".")[-1]: value for name, value in CONV.state_dict().items()}
    image = torch.randn(1, 3, 8, 8)
    names = [value.name for value in opened.get_inputs()]
    assert len(names) == 3
    feeds = {
        name: image.numpy() if name == "image" else weights[name.split(".")[-1]].numpy()
        for name in names
    }
    with torch.no_grad():
        expected = CONV(image).numpy()
    np.testing.assert_allclose(opened.run(None, feeds)[0], expected, atol=1e-5)


# --- behaviour only at export -------------------------------------------------------------------


class Clipped(torch.nn.Module):
    def __init__(self, is_exporting: Any) -> None:
        super().__init__()
        self.is_exporting = is_exporting

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * 2
        return torch.clip(x, 0, 1) if self.is_exporting() else x


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
@pytest.mark.parametrize("is_exporting", [modelport.is_exporting, torch.onnx.is_in_onnx_export])
def test_a_clip_only_at_export(capture: str, is_exporting: Any, tmp_path: Path) -> None:
    network = Clipped(is_exporting)
    model = modelport.export(network, (torch.randn(5),), input_names=["x"], capture=capture)
    assert operators(model)["Clip"] == 1
    assert [item.rule for item in model.findings] == ["export-only-behaviour"]
    x = torch.tensor([-3.0, -0.1, 0.2, 0.5, 9.0])
    (result,) = session(model, tmp_path).run(None, {"x": x.numpy()})
    np.testing.assert_array_equal(result, np.clip(x.numpy() * 2, 0, 1))
    assert not modelport.is_exporting()
    assert torch.equal(network(x), x * 2), "in eager mode nothing is clipped"


# --- what breaks a trace ------------------------------------------------------------------------


class ByFirst(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x[0].item()


class Rebuilt(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.Tensor([i for i in x])  # noqa: C416


def source(finding: modelport.Finding) -> str:
    file, _, line = finding.where.rpartition(":")
    return linecache.getline(file, int(line)).partition("  #")[0].strip()


def test_a_value_that_a_trace_bakes_in_is_reported_with_its_line(tmp_path: Path) -> None:
    example = torch.tensor([2.0, 1.0, 3.0])
    findings = modelport.diagnose(modelport.Recipe(ByFirst(), args=(example,), capture="trace"))
    assert (findings[0].rule, findings[0].severity) == ("value-baked", Severity.ERROR)
    assert source(findings[0]) == "return x * x[0].item()"
    # The other exporter can do it.
    model = modelport.export(ByFirst(), (example,))
    assert model.provenance["capture"]["strategy"] == "dynamo"
    assert_same(model, ByFirst(), (torch.randn(3),), at=tmp_path)


@pytest.mark.parametrize("capture", ["trace", "dynamo", "auto"])
def test_a_tensor_built_of_a_list_of_elements_is_reported_with_its_line(capture: str) -> None:
    recipe = modelport.Recipe(Rebuilt(), args=(torch.tensor([2.0, 1.0, 3.0]),), capture=capture)
    findings = modelport.diagnose(recipe)
    assert findings[0].severity is Severity.ERROR
    assert findings[0].rule == ("not-captured" if capture == "dynamo" else "input-vanished")
    placed = [item for item in findings if item.where.startswith(__file__)]
    assert {source(item) for item in placed} == {"return torch.Tensor([i for i in x])"}
    if capture != "dynamo":
        assert {item.rule for item in placed} == {"loop-unrolled", "value-baked"}


RECIPE = """
import torch
import modelport


class ByFirst(torch.nn.Module):
    def forward(self, x):
        return x * x[0].item()


def recipe():
    return modelport.Recipe(ByFirst(), args=(torch.tensor([2.0, 1.0, 3.0]),))
"""


def test_from_the_command_line(tmp_path: Path, cli: RunCli) -> None:
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE)
    diagnosed = cli("diagnose", path, "--capture", "trace")
    assert diagnosed.code == 1
    assert f"error: [value-baked] at {path}:8:" in diagnosed.out
    exported = cli("export", path, "-o", tmp_path / "model.onnx")
    assert exported.code == 0
    assert "captured by dynamo" in exported.out


# --- Python numbers as inputs -------------------------------------------------------------------


class Scaled(torch.nn.Module):
    def forward(self, x: torch.Tensor, scale: float, n: int) -> torch.Tensor:
        return x * scale + n


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_numbers_are_tensors_of_rank_0(capture: str, tmp_path: Path) -> None:
    model = modelport.export(Scaled(), (torch.randn(4), 0.5, 3), capture=capture)
    shapes = {spec.name: (spec.dtype, spec.shape) for spec in model.signature.inputs}
    assert shapes == {"x": ("float32", (4,)), "scale": ("float32", ()), "n": ("int64", ())}
    noted = [item.where for item in model.findings if item.rule == "number-as-input"]
    assert noted == ["scale", "n"]
    opened = session(model, tmp_path)
    x = torch.randn(4)
    feeds = {"x": x.numpy(), "scale": np.float32(2.5), "n": np.int64(-4)}
    (result,) = opened.run(None, {name: np.asarray(value) for name, value in feeds.items()})
    np.testing.assert_allclose(result, Scaled()(x, 2.5, -4).numpy(), rtol=1e-6)
