"""The recurrence of transformers' Mambas, in a loop in Python; a stand-in is transformers."""

# ruff: noqa: N803 - the arguments are called as transformers calls them
from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import modelport

CHANNELS, STATES = 3, 4


def one_place_after_the_other(
    hidden_states: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    **options: Any,
) -> Any:
    """The definition: h = exp(dt A) h + dt B x, y = C h + D x (Mamba, 2023, algorithm 2)."""
    if delta_bias is not None:
        dt = dt + delta_bias.to(dt.dtype)[:, None]
    if delta_softplus:
        dt = torch.nn.functional.softplus(dt)
    state = hidden_states.new_zeros(*hidden_states.shape[:2], A.shape[1])
    outputs = []
    for place in range(hidden_states.shape[2]):
        x, step = hidden_states[:, :, place, None], dt[:, :, place, None]
        state = torch.exp(step * A) * state + (step * B[:, None, :, place].float()) * x.float()
        read = state.to(hidden_states.dtype) @ C[:, :, place, None]
        outputs.append(read[:, :, 0])
    output = torch.stack(outputs, 2)
    if D is not None:
        output = output + hidden_states * D[:, None]
    if z is not None:
        output = output * torch.nn.functional.silu(z)
    return (output, state) if return_last_state else output


class Selective(torch.nn.Module):
    """With everything that the function takes, or with what it needs."""

    def __init__(self, library: types.ModuleType, full: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.library, self.full = library, full
        self.rates = torch.nn.Parameter(-torch.rand(CHANNELS, STATES))
        self.enter = torch.nn.Linear(CHANNELS, 3 * CHANNELS + 2 * STATES)
        self.skip = torch.nn.Parameter(torch.randn(CHANNELS))

    def forward(self, series: Tensor) -> Any:
        sizes = [CHANNELS, CHANNELS, CHANNELS, STATES, STATES]
        x, gate, step, enter, leave = self.enter(series).transpose(1, 2).split(sizes, 1)
        options: dict[str, Any] = {}
        if self.full:
            options = {"D": self.skip, "z": gate, "delta_bias": self.skip, "delta_softplus": True}
            options["return_last_state"] = True
        else:
            step = step.sigmoid()
        results = self.library.mamba_selective_scan(
            x, step, self.rates.float(), enter, leave, use_mambapy=False, **options
        )
        # What comes of halves, the last state too, is compared as halves are.
        return [result.to(series.dtype) for result in results] if self.full else results


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_every_length_is_right(
    stand_in: Callable[..., types.ModuleType], full: bool, dtype: torch.dtype
) -> None:
    library = stand_in(
        "transformers.models.mamba.modeling_mamba", mamba_selective_scan=one_place_after_the_other
    )
    model = Selective(library, full).to(dtype).eval()
    recipe = modelport.Recipe(
        model,
        (torch.randn(2, 6, CHANNELS, dtype=dtype),),
        input_names=["series"],
        dynamic={"series": {0: "batch", 1: "length"}},
        capture="dynamo",
    )
    # The export compares with the original at other lengths.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert "Scan" in {node.op_type for node in exported.ir.graph}


def test_a_fixed_length_stays_as_it_is(stand_in: Callable[..., types.ModuleType]) -> None:
    library = stand_in(
        "transformers.models.mamba.modeling_mamba", mamba_selective_scan=one_place_after_the_other
    )
    model = Selective(library, full=True).eval()
    exported = modelport.export(model, (torch.randn(2, 3, CHANNELS),), capture="dynamo")
    assert "Scan" not in {node.op_type for node in exported.ir.graph}
