"""M15: the rules of thumb for exports that engines like.

int() around sizes, scale_factor not size, -1 only on the batch, dynamic axes only where wanted.
The example: ``x.view(x.size(0), -1)`` both ways, Upsample both ways.
"""

import functools
import linecache
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport import Severity
from tests.conftest import RunCli

HYGIENE = {"batch-baked", "resize-by-size", "shape-chain"}
PIXELS = {0: "batch", 2: modelport.Dim("height", 4, 64), 3: modelport.Dim("width", 4, 64)}
AXES = {"static": None, "batch": {0: "batch"}, "pixels": PIXELS, "channels": {1: "channels"}}
CAPTURES = ("dynamo", "trace")


class Convolved(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(1, 2, 3)


class BatchThenRest(Convolved):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x.view(x.size(0), -1)  # batch-baked, shape-chain


class RestThenBatch(Convolved):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x.view(-1, int(x.numel() // x.size(0)))


class RestWithoutInt(Convolved):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x.view(-1, x.numel() // x.size(0))  # shape-chain


class UpsampleBySize(Convolved):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        size = (x.size(2) * 2, x.size(3) * 2)  # shape-chain
        return torch.nn.Upsample(size=size)(x)  # resize-by-size


class UpsampleByScale(Convolved):
    def __init__(self) -> None:
        super().__init__()
        self.upsample = torch.nn.Upsample(scale_factor=2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.upsample(self.conv(x))


class UpsampleByIntSize(Convolved):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        size = (int(x.size(2)) * 2, int(x.size(3)) * 2)
        return torch.nn.Upsample(size=size)(x)  # resize-by-size


@functools.cache
def export(network: type, capture: str, axes: str) -> modelport.Model:
    return modelport.export(
        network().eval(),
        (torch.randn(2, 1, 8, 8),),
        input_names=["x"],
        output_names=["y"],
        dynamic={"x": AXES[axes]},
        capture=capture,
    )


def operators(model: modelport.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.ir.graph.all_nodes())


def notes(model: modelport.Model) -> set[str]:
    found = [finding for finding in model.findings if finding.rule in HYGIENE]
    assert all(finding.severity is Severity.NOTE and finding.fix for finding in found)
    for finding in found:
        # Each is at a line of this file that names it.
        file, _, line = finding.where.rpartition(":")
        assert file == __file__, finding
        assert finding.rule in linecache.getline(file, int(line)) or "Shape gives" in str(finding)
    return {finding.rule for finding in found}


def assert_same(model: modelport.Model, network: torch.nn.Module, *shapes: tuple, at: Path) -> None:
    engine = modelport.load(model.save(at / "model.onnx"))
    for shape in shapes:
        x = torch.randn(shape)
        with torch.no_grad():
            expected = network(x).numpy()
        np.testing.assert_allclose(engine.run({"x": x.numpy()})["y"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "axes", "by_dynamo", "by_trace"),
    [
        (BatchThenRest, "static", {"batch-baked"}, {"batch-baked"}),
        # The new exporter knows the sizes and applies the rule itself.
        (BatchThenRest, "batch", set(), {"shape-chain"}),
        (RestThenBatch, "static", set(), set()),
        (RestThenBatch, "batch", set(), set()),
        (RestWithoutInt, "batch", set(), {"shape-chain"}),
        (UpsampleBySize, "static", {"resize-by-size"}, {"resize-by-size", "shape-chain"}),
        (UpsampleBySize, "batch", {"resize-by-size"}, {"resize-by-size", "shape-chain"}),
        (UpsampleByIntSize, "batch", {"resize-by-size"}, {"resize-by-size"}),
        (UpsampleByScale, "batch", set(), set()),
        (UpsampleByScale, "pixels", set(), set()),
        # Two sizes are to be found at run time: there is no better way to write it.
        (BatchThenRest, "pixels", set(), set()),
    ],
)
def test_noted_where_it_is_bad_and_only_there(
    network: type, axes: str, by_dynamo: set[str], by_trace: set[str]
) -> None:
    assert notes(export(network, "dynamo", axes)) == by_dynamo
    assert notes(export(network, "trace", axes)) == by_trace


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("network", [RestThenBatch, UpsampleByScale])
def test_the_good_form_has_no_shape_nodes(capture: str, network: type, tmp_path: Path) -> None:
    model = export(network, capture, "batch")
    made = operators(model)
    made.pop("Constant", None)
    assert made == {"Conv": 1, "Reshape" if network is RestThenBatch else "Resize": 1}
    assert_same(model, network(), (2, 1, 8, 8), (5, 1, 8, 8), (1, 1, 8, 8), at=tmp_path)


@pytest.mark.parametrize(
    ("network", "chain"),
    [
        (BatchThenRest, {"Shape": 1, "Gather": 1, "Unsqueeze": 1, "Concat": 1}),
        (UpsampleBySize, {"Shape": 3, "Gather": 2, "Mul": 2}),
    ],
)
def test_the_bad_form_has(network: type, chain: dict[str, int], tmp_path: Path) -> None:
    model = export(network, "trace", "batch")
    assert Counter(chain) <= operators(model)
    assert_same(model, network(), (2, 1, 8, 8), (5, 1, 8, 8), at=tmp_path)


def test_a_baked_batch_is_another_model_where_the_batch_is_dynamic(tmp_path: Path) -> None:
    class Baked(Convolved):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            return x.view(int(x.size(0)), -1)

    with pytest.raises(modelport.ExportError) as refused:
        export(Baked, "trace", "batch")
    (finding,) = [item for item in refused.value.findings if item.severity is Severity.ERROR]
    assert finding.rule == "value-baked"
    assert "int() is right around sizes that never change" in finding.fix
    assert "view(int(" in linecache.getline(__file__, int(finding.where.rpartition(":")[2]))


@pytest.mark.parametrize("capture", CAPTURES)
def test_an_axis_that_is_not_wanted_costs_nodes(capture: str) -> None:
    dynamic_axes = operators(export(UpsampleBySize, capture, "batch"))
    too_many = operators(export(UpsampleBySize, capture, "pixels"))
    assert too_many.total() >= dynamic_axes.total()
    if capture == "dynamo":
        assert (dynamic_axes["Shape"], too_many["Shape"]) == (1, 3)
    # By scale the sizes cost nothing, however many of them are dynamic.
    assert operators(export(UpsampleByScale, capture, "pixels"))["Shape"] == 0


@pytest.mark.parametrize("capture", CAPTURES)
def test_an_axis_that_cannot_change_is_noted(capture: str) -> None:
    model = export(UpsampleByScale, capture, "channels")
    (finding,) = [item for item in model.findings if item.rule == "dynamic-dim-unproven"]
    assert finding.where == "channels"


RECIPE = """
import torch
import modelport


class Head(torch.nn.Module):
    def forward(self, x):
        return x.view(x.size(0), -1)


def recipe():
    return modelport.Recipe(Head(), args=(torch.rand(2, 3, 4),), input_names=["x"])
"""


def test_from_the_command_line(tmp_path: Path, cli: RunCli) -> None:
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE)
    done = cli("diagnose", path)
    assert done.code == 0
    assert f"note: [batch-baked] at {path}:8:" in done.out
