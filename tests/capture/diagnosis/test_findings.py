"""Findings are true, placed in the user's source, and worth reading."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from torch import nn

import modelport
from modelport import Dim, ExportError, Finding, Severity

X = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
ROWS = {"x": {0: "n"}}


def findings(model: nn.Module, *args: torch.Tensor, **options: Any) -> list[Finding]:
    try:
        return modelport.export(model, args, **options).findings
    except ExportError as error:
        return list(error.findings)


def line_of(cls: type, text: str) -> str:
    """``file:line`` of the line of a class that has a text."""
    lines, first = inspect.getsourcelines(cls)
    (offset,) = (index for index, line in enumerate(lines) if text in line)
    return f"{__file__}:{first + offset}"


class Calls(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def branch(condition: Any) -> nn.Module:
    return Calls(lambda x: x * 2 if condition(x) else x - 1)


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: (x > 0).any(),
        lambda x: (x < 0).any(),
        lambda x: x.abs().sum() != 0,
        lambda x: x.min() != x.max(),
        lambda x: x.abs().max() < 100,
        lambda x: x.sum() < 1e3,
    ],
    ids=["no positive", "no negative", "all zeros", "all equal", "large", "large sum"],
)
def test_probe_takes_the_other_branch(condition: Any) -> None:
    (finding,) = findings(branch(condition), X, capture="trace")
    assert (finding.rule, finding.severity) == ("value-baked", Severity.ERROR)
    assert finding.where.startswith(f"{__file__}:")


@pytest.mark.parametrize("needed", [9, 8, 13, 32], ids=["square", "eights", "prime", "power"])
def test_probe_has_the_size_that_takes_the_other_branch(needed: int) -> None:
    model = Calls(lambda x: x * 2 if x.shape[0] == needed else x - 1)
    x = torch.randn(needed + 2 if needed != 13 else 12, 3)
    (finding,) = findings(model, x, dynamic=ROWS, capture="trace")
    assert (finding.rule, finding.severity) == ("value-baked", Severity.ERROR)


class DividesByDeviation(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[0] > 1
        x = x + 0.1
        return (x - x.mean()) / x.std()


class Ranks(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert x.shape[1] > 2
        values, indices = (x @ x.T @ x).topk(3)
        return values, indices


@pytest.mark.parametrize("model", [DividesByDeviation(), Ranks()], ids=["rounding", "ties"])
def test_ties_and_divided_roundings_prove_nothing(model: nn.Module) -> None:
    found = findings(model, X, capture="trace")
    assert {item.severity for item in found} <= {Severity.NOTE}


@pytest.mark.parametrize(
    "model",
    [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
    ],
    ids=["convolution", "block"],
)
def test_what_torch_assumes_for_its_kernels_is_no_finding(model: nn.Module) -> None:
    dynamic = {"input": {0: "batch", 2: "height", 3: "width"}}
    x = torch.randn(2, 3, 16, 16)
    assert findings(model.eval(), x, input_names=["input"], dynamic=dynamic) == []


def test_conversions_inside_of_torchs_modules_are_no_finding() -> None:
    # Some weights saturate a gate on huge inputs: ONNX Runtime's 0 for 1e-36 is then a difference.
    torch.manual_seed(0)
    model = nn.LSTM(6, 4, batch_first=True)
    x = torch.randn(2, 5, 6)
    found = findings(model, x, input_names=["x"], dynamic={"x": {1: "t"}}, capture="trace")
    assert "value-baked" not in {item.rule for item in found}, [str(i) for i in found]


class ComparesSizes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] <= 40:  # here
            return x * 2
        return x * 3


def test_guard_of_the_users_code_is_placed_there() -> None:
    (finding,) = findings(ComparesSizes(), X, dynamic=ROWS, capture="dynamo")
    assert (finding.rule, finding.severity) == ("branch-on-shape", Severity.ERROR)
    assert finding.where == line_of(ComparesSizes, "# here")
    (note,) = modelport.export(
        ComparesSizes(), X, dynamic=ROWS, capture="dynamo", probes=False
    ).findings
    assert (note.rule, note.severity) == ("branch-on-shape", Severity.NOTE)
    assert note.where == finding.where
    within = {"x": {0: Dim("n", max=40)}}
    assert findings(ComparesSizes(), X, dynamic=within, capture="dynamo") == []


def test_guard_that_a_probe_breaks_without_harm_is_dropped() -> None:
    model = Calls(lambda x: x * 2 if x.shape[0] <= 40 else x + x)
    assert findings(model, X, dynamic=ROWS, capture="dynamo") == []


WHOLE = int
"""Under its own name, modelport would keep what it gives a size."""


class HalvesSize(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[: WHOLE(x.shape[0] * 0.5)] + 1  # here


def test_size_that_became_a_number_is_told_from_a_comparison() -> None:
    (finding,) = findings(HalvesSize(), X, dynamic=ROWS, capture="dynamo")
    assert (finding.rule, finding.severity) == ("shape-baked", Severity.ERROR)
    assert finding.where == line_of(HalvesSize, "# here")


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_views_among_outputs_are_noted(capture: str) -> None:
    model = Calls(lambda x: (x[:, :3], x.exp().T, x + 1, x.T.contiguous()))
    found = findings(model, X, output_names=["a", "b", "c", "d"], capture=capture)
    said = {(item.rule, re.findall("output '(.)'", item.message)[0]) for item in found}
    assert said == {("output-aliases-input", "a"), ("output-not-contiguous", "b")}
    assert all(item.where.startswith(f"{__file__}:") for item in found)


def test_random_model_is_not_said_to_behave_otherwise_when_exported() -> None:
    model = Calls(lambda x: x + torch.randn_like(x))
    assert [item.rule for item in findings(model, X)] == ["random-op"]


class Literal(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1)  # here


def test_batch_in_the_source_is_noted_where_it_is_dynamic() -> None:
    found = findings(Literal(), X, dynamic=ROWS, capture="trace")
    assert [(item.rule, item.where) for item in found if item.rule != "output-aliases-input"] == [
        ("batch-baked", line_of(Literal, "# here"))
    ]


class Chunks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([part.relu() for part in x.chunk(2, dim=0)], dim=1)


def test_sequences_inside_of_a_trace_load_in_a_runtime(tmp_path: Any) -> None:
    dynamic = {"x": {0: Dim("n", min=2)}}
    found = findings(Chunks(), X[:2].repeat(2, 1), dynamic=dynamic, capture="trace")
    assert "invalid-graph" not in {item.rule for item in found}
