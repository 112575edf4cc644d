"""The attention of transformers' RWKV, in a loop in Python; a stand-in is transformers."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

import modelport

CHANNELS = 4


def one_place_after_the_other(
    time_decay: Tensor,
    time_first: Tensor,
    key: Tensor,
    value: Tensor,
    state: Sequence[Tensor] | None = None,
    return_state: bool = False,
) -> tuple[Tensor, list[Tensor] | None]:
    """The mean of all values so far, weighted by e to a key that fades (RWKV, 2023, equation 16).

    What is kept is divided by e to the highest exponent so far.
    """
    nothing = torch.zeros_like(key[:, 0], dtype=torch.float32)
    total, weight, top = (nothing, nothing, nothing - 1e38) if state is None else state
    outputs = []
    for place in range(key.shape[1]):
        now, x = key[:, place].float(), value[:, place]
        own = now + time_first
        high = torch.maximum(top, own)
        before, here = torch.exp(top - high), torch.exp(own - high)
        outputs.append(((before * total + here * x) / (before * weight + here)).to(key.dtype))
        high = torch.maximum(top - torch.exp(time_decay), now)
        before, here = torch.exp(top - torch.exp(time_decay) - high), torch.exp(now - high)
        total, weight, top = before * total + here * x, before * weight + here, high
    kept = [total, weight, top] if return_state or state is not None else None
    return torch.stack(outputs, 1), kept


class Fading(torch.nn.Module):
    """From the beginning, or from a state that is given."""

    def __init__(self, library: types.ModuleType, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.library, self.dtype = library, dtype
        self.decay = torch.nn.Parameter(torch.randn(CHANNELS))
        self.first = torch.nn.Parameter(torch.randn(CHANNELS))

    def forward(self, key: Tensor, value: Tensor, state: Tensor | None = None) -> list[Tensor]:
        # transformers keeps these two in float32.
        result, last = self.library.rwkv_linear_attention_cpu(
            *(self.decay, self.first, key.to(self.dtype), value.to(self.dtype)),
            state=None if state is None else state.unbind(0),
        )
        return [result.float(), *(last or [])]


@pytest.mark.parametrize("given", [False, True], ids=["from the beginning", "from a state"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_every_length_is_right(
    stand_in: Callable[..., types.ModuleType], given: bool, dtype: torch.dtype
) -> None:
    library = stand_in(
        "transformers.models.rwkv.modeling_rwkv",
        rwkv_linear_attention_cpu=one_place_after_the_other,
    )
    names = ["key", "value", "state"] if given else ["key", "value"]
    dynamic: dict[str, dict[int, str]] = {name: {0: "batch", 1: "length"} for name in names[:2]}
    inputs = [torch.randn(2, 6, CHANNELS), torch.randn(2, 6, CHANNELS)]
    if given:
        inputs.append(torch.rand(3, 2, CHANNELS))
        dynamic["state"] = {1: "batch"}
    recipe = modelport.Recipe(
        Fading(library, dtype).eval(),
        tuple(inputs),
        input_names=names,
        dynamic=dynamic,
        capture="dynamo",
    )
    # The export compares with the original at other lengths.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert "Scan" in {node.op_type for node in exported.ir.graph}
