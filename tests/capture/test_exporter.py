from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modelport
from modelport import Dim, ExportError, Model, Severity, UsageError
from modelport.arrays import to_numpy
from tests.support import Block, onnx_text

DYNAMIC = {"x": {0: "batch", 2: Dim("height", 4, 64), 3: "width"}}
EXAMPLE = torch.randn(2, 3, 8, 10, generator=torch.Generator().manual_seed(0))


def ran(model: Model, folder: Path, **inputs: Any) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    return modelport.load(model.save(folder / "model.onnx")).run(arrays)


def rules(model: Model) -> set[str]:
    return {finding.rule for finding in model.findings}


@pytest.fixture(scope="module")
def by_dynamo() -> Model:
    return modelport.export(
        Block(), EXAMPLE, input_names=["x"], output_names=["y"], dynamic=DYNAMIC, capture="dynamo"
    )


@pytest.mark.parametrize("capture", ["dynamo", "trace", "script"])
def test_graph_computes_the_model_at_other_sizes(
    capture: str, by_dynamo: Model, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"output_names": ["y"], "dynamic": DYNAMIC, "capture": capture}
    model = by_dynamo if capture == "dynamo" else modelport.export(Block(), EXAMPLE, **options)
    assert model.provenance["capture"]["strategy"] == capture
    for shape in ((1, 3, 4, 4), (3, 3, 17, 5), (2, 3, 64, 31)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        with torch.no_grad():
            wanted = Block()(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(ran(model, tmp_path, x=x)["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("capture", ["dynamo", "trace", "script"])
def test_names_and_ranges_are_those_asked_for(capture: str, by_dynamo: Model) -> None:
    options: dict[str, Any] = {"input_names": ["picture"], "output_names": ["result"]}
    dynamic = {"picture": DYNAMIC["x"]}
    model = modelport.export(Block(), EXAMPLE, dynamic=dynamic, capture=capture, **options)
    (given,), (result,) = model.signature.inputs, model.signature.outputs
    assert (given.name, given.dtype) == ("picture", "float32")
    assert given.shape == ("batch", 3, "height", "width")
    assert result.name == "result"
    assert model.dims["height"] == Dim("height", 4, 64)
    assert model.dims["batch"].max is None


def test_fixed_dimensions_stay_fixed(tmp_path: Path) -> None:
    model = modelport.export(Block(), EXAMPLE, capture="trace")
    assert model.signature.inputs[0].shape == (2, 3, 8, 10)
    with pytest.raises(modelport.RunError, match="axis 2 is 9, not 8"):
        ran(model, tmp_path, x=np.zeros((2, 3, 9, 10), np.float32))


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_opset_is_the_lowest_by_default_and_the_one_asked_for(
    capture: str, by_dynamo: Model
) -> None:
    default = (
        by_dynamo if capture == "dynamo" else modelport.export(Block(), EXAMPLE, capture=capture)
    )
    assert default.opset == default.provenance["opset"] == 18
    asked = modelport.export(Block(), EXAMPLE, opset=19, capture=capture)
    assert asked.opset == asked.provenance["opset"] == 19


class Applied(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return self.function(x, y)


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_outputs_that_are_inputs_weights_or_equal(capture: str, tmp_path: Path) -> None:
    def returned(x: torch.Tensor, y: torch.Tensor) -> Any:
        z = x + y
        return x, z, z, y, x

    x, y = torch.randn(2, 3), torch.randn(2, 3)
    for names in (None, ["a", "b", "c", "d", "e"]):
        model = modelport.export(Applied(returned), (x, y), capture=capture, output_names=names)
        outputs = [spec.name for spec in model.signature.outputs]
        assert len({*outputs, "x", "y"}) == 7
        assert names is None or outputs == names
        came = ran(model, tmp_path, x=x, y=y)
        for name, wanted in zip(outputs, returned(x, y), strict=True):
            np.testing.assert_array_equal(came[name], wanted.numpy())


def test_an_output_with_the_name_of_an_input_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'x' is the name of an input and of an output"):
        modelport.export(Block(), EXAMPLE, output_names=["x"])


def test_sizes_that_broadcast_in_the_example_stay_apart(tmp_path: Path) -> None:
    dynamic = {"x": {0: "n"}, "y": {0: "m"}}
    args = (torch.randn(1, 4), torch.randn(2, 4))
    model = modelport.export(Applied(torch.add), args, dynamic=dynamic, capture="dynamo")
    assert [spec.shape for spec in model.signature.inputs] == [("n", 4), ("m", 4)]
    for n, m in ((1, 5), (3, 1), (3, 3)):
        x, y = torch.randn(n, 4), torch.randn(m, 4)
        (came,) = ran(model, tmp_path, x=x, y=y).values()
        np.testing.assert_array_equal(came, (x + y).numpy())


def test_a_graph_that_needs_sizes_equal_which_broadcast_is_refused(tmp_path: Path) -> None:
    def by_size(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        total = x + y
        return total * torch.arange(x.shape[0]).sum() + y.shape[0]

    dynamic = {"x": {0: "n"}, "y": {0: "m"}}
    args = (torch.randn(1, 4), torch.randn(2, 4))
    with pytest.raises(ExportError, match="differs"):
        modelport.export(Applied(by_size), args, dynamic=dynamic, capture="dynamo")
    model = modelport.export(Applied(by_size), args, dynamic=dynamic)
    assert model.provenance["capture"]["strategy"] == "trace"
    x, y = torch.randn(1, 4), torch.randn(5, 4)
    (came,) = ran(model, tmp_path, x=x, y=y).values()
    np.testing.assert_allclose(came, by_size(x, y).numpy(), rtol=1e-5)


class Narrow(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.float()).to(torch.bfloat16)


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_bfloat16_is_exported_and_proven(capture: str, tmp_path: Path) -> None:
    net = Narrow()
    x = torch.randn(4, 3).to(torch.bfloat16)
    model = modelport.export(net, x, dynamic={"x": {0: "n"}}, capture=capture)
    assert model.signature.inputs[0].dtype == model.signature.outputs[0].dtype == "bfloat16"
    assert model.provenance["probes"]["run"] > 5
    (came,) = ran(model, tmp_path, x=to_numpy(x)).values()
    with torch.no_grad():
        np.testing.assert_array_equal(came, to_numpy(net(x)))


def test_bfloat16_arithmetic_without_a_kernel_is_an_error_that_says_so() -> None:
    x = torch.randn(4, 3).to(torch.bfloat16)
    with pytest.raises(ExportError, match=r"no-kernel.*Add") as caught:
        modelport.export(Applied(torch.add), (x, x), capture="dynamo")
    assert "float32" in str(caught.value)


class Ordered(torch.nn.Module):
    def forward(self, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return rows * weight + bias


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_keywords_in_another_order_than_the_parameters(capture: str, tmp_path: Path) -> None:
    model = modelport.export(
        Ordered(),
        torch.randn(3, 4),
        kwargs={"bias": torch.randn(4), "weight": torch.randn(3, 4)},
        dynamic={"rows": {0: "n"}, "weight": {0: "n"}},
        capture=capture,
    )
    rows, weight, bias = torch.randn(5, 4), torch.randn(5, 4), torch.randn(4)
    (came,) = ran(model, tmp_path, rows=rows, weight=weight, bias=bias).values()
    np.testing.assert_allclose(came, (rows * weight + bias).numpy(), rtol=1e-5)


def test_opset_is_raised_where_an_operator_needs_it(tmp_path: Path) -> None:
    class Grid(torch.nn.Module):
        def forward(self, theta: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.affine_grid(theta, [2, 3, 4, 5], align_corners=False)

    # AffineGrid came with opset 20.
    theta = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0))
    model = modelport.export(Grid(), theta, capture="trace")
    assert model.opset == model.provenance["opset"] == 20
    (came,) = ran(model, tmp_path, theta=theta).values()
    np.testing.assert_allclose(came, Grid()(theta).numpy(), rtol=1e-4, atol=1e-5)


def test_first_choice_of_auto_is_dynamo() -> None:
    model = modelport.export(torch.nn.ReLU(), torch.ones(2, 3))
    assert model.provenance["capture"] == {
        "strategy": "dynamo",
        "reason": "the first choice of auto",
    }


def test_auto_names_its_fallback_and_why(tmp_path: Path) -> None:
    class Careful(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # torch.export refuses to branch on a value; nothing of it belongs to the graph.
            if x.isnan().any():
                raise ValueError("not a number")
            return torch.relu(x) + 1

    model = modelport.export(Careful(), torch.ones(2, 3))
    capture = model.provenance["capture"]
    assert capture["strategy"] == "trace"
    assert "dynamo failed" in capture["reason"]
    (came,) = ran(model, tmp_path, x=np.full((2, 3), -1.0, np.float32)).values()
    np.testing.assert_array_equal(came, np.ones((2, 3)))


def test_model_that_nothing_captures_says_why() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("broken on purpose")

    with pytest.raises(ExportError, match=r"captured by none|captured neither") as caught:
        modelport.export(Broken(), torch.ones(2))
    assert "broken on purpose" in str(caught.value)
    assert caught.value.__cause__ is not None
    with pytest.raises(ExportError, match=r"by trace failed.*broken on purpose") as caught:
        modelport.export(Broken(), torch.ones(2), capture="trace")
    assert f"{__file__}:" in str(caught.value.where)


def test_program_file_is_a_source(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(Block(), (EXAMPLE,), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "block.pt2")
    from_file = modelport.export(tmp_path / "block.pt2", output_names=["y"])
    assert from_file.provenance["capture"]["strategy"] == "dynamo"
    with torch.no_grad():
        wanted = Block()(EXAMPLE).numpy()
    for model in (from_file, modelport.export(program, EXAMPLE, output_names=["y"])):
        came = ran(model, tmp_path, x=EXAMPLE)["y"]
        np.testing.assert_allclose(came, wanted, rtol=1e-4, atol=1e-5)


class Weighted(torch.nn.Module):
    def forward(self, rows: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor) -> Any:
        return rows * weight + bias


def weighted_program() -> torch.export.ExportedProgram:
    batch, width = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("width", max=512)
    return torch.export.export(
        Weighted(),
        (torch.randn(3, 4),),
        {"weight": torch.randn(3, 4), "bias": torch.randn(4)},
        dynamic_shapes={
            "rows": {0: batch, 1: width},
            "weight": {0: batch, 1: width},
            "bias": {0: width},
        },
    )


def test_a_program_keeps_the_names_and_ranges_of_its_dimensions() -> None:
    signature = modelport.export(weighted_program()).signature
    assert [spec.shape for spec in signature.inputs] == [
        ("batch", "width"),
        ("batch", "width"),
        ("width",),
    ]
    assert signature.outputs[0].shape == ("batch", "width")
    assert dict(signature.dims) == {
        "batch": modelport.Dim("batch", 2, 64),
        "width": modelport.Dim("width", 1, 512),
    }


def test_a_program_from_a_file_keeps_the_ranges_and_has_names_of_places(tmp_path: Path) -> None:
    # torch.export.save drops the names.
    torch.export.save(weighted_program(), tmp_path / "weighted.pt2")
    signature = modelport.export(tmp_path / "weighted.pt2").signature
    assert [spec.shape for spec in signature.inputs] == [
        ("rows_0", "rows_1"),
        ("rows_0", "rows_1"),
        ("rows_1",),
    ]
    assert signature.dims["rows_0"] == modelport.Dim("rows_0", 2, 64)
    assert signature.dims["rows_1"].max == 512


def test_declared_dimensions_name_and_narrow_those_of_a_program() -> None:
    model = modelport.export(
        weighted_program(), dynamic={"weight": {0: modelport.Dim("n", max=16), 1: "w"}}
    )
    assert [spec.shape for spec in model.signature.inputs] == [("n", "w"), ("n", "w"), ("w",)]
    assert model.signature.dims["n"] == modelport.Dim("n", 2, 16)
    assert model.signature.dims["w"] == modelport.Dim("w", 1, 512)
    assert not [finding for finding in model.findings if finding.rule == "dynamic-dims-equal"]


def test_keywords_of_a_program_may_come_in_any_order(tmp_path: Path) -> None:
    rows, weight, bias = torch.randn(5, 4), torch.randn(5, 4), torch.randn(4)
    model = modelport.export(weighted_program(), rows, kwargs={"bias": bias, "weight": weight})
    (came,) = ran(model, tmp_path, rows=rows, weight=weight, bias=bias).values()
    np.testing.assert_allclose(came, (rows * weight + bias).numpy(), rtol=1e-5)


def test_inputs_of_another_structure_than_a_programs_are_told() -> None:
    class Summed(torch.nn.Module):
        def forward(self, parts: list[torch.Tensor]) -> torch.Tensor:
            return parts[0] + parts[1]

    program = torch.export.export(Summed(), ([torch.ones(2), torch.ones(2)],))
    with pytest.raises(UsageError, match="takes 2 inputs, and 3 are given"):
        modelport.export(program, ([torch.ones(2)] * 3,))


@pytest.mark.parametrize("content", [b"", b"no program", None])
def test_unreadable_program_file_is_a_usage_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "block.pt2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"block\.pt2"):
        modelport.export(path)


def test_onnx_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", "g (float[N] x) => (float[N] y) { y = Relu(x) }")
    model = modelport.export(path)
    assert model.signature.inputs[0].shape == ("N",)
    assert model.provenance["capture"]["strategy"] == "none"
    with pytest.raises(UsageError, match="opset cannot be given"):
        modelport.export(path, opset=20)


def test_training_modes_come_back_and_dropout_is_off(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Dropout(0.9), torch.nn.Linear(3, 2))
    net.train()
    net[1].eval()
    modes = [module.training for module in net.modules()]
    model = modelport.export(net, torch.ones(1, 3), capture="trace")
    assert [module.training for module in net.modules()] == modes
    with torch.no_grad():
        wanted = net[1](torch.ones(1, 3)).numpy()
    (came,) = ran(model, tmp_path, input=np.ones((1, 3), np.float32)).values()
    np.testing.assert_allclose(came, wanted, rtol=1e-5)


def test_training_modes_come_back_after_a_failure() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError

    net = Broken().train()
    with pytest.raises(ExportError):
        modelport.export(net, torch.ones(2), capture="trace")
    assert net.training


def test_input_that_vanished_is_told() -> None:
    class Unused(torch.nn.Module):
        def forward(self, x: torch.Tensor, ghost: torch.Tensor) -> torch.Tensor:
            return torch.relu(x)

    model = modelport.export(Unused(), (torch.ones(2), torch.ones(2)), capture="trace")
    assert [spec.name for spec in model.signature.inputs if spec.name == "x"] == ["x"]
    assert any("ghost" in f"{finding.where} {finding.message}" for finding in model.findings)


class Baked(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float(x.sum())


def test_value_that_tracing_bakes_in_is_told_or_refused() -> None:
    try:
        model = modelport.export(Baked(), torch.rand(3, 4), capture="trace")
    except ExportError as error:
        message = str(error)
    else:
        assert any(finding.severity is not Severity.NOTE for finding in model.findings)
        message = " ".join(map(str, model.findings))
    assert Path(__file__).name in message


def test_dynamic_dimension_that_came_out_fixed_is_told_or_refused() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(int(x.shape[0]), 6) + torch.zeros(2, 6)

    options: dict[str, Any] = {"dynamic": {"x": {0: "batch"}}, "capture": "dynamo"}
    with pytest.raises(ExportError):
        modelport.export(Fixed(), torch.ones(2, 6), **options)


def test_several_inputs_outputs_and_keywords(tmp_path: Path) -> None:
    class Several(torch.nn.Module):
        def forward(
            self, a: torch.Tensor, pair: dict[str, torch.Tensor], *, c: torch.Tensor
        ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            return a + pair["b"], {"c": c * 2}

    a, b, c = torch.ones(2, 3), torch.ones(2, 3) * 2, torch.arange(4)
    model = modelport.export(Several(), (a, {"b": b}), kwargs={"c": c}, output_names=["s", "d"])
    assert [spec.name for spec in model.signature.inputs] == ["a", "pair_b", "c"]
    came = ran(model, tmp_path, a=a, pair_b=b, c=c)
    assert came["s"].tolist() == [[3.0] * 3] * 2
    assert came["d"].tolist() == [0, 2, 4, 6]


def test_contradicting_arguments_are_usage_errors() -> None:
    recipe = modelport.Recipe(Block(), (EXAMPLE,))
    with pytest.raises(UsageError, match="beside a recipe"):
        modelport.export(recipe, EXAMPLE)
    with pytest.raises(UsageError, match="dynamic and dynamic_axes"):
        modelport.export(Block(), EXAMPLE, dynamic=DYNAMIC, dynamic_axes=DYNAMIC)
    with pytest.raises(UsageError, match="unknown capture"):
        modelport.export(Block(), EXAMPLE, capture="guess")
    with pytest.raises(UsageError, match="2 input names for 1 tensor"):
        modelport.export(Block(), EXAMPLE, input_names=["a", "b"])
    with pytest.raises(UsageError, match="do not fit"):
        modelport.export(Block())


def test_options_go_before_the_recipes() -> None:
    recipe = modelport.Recipe(Block(), (EXAMPLE,), opset=18, capture="dynamo")
    model = modelport.export(recipe, opset=19, capture="trace")
    assert (model.opset, model.provenance["capture"]["strategy"]) == (19, "trace")


def test_provenance_has_versions() -> None:
    model = modelport.export(torch.nn.ReLU(), torch.ones(2), capture="trace")
    assert model.provenance["source"] == "ReLU"
    assert model.provenance["versions"]["torch"] == torch.__version__
    assert model.provenance["versions"]["modelport"] == modelport.__version__


class Folded(torch.nn.Module):
    """Runs a recurrence in a Python loop over a dimension."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros_like(x[:, 0])
        for index in range(x.shape[1]):
            state = 0.5 * state + x[:, index]
        return state


def test_dimension_that_torch_fixed_is_named() -> None:
    recipe = modelport.Recipe(
        Folded(), (torch.rand(2, 5, 3),), dynamic={"x": {1: "length"}}, capture="dynamo"
    )
    with pytest.raises(ExportError, match=r"static shape of 5 for dimension inputs\['x'\]"):
        modelport.export(recipe)
