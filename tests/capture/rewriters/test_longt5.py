"""LongT5's blocks, against blocks cut one by one; a stand-in is transformers."""

from __future__ import annotations

import types
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import modelport

NAME = "transformers.models.longt5.modeling_longt5"


def cut_one_by_one(x: Tensor, block_len: int, dim: int) -> Tensor:
    """The definition; how many zeros are missing is decided in Python, as transformers does."""
    rest = x.shape[dim] % block_len
    if rest:
        zeros = list(x.shape)
        zeros[dim] = block_len - rest
        x = torch.cat([x, x.new_zeros(zeros)], dim)
    return torch.stack(x.split(block_len, dim), dim % x.ndim)


@pytest.fixture
def library(stand_in: Callable[..., types.ModuleType]) -> types.ModuleType:
    """The module, with nothing but the function."""
    return stand_in(NAME, _split_into_blocks=cut_one_by_one)


class Blocks(torch.nn.Module):
    """The sums of blocks along a dimension."""

    def __init__(self, library: types.ModuleType, dim: int) -> None:
        super().__init__()
        self.library = library
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        blocks: Tensor = self.library._split_into_blocks(x, 5, self.dim)
        return blocks.cumsum(self.dim % x.ndim)


@pytest.mark.parametrize(
    ("dim", "length", "dtype"),
    [(1, 10, torch.float32), (-2, 12, torch.int64)],
    ids=["whole blocks", "a part of one, from the end"],
)
def test_lengths_that_are_no_multiple_of_a_block_are_right(
    library: types.ModuleType, dim: int, length: int, dtype: torch.dtype
) -> None:
    recipe = modelport.Recipe(
        Blocks(library, dim).eval(),
        (torch.randn(2, length, 3).mul(9).to(dtype),),
        input_names=["x"],
        dynamic={"x": {0: "batch", 1: modelport.Dim("length", 2, 48)}},
        capture="dynamo",
    )
    # The export compares with the original at other lengths.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert [item for item in exported.findings if item.rule == "branch-on-shape"] == []
