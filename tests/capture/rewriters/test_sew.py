"""SEW's encoder, squeezed and drawn apart again; a stand-in is transformers."""

from __future__ import annotations

import types
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import modelport

NAME = "transformers.models.sew.modeling_sew"
WIDTH = 4


class Drawn(nn.Module):
    """Several frames of each."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH * factor)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).reshape(x.shape[0], -1, WIDTH)


class Encoder(nn.Module):
    """The definition; how many frames there are is decided in Python, as transformers does."""

    def __init__(self, kernel: int, factor: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config = types.SimpleNamespace(squeeze_factor=factor)
        self.pos_conv_embed = nn.Conv1d(WIDTH, WIDTH, kernel, factor, kernel // 2)
        self.upsample = Drawn(factor)

    def forward(self, hidden_states: Tensor) -> Tensor:
        count, factor = hidden_states.shape[1], self.config.squeeze_factor
        x = hidden_states.transpose(1, 2)
        pooled = F.avg_pool1d(x, factor)
        placed = self.pos_conv_embed(x)
        if placed.shape[2] > pooled.shape[2]:
            placed = placed[..., : pooled.shape[2]]
        drawn: Tensor = self.upsample((pooled + placed).transpose(1, 2))
        if drawn.shape[1] < count:
            drawn = F.pad(drawn, (0, 0, 0, count - drawn.shape[1]))
        return drawn


@pytest.fixture
def library(stand_in: Callable[..., types.ModuleType]) -> types.ModuleType:
    """The module, with nothing but the encoder; a class of its own, for it is patched."""
    return stand_in(NAME, SEWEncoder=type("SEWEncoder", (Encoder,), {"forward": Encoder.forward}))


@pytest.mark.parametrize(("kernel", "factor"), [(4, 2), (5, 2), (4, 3)])
def test_lengths_that_are_no_multiple_of_the_factor_are_right(
    library: types.ModuleType, kernel: int, factor: int
) -> None:
    recipe = modelport.Recipe(
        library.SEWEncoder(kernel, factor).eval(),
        (torch.randn(2, 12, WIDTH),),
        input_names=["hidden_states"],
        dynamic={"hidden_states": {0: "batch", 1: modelport.Dim("length", 4, 48)}},
        capture="dynamo",
    )
    # The export compares with the original at other lengths.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert [item for item in exported.findings if item.rule == "branch-on-shape"] == []
