from __future__ import annotations

from typing import Any

import pytest
import torch

import modelport
from modelport.capture.module_snapshot import unchanged


class Remembering(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(2))
        self.inner = torch.nn.BatchNorm1d(3)
        self.plain = torch.ones(2)
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {"kept": 1}
        self.last = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.total += 1
        self.plain.mul_(2)
        self.seen.append(x)
        self.cache.clear()
        self.cache["x"] = x
        self.last = x
        self.late = x
        return self.inner(x)


def test_all_that_a_run_changes_comes_back() -> None:
    model = Remembering()
    total, seen, cache, running = model.total, model.seen, model.cache, model.inner.running_mean
    before = running.clone()

    def fail_afterwards() -> None:
        model(torch.randn(4, 3))
        assert model.total.tolist() == [1, 1]
        assert not torch.equal(running, before)
        raise RuntimeError("afterwards")

    with unchanged(model), pytest.raises(RuntimeError, match="afterwards"):
        fail_afterwards()
    assert model.total is total
    assert model.total.tolist() == [0, 0]
    assert model.plain.tolist() == [1, 1]
    assert model.seen is seen
    assert model.seen == []
    assert model.cache is cache
    assert model.cache == {"kept": 1}
    assert model.last is None
    assert not hasattr(model, "late")
    assert torch.equal(model.inner.running_mean, before)


def test_what_is_not_python_is_left_alone() -> None:
    scripted = torch.jit.script(torch.nn.BatchNorm1d(3))
    before = scripted.running_mean.clone()
    with unchanged(scripted):
        scripted(torch.randn(4, 3))
    assert torch.equal(scripted.running_mean, before)
    with unchanged(torch.exp):
        pass


class CachedGrid(torch.nn.Module):
    """Remembers a grid until the size changes: run before it is captured, the grid is fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = torch.zeros(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.grid.shape[1:] != x.shape[1:]:
            self.grid = torch.arange(int(x.shape[1]), dtype=x.dtype).view(1, -1)
        return x + self.grid


class Honoured(torch.autograd.Function):
    """That it exists makes modelport run models before it captures them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Identity", x)


def test_what_a_model_remembers_is_not_captured_and_comes_back() -> None:
    model = CachedGrid()
    grid = model.grid
    captured = modelport.export(model, torch.rand(2, 6), dynamic={"x": {1: "n"}}, capture="dynamo")
    assert captured.signature.inputs[0].shape == (2, "n")
    assert model.grid is grid
