"""Weights that a model writes while it runs: torch's exporters refuse them, or end the process."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import modelport


class Merged(nn.Module):
    """Two branches that become one convolution in every run, as super-resolution has them."""

    def __init__(self, *, scaled_by_input: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide, self.skip = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 1)
        self.merged = nn.Conv2d(3, 4, 3, padding=1)
        self.scaled_by_input = scaled_by_input

    def forward(self, x: Tensor) -> Tensor:
        weight = self.wide.weight.data.clone() + F.pad(self.skip.weight.data, (1, 1, 1, 1))
        if self.scaled_by_input:
            weight = weight * x.mean()
        self.merged.weight.data = weight.contiguous()
        self.merged.bias.data = self.wide.bias.data + self.skip.bias.data
        self.merged.bias.data = self.merged.bias.data * 2
        result: Tensor = self.merged(x)
        return result


@pytest.mark.parametrize("scaled_by_input", [False, True])
def test_weights_that_are_assigned_are_those_that_are_used(scaled_by_input: bool) -> None:
    model = Merged(scaled_by_input=scaled_by_input).eval()
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    recipe = modelport.Recipe(
        model, (x,), input_names=["x"], dynamic={"x": [0, 2, 3]}, capture="dynamo"
    )
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert not any(finding.rule == "strict-fallback" for finding in exported.findings)
