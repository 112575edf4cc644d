"""Assumptions about sizes and values that no drawn case has are found, or do no harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
import sympy
import torch
from torch import nn

import modelport
from modelport import Dim, ExportError, Severity
from modelport.backends import REFERENCE_RUNTIME
from modelport.capture.attempts import capture_attempts
from modelport.capture.diagnosis.guard_conditions import breaking_sizes, condition_of
from modelport.deployment.verification import verify
from modelport.deployment.workspace import Workspaces
from modelport.numerics import Case
from modelport.size_condition import SizeCondition


class Calls(nn.Module):
    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.function(*inputs)


def window(x: torch.Tensor) -> torch.Tensor:
    return x[:, :500] if x.shape[1] > 500 else x * 2


def area(x: torch.Tensor) -> torch.Tensor:
    return x.mean() + x if x.shape[0] * x.shape[1] > 4096 else x * 2


def whole_blocks(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if x.shape[1] % 64 else x - 1


def many_patches(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if x.shape[1] // 16 > 20 else x - 1


def number_of_elements(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if x.numel() > 2000 else x - 1


def chunks(x: torch.Tensor) -> torch.Tensor:
    parts = [x[:, start : start + 64] for start in range(0, x.shape[1], 64)]
    return torch.cat([part - part.mean() for part in parts], 1)


def halves(x: torch.Tensor) -> torch.Tensor:
    for _ in range(x.shape[1] // 50):
        x = x * 0.5
    return x


def difference(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if x.shape[1] - x.shape[0] == 300 else x - 1


def power(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if x.shape[1] ** 2 > 90_000 else x - 1


SIZES: list[tuple[Callable[..., torch.Tensor], tuple[int, int]]] = [
    (window, (2, 700)),
    (area, (80, 60)),
    (whole_blocks, (2, 128)),
    (many_patches, (2, 400)),
    (number_of_elements, (50, 50)),
    (chunks, (2, 150)),
    (halves, (2, 130)),
    (difference, (5, 305)),
    (power, (3, 301)),
]
DYNAMIC = {"x": {0: "n", 1: "t"}}


def run(model: modelport.Model, **arrays: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.to_bytes())
    return session.run(None, arrays)[0]


def exported(model: nn.Module, x: torch.Tensor, capture: str) -> tuple[Any, Any]:
    """The graph and None, or None and the refusal."""
    try:
        found = modelport.export(model, (x,), input_names=["x"], dynamic=DYNAMIC, capture=capture)
    except ExportError as error:
        return None, error
    return found, None


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
@pytest.mark.parametrize(
    ("function", "shape"), SIZES, ids=lambda item: getattr(item, "__name__", "")
)
def test_far_size_takes_the_other_branch(
    function: Callable[..., torch.Tensor], shape: tuple[int, int], capture: str
) -> None:
    generator = torch.Generator().manual_seed(0)
    x, far = (torch.randn(size, generator=generator) for size in ((2, 20), shape))
    model, error = exported(Calls(function), x, capture)
    if model is not None:
        np.testing.assert_allclose(run(model, x=far.numpy()), function(far), rtol=1e-5, atol=1e-5)
    else:
        first = function.__code__.co_firstlineno
        lines = [f"{__file__}:{number}" for number in range(first, first + 5)]
        named = any((error.where or "").startswith(line) for line in lines)
        assert named or "conflicts between user-specified ranges" in error.what


def test_range_that_stays_on_one_side_is_no_question() -> None:
    dynamic = {"x": {0: "n", 1: Dim("t", max=400)}}
    model = modelport.export(
        Calls(window), (torch.randn(2, 20),), input_names=["x"], dynamic=dynamic, capture="dynamo"
    )
    assert [item for item in model.findings if item.severity is not Severity.NOTE] == []
    assert model.signature.dims["t"].max == 400


def test_code_that_no_symbol_passes_is_tried_at_its_numbers() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        scale = float(x.detach().numpy().shape[0] > 0)
        return x[:, :500] if x.shape[1] > 500 else x * scale

    with pytest.raises(ExportError) as refused:
        modelport.export(
            Calls(forward),
            (torch.randn(2, 20),),
            input_names=["x"],
            dynamic=DYNAMIC,
            capture="trace",
        )
    assert any("t=501" in str(item) for item in refused.value.findings)


HIDDEN = [0] * 497


def test_counterexample_of_one_attempt_is_tried_on_the_next() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        scale = float(x.detach().numpy().shape[0] > 0)
        return x - 1 if x.shape[1] == len(HIDDEN) else x * scale

    recipe = modelport.Recipe(
        Calls(forward),
        (torch.randn(2, 20),),
        input_names=["x"],
        dynamic=DYNAMIC,
        capture="trace",
    )
    (attempt,) = capture_attempts(recipe)
    with Workspaces() as workspaces:
        engine = workspaces.new(attempt).open_reference()
        engines = {REFERENCE_RUNTIME: engine}
        assert verify(attempt, engines).ok
        learned = Case("dynamo-probe-1", {"x": np.ones((2, 497), np.float32)}, "learned")
        verdict = verify(attempt, engines, learned=[learned])
    assert not verdict.ok
    assert "dynamo-probe-1" in [
        item.case for item in verdict.verifications[REFERENCE_RUNTIME].failed
    ]
    assert [item.name for item in verdict.counterexamples] == ["trace-dynamo-probe-1"]


def test_integer_input_at_a_number_of_the_code() -> None:
    def forward(x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return x * 2 if int(step) > 1000 else x - 1

    with pytest.raises(ExportError) as refused:
        modelport.export(
            Calls(forward),
            (torch.randn(2, 3), torch.tensor(5)),
            input_names=["x", "step"],
            capture="trace",
        )
    assert any("step" in str(item) for item in refused.value.findings)


A, B = sympy.symbols("s0 s1", integer=True, positive=True)
SYMBOLS = {"s0": "a", "s1": "b"}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (A <= 500, "a <= 500"),
        (sympy.Ne(sympy.Mod(A, 64), 0), "a % 64 != 0"),
        (A * B <= 4096, "a * b <= 4096"),
        (A / 2 <= 3, "a <= 6"),
        (A / 2 + B / 3 < 5, "3 * a + 2 * b < 30"),
        (sympy.Eq(A**2, 49, evaluate=False), "a * a == 49"),
    ],
)
def test_assumption_is_a_condition(expression: Any, text: str) -> None:
    condition = condition_of(expression, SYMBOLS)
    assert condition is not None
    expected = SizeCondition.parse(text)
    assert all(
        condition.holds({"a": a, "b": b}) == expected.holds({"a": a, "b": b})
        for a in range(1, 80)
        for b in (1, 2, 3, 50, 64, 700)
    )


@pytest.mark.parametrize(
    "expression", [A > 2.5, sympy.sqrt(A) < 3, sympy.Eq(A, sympy.Symbol("u0"))]
)
def test_assumption_of_other_numbers_is_none(expression: Any) -> None:
    assert condition_of(expression, SYMBOLS) is None


@pytest.mark.parametrize(
    "text",
    [
        "a <= 500",
        "a * b <= 4096",
        "a % 64 != 0",
        "a // 16 <= 20",
        "a * b * 3 <= 2000",
        "a * a - b != 7919",
        "a + b < 10000",
        "a * a <= 1000000",
    ],
)
def test_sizes_that_break_a_condition_are_found(text: str) -> None:
    condition = SizeCondition.parse(text)
    found = breaking_sizes(condition, {}, {"a": 12, "b": 7})
    assert found
    assert all(condition.holds(sizes) is False for sizes in found)


def test_sizes_that_break_a_condition_are_declared_ones() -> None:
    condition = SizeCondition.parse("a <= 500")
    dims = {"a": Dim("a", 8, 640, multiple=8)}
    found = breaking_sizes(condition, dims, {"a": 16})
    assert found
    assert all(sizes["a"] in dims["a"] and sizes["a"] > 500 for sizes in found)
    assert breaking_sizes(condition, {"a": Dim("a", max=500)}, {"a": 16}) == []
