"""Longformer's sliding windows, against a band of the whole; a stand-in is transformers."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import modelport

NAME = "transformers.models.longformer.modeling_longformer"
SIDE, HEADS, WIDTH = 2, 2, 3


class SelfAttention(nn.Module):
    """The definition: of what each sees of the whole, the places in its window."""

    def _sliding_chunks_query_key_matmul(
        self, query: Tensor, key: Tensor, window_overlap: int
    ) -> Tensor:
        size = int(query.shape[1])
        every = torch.einsum("blhd,bshd->blhs", query, key)
        every = F.pad(every, (window_overlap, window_overlap), value=float("-inf"))
        rows = [every[:, place, :, place : place + 2 * window_overlap + 1] for place in range(size)]
        return torch.stack(rows, 1)

    def _sliding_chunks_matmul_attn_probs_value(
        self, attn_probs: Tensor, value: Tensor, window_overlap: int
    ) -> Tensor:
        filled = F.pad(value, (0, 0, 0, 0, window_overlap, window_overlap))
        rows = [
            torch.einsum(
                "bhc,bchd->bhd",
                attn_probs[:, place],
                filled[:, place : place + 2 * window_overlap + 1],
            )
            for place in range(int(value.shape[1]))
        ]
        return torch.stack(rows, 1)


class Model(nn.Module):
    """One layer, and what fills up its inputs where Python finds that it must."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config = types.SimpleNamespace(attention_window=[2 * SIDE])
        self.attention = attention
        self.embed = nn.Embedding(20, 3 * HEADS * WIDTH)

    def _pad_to_window_size(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        position_ids: Any,
        inputs_embeds: Any,
        pad_token_id: int,
    ) -> Any:
        missing = -input_ids.shape[1] % (2 * SIDE)
        if missing > 0:
            input_ids = F.pad(input_ids, (0, missing), value=pad_token_id)
            attention_mask = F.pad(attention_mask, (0, missing))
            token_type_ids = F.pad(token_type_ids, (0, missing))
        return missing, input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds

    def forward(self, ids: Tensor) -> Tensor:
        missing, ids, seen, _, _, _ = self._pad_to_window_size(
            ids, torch.ones_like(ids), torch.zeros_like(ids), None, None, 1
        )
        parts = self.embed(ids).reshape(*ids.shape, 3, HEADS, WIDTH).unbind(2)
        hidden = ((1 - seen) * -100.0)[:, :, None, None]
        scores = self.attention._sliding_chunks_query_key_matmul(parts[0], parts[1], SIDE)
        scores = scores + self.attention._sliding_chunks_query_key_matmul(
            torch.ones_like(hidden), hidden, SIDE
        )
        result: Tensor = self.attention._sliding_chunks_matmul_attn_probs_value(
            scores.softmax(-1), parts[2], SIDE
        )
        return result[:, : result.shape[1] - missing]


@pytest.fixture
def library(stand_in: Callable[..., types.ModuleType]) -> types.ModuleType:
    """The module, with nothing but the two classes; of its own, for they are patched."""
    attention = type("LongformerSelfAttention", (SelfAttention,), {})
    model = type("LongformerModel", (Model,), {})
    return stand_in(NAME, LongformerSelfAttention=attention, LongformerModel=model)


@pytest.mark.parametrize("capture", ["dynamo", "trace"])
@pytest.mark.parametrize("length", [12, 10], ids=["whole windows", "a part of one"])
def test_windows_of_any_length_are_right(
    library: types.ModuleType, capture: str, length: int
) -> None:
    recipe = modelport.Recipe(
        library.LongformerModel(library.LongformerSelfAttention()).eval(),
        (torch.randint(2, 20, (2, length)),),
        input_names=["ids"],
        dynamic={"ids": {0: "batch", 1: modelport.Dim("length", 2, 24)}},
        capture=capture,
    )
    # The export compares with the original at other lengths.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert [item for item in exported.findings if item.rule == "branch-on-shape"] == []
