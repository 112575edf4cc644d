"""State between calls, inputs that are written into, and random numbers are found and placed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import modelport
from modelport import Finding, Recipe, UsageError

X = torch.randn(5, generator=torch.Generator().manual_seed(0))


def line_of(cls: type, text: str) -> str:
    """``file:line`` of the line of a class that has a text."""
    lines, first = inspect.getsourcelines(cls)
    (offset,) = (index for index, line in enumerate(lines) if text in line)
    return f"{__file__}:{first + offset}"


def found(model: nn.Module, *args: torch.Tensor, **options: Any) -> list[Finding]:
    rules = ("state-kept", "state-changed", "input-written", "random-op")
    return [
        item for item in modelport.export(model, args, **options).findings if item.rule in rules
    ]


class Assigned(nn.Module):
    """A ring buffer: a buffer that forward assigns."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("tail", torch.zeros(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tail = torch.cat([self.tail, x])[-10:]  # here
        return self.tail.clone()


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Module()
        self.inner.register_buffer("count", torch.zeros(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inner.count.add_(x)  # here
        return self.inner.count * 2


class Attribute(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x - self.last
        self.last = x  # here
        return y


class Number(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.step = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * self.step
        self.step += 1  # here
        return y


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)  # here
        return torch.stack(self.seen).sum(0)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Assigned(), "tail"),
        (InPlace(), "inner.count"),
        (Attribute(), "last"),
        (Number(), "step"),
        (Listed(), "seen"),
    ],
    ids=["buffer assigned", "buffer in place", "attribute", "number", "list"],
)
def test_state_between_calls_is_found_with_its_line(model: nn.Module, name: str) -> None:
    (finding,) = found(model, X)
    assert (finding.rule, finding.where) == ("state-kept", line_of(type(model), "# here"))
    assert f"forward changes '{name}'" in finding.message


def test_state_that_no_output_shows_is_a_note() -> None:
    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1  # here
            return x * 2

    (finding,) = found(Counted(), X, capture="trace")
    assert (finding.rule, finding.severity.value) == ("state-changed", "note")
    assert finding.where == line_of(Counted, "# here")


def test_state_outside_of_the_module_is_found() -> None:
    calls = [0.0]

    class Hidden(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls[0] += 0 if modelport.is_exporting() else 1
            return x + calls[0]

    found_rules = {item.rule for item in found(Hidden(), X, capture="trace")}
    assert found_rules == {"state-kept"}


def test_parameter_that_forward_changes_comes_back() -> None:
    table = nn.Embedding(7, 4, max_norm=1.0)
    with torch.no_grad():
        table.weight.mul_(10)
    before = table.weight.detach().clone()
    (finding,) = found(table, torch.tensor([1, 2, 6]), capture="dynamo")
    assert finding.rule == "state-changed"
    assert "'weight'" in finding.message
    assert torch.equal(table.weight, before)


def test_random_numbers_are_found_with_their_line() -> None:
    class Random(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            return y + torch.randn_like(y)  # here

    for capture in ("dynamo", "trace"):
        for finding in found(Random(), X, capture=capture):
            assert (finding.rule, finding.where) == ("random-op", line_of(Random, "# here"))


@pytest.mark.parametrize(
    "model", [Assigned(), Attribute(), Number()], ids=["buffer", "attribute", "number"]
)
def test_every_call_begins_as_the_model_was(tmp_path: Path, model: nn.Module) -> None:
    dynamic = {"x": {0: "n"}} if isinstance(model, Assigned) else None
    recipe = Recipe(model, (X,), input_names=["x"], output_names=["y"], dynamic=dynamic)
    result = modelport.deploy(recipe, tmp_path / "m.port")
    assert "state-kept" in {item.rule for item in result.model.findings}
    engine = modelport.load(tmp_path / "m.port")
    x = np.arange(5, dtype=np.float32)
    expected = {Assigned: np.r_[np.zeros(5), x], Attribute: x, Number: x}[type(model)]
    for _ in range(2):
        np.testing.assert_array_equal(engine.run({"x": x})["y"], expected)


class Cache(nn.Module):
    """A static cache: a row of an input is written."""

    def forward(self, x: torch.Tensor, cache: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        cache.index_copy_(0, at, x)  # here
        return cache.sum(0)


def cache_args() -> tuple[torch.Tensor, ...]:
    return torch.randn(1, 3), torch.randn(4, 3), torch.tensor([2])


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_input_that_is_written_into_is_found_and_left_alone(capture: str) -> None:
    args = cache_args()
    before = args[1].clone()
    options = {"values": {"at": (0, 3)}, "capture": capture}
    (finding,) = found_in(Recipe(Cache(), args, **options))
    assert (finding.rule, finding.where) == ("input-written", line_of(Cache, "# here"))
    assert "Recipe(mutated_inputs={'cache': 'cache_out'})" in finding.fix
    assert torch.equal(args[1], before)


def found_in(recipe: Recipe) -> list[Finding]:
    rules = ("state-kept", "state-changed", "input-written", "random-op")
    return [item for item in modelport.export(recipe).findings if item.rule in rules]


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
def test_input_that_is_written_into_is_an_output_on_request(tmp_path: Path, capture: str) -> None:
    recipe = Recipe(
        Cache(),
        cache_args()[:2],
        {"at": cache_args()[2]},
        output_names=["total"],
        mutated_inputs={"cache": "cache_out"},
        values={"at": (0, 3)},
        capture=capture,
    )
    result = modelport.deploy(recipe, tmp_path / "m.port")
    assert not [item for item in result.model.findings if item.rule == "input-written"]
    engine = modelport.load(tmp_path / "m.port")
    rng = np.random.default_rng(0)
    x, cache = rng.random((1, 3), np.float32), rng.random((4, 3), np.float32)
    kept = cache.copy()
    outputs = engine.run({"x": x, "cache": cache, "at": np.array([3])})
    assert list(outputs) == ["total", "cache_out"]
    np.testing.assert_array_equal(cache, kept)
    kept[3] = x
    np.testing.assert_array_equal(outputs["cache_out"], kept)
    np.testing.assert_allclose(outputs["total"], kept.sum(0), 1e-5)


def test_unknown_mutated_input_is_named() -> None:
    recipe = Recipe(Cache(), cache_args(), mutated_inputs={"cash": "out"})
    with pytest.raises(UsageError, match="names 'cash'"):
        modelport.export(recipe)
