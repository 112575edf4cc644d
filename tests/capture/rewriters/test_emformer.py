"""Emformer's segments, put together one after the other; a stand-in is torchaudio."""

from __future__ import annotations

import types
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import modelport

CHANNELS = 4


class Segments:
    """What lies behind segments and may be seen from them, decided in Python as torchaudio does."""

    def __init__(self, length: int, left: int, right: int, memories: int) -> None:
        super().__init__()
        self.segment_length = length
        self.left_context_length, self.right_context_length = left, right
        self.max_memory_size, self.use_mem = memories, memories > 0

    def _gen_right_context(self, input: Tensor) -> Tensor:
        length, width = self.segment_length, self.right_context_length
        places = input.shape[0] - width
        starts = [*range(length, places, length), places]
        return torch.cat([input[start : start + width] for start in starts])

    def _gen_attention_mask(self, input: Tensor) -> Tensor:
        """True is what a row must not see."""
        places, length = input.shape[0], self.segment_length
        count = -(-places // length)
        behind = [segment for segment in range(count) for _ in range(self.right_context_length)]
        own = [place // length for place in range(places)]
        rows = [(segment, False) for segment in behind + own]
        if self.use_mem:
            rows += [(segment, True) for segment in range(count)]
        seen = []
        for segment, is_summary in rows:
            first = max(segment * length - self.left_context_length, 0)
            row = [
                segment - self.max_memory_size <= memory < segment and not is_summary
                for memory in range(count - 1 if self.use_mem else 0)
            ]
            row += [segment == other for other in behind]
            row += [first <= place < (segment + 1) * length for place in range(places)]
            seen.append(row)
        return ~torch.tensor(seen)


def padding_mask(
    utterance: Tensor,
    right_context: Tensor,
    summary: Tensor,
    lengths: Tensor,
    mems: Tensor,
    left_context_key: Tensor | None = None,
) -> Tensor | None:
    """Which columns are padding; as many as the longest sequence has, and none for one sequence."""
    if len(lengths) == 1:
        return None
    parts = [right_context, mems] + ([] if left_context_key is None else [left_context_key])
    known = sum(len(part) for part in parts) + len(utterance) - lengths.max() + lengths
    return torch.arange(int(known.max())) >= known[:, None]


class Attention(torch.nn.Module):
    """What the three give, seen through a product each."""

    def __init__(self, library: types.ModuleType, *sizes: int) -> None:
        super().__init__()
        self.library, self.impl = library, library._EmformerImpl(*sizes)

    def forward(self, frames: Tensor, lengths: Tensor) -> list[Tensor]:
        frames = frames.transpose(0, 1)
        behind = self.impl._gen_right_context(frames)
        utterance = frames[: frames.shape[0] - self.impl.right_context_length]
        mask = self.impl._gen_attention_mask(utterance)
        none = frames[:0]
        padding = self.library._gen_padding_mask(utterance, behind, none, lengths, none)
        scores = torch.cat([behind, utterance]).permute(1, 2, 0)
        if padding is not None:
            scores = scores.masked_fill(padding[:, None], 0)
        return [behind * 2, mask.float(), scores]


SIZES = [(4, 0, 1, 0), (3, 2, 2, 0), (2, 3, 1, 2), (3, 0, 0, 1)]


@pytest.mark.parametrize("sizes", SIZES, ids=["segments", "left", "memories", "nothing behind"])
def test_every_length_is_right(
    stand_in: Callable[..., types.ModuleType], sizes: tuple[int, int, int, int]
) -> None:
    library = stand_in(
        "torchaudio.models.emformer", _EmformerImpl=Segments, _gen_padding_mask=padding_mask
    )
    frames = {0: "batch", 1: modelport.Dim("frames", sizes[2] + 1, 40)}
    lengths = torch.tensor([3, 8])
    recipe = modelport.Recipe(
        Attention(library, *sizes).eval(),
        (torch.randn(2, 8 + sizes[2], CHANNELS), lengths),
        input_names=["frames", "lengths"],
        dynamic={"frames": frames, "lengths": {0: "batch"}},
        values={"lengths": (1, 8)},
        capture="dynamo",
    )
    # The export compares with the original at other lengths.
    exported = modelport.export(recipe)
    assert exported.provenance["probes"]["run"] > 5
