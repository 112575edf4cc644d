"""The attention of transformers' RWKV (B. Peng et al., RWKV, 2023, appendix D), with a dynamic
length.

transformers goes through the sequence in Python, which fixes its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.library._scan import Tensors, scan
from modelport.capture.rewriters.report import Context

_NOTHING = -1e38
"""The exponent before the first place."""


@rewrites("transformers.models.rwkv.modeling_rwkv.rwkv_linear_attention_cpu", capture="dynamo")
def rwkv_linear_attention_cpu(
    ctx: Context,
    time_decay: Tensor,
    time_first: Tensor,
    key: Tensor,
    value: Tensor,
    state: Sequence[Tensor] | None = None,
    return_state: bool = False,
) -> tuple[Tensor, list[Tensor] | None]:
    """The same for [batch, length, channels]: the states by a loop, and all outputs at once."""
    if not is_traced(key.shape[1]):
        return ctx.keep(time_decay, time_first, key, value, state, return_state)  # type: ignore[no-any-return]
    keys, values = key.float().transpose(0, 1), value.transpose(0, 1)
    first = _first_of(keys, state)
    kinds = (time_decay.dtype, time_first.dtype, value.dtype, *(part.dtype for part in first))
    kind = reduce(torch.promote_types, kinds, torch.float32)
    first = [part.to(kind) for part in first]
    last, before = scan(_step, first, [keys, values], [-torch.exp(time_decay)])
    total, weight, exponent = before
    own = keys + time_first
    highest = torch.maximum(exponent, own)
    earlier, now = torch.exp(exponent - highest), torch.exp(own - highest)
    result = (earlier * total + now * values) / (earlier * weight + now)
    kept = list(last) if return_state or state is not None else None
    return result.to(key.dtype).transpose(0, 1), kept


def _first_of(keys: Tensor, state: Sequence[Tensor] | None) -> list[Tensor]:
    if state is not None:
        return list(state)
    nothing = torch.zeros_like(keys[0])
    return [nothing, nothing, nothing + _NOTHING]


def _step(state: Tensors, item: Tensors, shared: Tensors) -> tuple[Tensors, Tensors]:
    """The next sums, over the power of e that keeps them small; those before are the outputs."""
    total, weight, exponent = state
    key, value = item
    faded = exponent + shared[0]
    highest = torch.maximum(faded, key)
    earlier, now = torch.exp(faded - highest), torch.exp(key - highest)
    return [earlier * total + now * value, earlier * weight + now, highest], state
