"""Funnel's relative positions, against those of lists; a stand-in is transformers."""

from __future__ import annotations

import types
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import modelport

NAME = "transformers.models.funnel.modeling_funnel"
WIDTH = 6


class Structure(nn.Module):
    """The definition, of lists of positions as transformers has them."""

    def __init__(self, blocks: int, separate: bool, truncate: bool) -> None:
        super().__init__()
        self.config = types.SimpleNamespace(
            attention_type="relative_shift",
            d_model=WIDTH,
            num_blocks=blocks,
            separate_cls=separate,
            truncate_seq=truncate,
        )

    def get_position_embeds(
        self, seq_len: int, dtype: torch.dtype, device: torch.device
    ) -> list[list[Tensor | None]]:
        del device
        places = [list(range(seq_len))]
        for block in range(1, self.config.num_blocks):
            before = places[-1]
            if self.config.separate_cls:
                others = before[1:-1] if self.config.truncate_seq else before[1:]
                places.append([1 - 2**block, *others[::2]])
            else:
                places.append(before[::2])
        result: list[list[Tensor | None]] = []
        for block, own in enumerate(places):
            pooling = None
            if block > 0:
                pooling = self.between(own, places[block - 1], 2 ** (block - 1), 2, dtype)
            result.append([self.between(own, own, 2**block, 1, dtype), pooling])
        return result

    def between(
        self, queries: list[int], keys: list[int], distance: int, shift: int, dtype: torch.dtype
    ) -> Tensor:
        """From as far as the shift leads down to the last key."""
        most = queries[0] - keys[0] + shift * len(queries) * distance
        steps = torch.tensor(list(range(most, queries[0] - keys[-1] - 1, -distance))).to(dtype)
        waves = [10000 ** (-2 * place / WIDTH) for place in range(WIDTH // 2)]
        angles = steps[:, None] * torch.tensor(waves).to(dtype)
        return torch.cat([angles.sin(), angles.cos()], 1)


class Positions(nn.Module):
    """As many positions as there are tokens."""

    def __init__(self, structure: nn.Module) -> None:
        super().__init__()
        self.structure = structure

    def forward(self, x: Tensor) -> list[Tensor]:
        found = self.structure.get_position_embeds(x.shape[1], x.dtype, x.device)
        return [
            part.cumsum(0).mean(0) + x.mean() for pair in found for part in pair if part is not None
        ]


@pytest.fixture
def library(stand_in: Callable[..., types.ModuleType]) -> types.ModuleType:
    """The module, with nothing but the class; one of its own, for it is patched."""
    own = {"get_position_embeds": Structure.get_position_embeds}
    return stand_in(NAME, FunnelAttentionStructure=type("Own", (Structure,), own))


@pytest.mark.parametrize(
    ("separate", "truncate"),
    [(True, True), (True, False), (False, True)],
    ids=["class apart", "class apart, nothing truncated", "class among the others"],
)
def test_positions_of_any_length_are_right(
    library: types.ModuleType, separate: bool, truncate: bool
) -> None:
    structure = library.FunnelAttentionStructure(3, separate, truncate)
    recipe = modelport.Recipe(
        Positions(structure).eval(),
        (torch.randn(2, 12, 3),),
        input_names=["x"],
        dynamic={"x": {1: modelport.Dim("length", 2, 48)}},
        capture="dynamo",
    )
    # The export compares with the original at other lengths.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
    assert [item for item in exported.findings if item.rule == "branch-on-shape"] == []
