"""torchaudio's Emformer (Y. Shi et al., Emformer, 2021, section 3), with a dynamic length.

What lies around each segment, and what each place may attend to, is put together in Python, one
segment after the other, for the example's number of segments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites, steps_over
from modelport.capture.rewriters.report import Context

_MODULE = "torchaudio.models.emformer"


@rewrites(f"{_MODULE}._EmformerImpl._gen_right_context")
def right_context(ctx: Context, model: Any, input: Tensor) -> Tensor:
    """Of [places, batch, channels] those behind each segment, and the last ones behind the last."""
    width = model.right_context_length
    places = input.shape[0] - width
    if not is_traced(places):
        return ctx.keep(model, input)  # type: ignore[no-any-return]
    segments = torch.arange(_count(places, model), device=input.device)
    starts = torch.minimum((segments + 1) * model.segment_length, segments.new_full((), places))
    behind = starts[:, None] + torch.arange(width, device=input.device)
    return input.index_select(0, behind.reshape(-1))


@rewrites(f"{_MODULE}._EmformerImpl._gen_attention_mask")
def attention_mask(ctx: Context, model: Any, input: Tensor) -> Tensor:
    """What [places, batch, channels] must not attend to, from the segment of each row and column.

    Rows are the places behind each segment, the places, and the summaries; columns are the
    memories, the places behind each segment, and the places.
    """
    places = input.shape[0]
    if not is_traced(places):
        return ctx.keep(model, input)  # type: ignore[no-any-return]
    length, width = model.segment_length, model.right_context_length
    own = torch.arange(places, device=input.device)
    segments = torch.arange(_count(places, model), device=input.device)
    behind = segments[:, None].expand(-1, width).reshape(-1)
    rows = torch.cat(
        [behind, own // length, segments] if model.use_mem else [behind, own // length]
    )
    rows = rows[:, None]
    starts = rows * length
    seen = [
        rows == behind,
        (own >= starts - model.left_context_length) & (own < starts + length),
    ]
    if model.use_mem:
        memories, summaries = segments[:-1], rows.shape[0] - segments.shape[0]
        recent = (memories >= rows - model.max_memory_size) & (memories < rows)
        numbers = torch.arange(rows.shape[0], device=input.device)
        seen.insert(0, recent & (numbers < summaries)[:, None])
    return ~torch.cat(seen, 1)


@rewrites(f"{_MODULE}._gen_padding_mask")
def padding_mask(
    ctx: Context,
    utterance: Tensor,
    right_context: Tensor,
    summary: Tensor,
    lengths: Tensor,
    mems: Tensor,
    left_context_key: Tensor | None = None,
) -> Tensor:
    """Which columns [batch, columns] are padding; of one sequence, none are.

    The columns of the longest sequence are all of them, so that no value decides their number.
    """
    columns = mems.shape[0] + right_context.shape[0] + utterance.shape[0]
    if left_context_key is not None:
        columns = columns + left_context_key.shape[0]
    missing = (lengths.max() - lengths).unsqueeze(1)
    return torch.arange(columns, device=lengths.device) >= columns - missing


def _count(places: Any, model: Any) -> Any:
    """The number of segments, the last of which may be a part of one."""
    return steps_over(places, model.segment_length)
