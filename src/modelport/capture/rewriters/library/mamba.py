"""The recurrence of transformers' Mambas (A. Gu and T. Dao, Mamba, 2023, equations 2a and 2b), with
a dynamic length.

transformers goes through the sequence in Python, which fixes its length. As a sum over all earlier
places it needs quotients of cumulated products, which vanish: a loop is what stays the same.
"""

# ruff: noqa: N803 - the arguments are called as transformers calls them
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.library._scan import Tensors, scan
from modelport.capture.rewriters.report import Context


@rewrites(
    "transformers.models.mamba.modeling_mamba.mamba_selective_scan",
    "transformers.models.falcon_mamba.modeling_falcon_mamba.mamba_selective_scan",
    "transformers.models.jamba.modeling_jamba.mamba_selective_scan",
    "transformers.models.zamba.modeling_zamba.mamba_selective_scan",
    capture="dynamo",
)
def mamba_selective_scan(
    ctx: Context,
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
) -> Tensor | tuple[Tensor, Tensor]:
    """The same for [batch, channels, length], where the loop stays a loop."""
    if not is_traced(hidden_states.shape[2]):
        return ctx.keep(  # type: ignore[no-any-return]
            *(hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus, return_last_state),
            **options,
        )
    if delta_bias is not None:
        dt = dt + delta_bias.to(dt.dtype)[:, None]
    if delta_softplus:
        dt = F.softplus(dt)
    # [length, batch, channels, states]
    steps = dt.permute(2, 0, 1).unsqueeze(3)
    decays = torch.exp(steps * A)
    inputs = steps * B.permute(2, 0, 1).unsqueeze(2).float()
    inputs = inputs * hidden_states.permute(2, 0, 1).unsqueeze(3).float()
    kind = torch.promote_types(decays.dtype, inputs.dtype)
    last, states = scan(_step, [torch.zeros_like(inputs[0], dtype=kind)], [decays, inputs])
    read = states[0].to(hidden_states.dtype) @ C.permute(2, 0, 1).unsqueeze(3)
    result = read.squeeze(3).permute(1, 2, 0)
    if D is not None:
        result = result + hidden_states * D[:, None]
    if z is not None:
        result = result * F.silu(z)
    return (result, last[0]) if return_last_state else result


def _step(state: Tensors, item: Tensors, _shared: Tensors) -> tuple[Tensors, Tensors]:
    decay, entering = item
    state = [decay * state[0] + entering]
    return state, state
