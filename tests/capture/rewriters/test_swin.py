"""torchvision's shifted windows, against one window after the other; a stand-in is torchvision."""

from __future__ import annotations

import types

import pytest
import torch
from torch import Tensor

import modelport

HEADS, CHANNELS, WINDOW = 2, 8, (2, 3)
NAME = "torchvision.models.swin_transformer"


def one_window_after_the_other(
    input: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    relative_position_bias: Tensor,
    window_size: list[int],
    num_heads: int,
    shift_size: list[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None,
    logit_scale: Tensor | None = None,
    training: bool = True,
) -> Tensor:
    """The definition, for [N, H, W, C]; sizes are decided in Python, as torchvision does."""
    sizes = list(input.shape[1:3])
    padded = [-(-size // window) * window for size, window in zip(sizes, window_size, strict=True)]
    x = input.new_zeros(len(input), *padded, input.shape[3])
    x[:, : sizes[0], : sizes[1]] = input
    shifts = [
        shift if window < size else 0
        for shift, window, size in zip(shift_size, window_size, padded, strict=True)
    ]
    if logit_scale is not None and qkv_bias is not None:
        third = len(qkv_bias) // 3
        qkv_bias = torch.cat([qkv_bias[:third], 0 * qkv_bias[:third], qkv_bias[2 * third :]])
    result = torch.zeros_like(x)
    for top in range(0, padded[0], window_size[0]):
        for left in range(0, padded[1], window_size[1]):
            rows = torch.arange(top, top + window_size[0]) + shifts[0]
            columns = torch.arange(left, left + window_size[1]) + shifts[1]
            side = 2 * (rows >= padded[0]).long()[:, None] + (columns >= padded[1]).long()
            apart = side.reshape(-1, 1) != side.reshape(1, -1)
            rows, columns = rows % padded[0], columns % padded[1]
            tokens = x[:, rows][:, :, columns].flatten(1, 2)
            joint = torch.nn.functional.linear(tokens, qkv_weight, qkv_bias)
            parts = joint.unflatten(2, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
            query, key, value = parts
            if logit_scale is None:
                scores = query @ key.mT / query.shape[-1] ** 0.5
            else:
                # Of nothing, as in the padding, the length is taken for 1.
                lengths = [part.norm(dim=-1, keepdim=True) for part in (query, key)]
                units = [
                    part / length.where(length > 0, 1.0)
                    for part, length in zip((query, key), lengths, strict=True)
                ]
                scores = units[0] @ units[1].mT * logit_scale.exp().clamp(max=100.0)
            scores = scores + relative_position_bias - 100.0 * apart
            attended = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
            attended = torch.nn.functional.linear(attended, proj_weight, proj_bias)
            place = (slice(None), rows[:, None], columns[None, :])
            result[place] = attended.unflatten(1, window_size)
    return result[:, : sizes[0], : sizes[1]]


@pytest.fixture(autouse=True)
def library(stand_in) -> types.ModuleType:
    """torchvision, with nothing but the function."""
    module: types.ModuleType = stand_in(NAME, shifted_window_attention=one_window_after_the_other)
    return module


class Attention(torch.nn.Module):
    """Shifted windows with weights; ``cosine`` is that of Swin's second version."""

    def __init__(self, library: types.ModuleType, cosine: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.library = library
        self.qkv = torch.nn.Linear(CHANNELS, 3 * CHANNELS)
        self.proj = torch.nn.Linear(CHANNELS, CHANNELS)
        count = WINDOW[0] * WINDOW[1]
        self.bias = torch.nn.Parameter(torch.randn(1, HEADS, count, count))
        self.scale = torch.nn.Parameter(torch.randn(HEADS, 1, 1)) if cosine else None

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.library.shifted_window_attention(
            *(x, self.qkv.weight, self.proj.weight, self.bias, list(WINDOW), HEADS, [1, 1]),
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            logit_scale=self.scale,
            training=self.training,
        )
        return result


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("size", [(2, 3), (7, 8)], ids=["one window", "several"])
def test_sizes_on_both_sides_of_one_window_are_right(
    library: types.ModuleType, cosine: bool, size: tuple[int, int]
) -> None:
    model = Attention(library, cosine).eval()
    recipe = modelport.Recipe(
        model,
        (torch.randn(2, *size, CHANNELS),),
        input_names=["x"],
        dynamic={"x": {0: "batch", 1: "height", 2: "width"}},
        capture="dynamo",
    )
    # The export compares with the original at other sizes, those of one window among them.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert [item for item in exported.findings if item.rule == "branch-on-shape"] == []
