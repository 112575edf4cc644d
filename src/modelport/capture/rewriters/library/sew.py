"""The encoder of transformers' SEW (F. Wu et al., Performance-Efficiency Trade-offs in Unsupervised
Pre-training for Speech Recognition, 2021, section 4.3), with a dynamic number of samples.

Frames are squeezed together and drawn apart again; whether some are missing then is decided in
Python, and both exporters fix what holds for the example.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.report import Context


@rewrites("transformers.models.sew.modeling_sew.SEWEncoder.forward")
def encode(ctx: Context, encoder: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Lets the parts of the encoder give as many frames as are needed, so that none are missing."""
    frames = hidden_states.shape[1]
    if not is_traced(frames):
        return ctx.keep(encoder, hidden_states, *args, **kwargs)
    squeezed = frames // encoder.config.squeeze_factor

    def cut(_module: nn.Module, _inputs: Any, positions: Tensor) -> Tensor:
        # Of frames that a last squeezed one lacks, an odd kernel makes a position as well.
        return positions[..., :squeezed]

    def fill(_module: nn.Module, _inputs: Any, drawn: Tensor) -> Tensor:
        return F.pad(drawn, (0, 0, 0, frames - drawn.shape[1]))

    with (
        encoder.pos_conv_embed.register_forward_hook(cut),
        encoder.upsample.register_forward_hook(fill),
    ):
        return ctx.original(encoder, hidden_states, *args, **kwargs)
