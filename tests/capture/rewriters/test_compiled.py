"""Functions that are compiled where they are traced, as torchvision's are, are left as they are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

import modelport


@torch.jit.script_if_tracing
def growing_sums(x: Tensor) -> Tensor:
    """A loop over the rows, with functions that have rewrites."""
    total = torch.zeros_like(x[0])
    found = []
    for place in range(x.shape[0]):
        total = torch.clamp(total, -2.0, 2.0) + x[place]
        found.append(F.layer_norm(total, [5]))
    return torch.stack(found)


class Compiled(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        # Rewritten before and after the loop.
        return torch.roll(growing_sums(torch.roll(x, 2, 1)), 1, 1)


def test_loop_of_a_compiled_function_stays_a_loop() -> None:
    x = 4 * torch.rand(3, 5, generator=torch.Generator().manual_seed(0))
    recipe = modelport.Recipe(
        Compiled(), (x,), input_names=["x"], dynamic={"x": {0: "rows"}}, capture="trace"
    )
    exported = modelport.export(recipe)
    assert "Loop" in {node.op_type for node in exported.ir.graph.all_nodes()}
    assert exported.provenance["probes"]["run"] > 5
    called = {item["name"]: item["calls"] for item in exported.provenance["rewrites"]}
    assert called["torch.roll"] == 2
