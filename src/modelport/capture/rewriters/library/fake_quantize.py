"""What models that are trained to be quantized round by, with its observer: by default in PyTorch
(``get_default_qat_qconfig``), and in neither exporter. The new one refuses rounding
by tensors as well.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.fused_moving_avg_obs_fake_quant", capture="trace")
def fused_moving_avg_obs_fake_quant(
    ctx: Context,
    input: Tensor,
    observer_on: Tensor,
    fake_quant_on: Tensor,
    running_min: Tensor,
    running_max: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    averaging_const: float,
    quant_min: int,
    quant_max: int,
    ch_axis: int,
    per_row_fake_quant: bool = False,
    symmetric_quant: bool = False,
) -> Tensor:
    """Rounds by the scale that was learned; what the observer would make of it is left out."""
    rounding: Any = torch.fake_quantize_per_tensor_affine
    if per_row_fake_quant:
        rounding = torch.fake_quantize_per_channel_affine
        return rounding(input, scale, zero_point, ch_axis, quant_min, quant_max)  # type: ignore[no-any-return]
    return rounding(input, scale, zero_point, quant_min, quant_max)  # type: ignore[no-any-return]
