"""`atan2` at the borders of the quadrants, where both exporters are off by pi or 2 pi.

A pair of infinities still gives NaN. ONNX Runtime has no Atan for doubles.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modelport.capture.rewriters.library._common import rewrites
from modelport.capture.rewriters.report import Context


@rewrites("torch.atan2", "torch.Tensor.atan2", "torch.arctan2", "torch.Tensor.arctan2")
def atan2(ctx: Context, input: Tensor, other: Tensor) -> Tensor:
    """The angle of the ray to (other, input), signed zeros included."""
    dtype = torch.result_type(input, other)
    if not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    y, x = input.to(dtype), other.to(dtype)
    # 1/-0 is -inf: a zero's sign shows in no comparison.
    y_negative = (y < 0) | ((y == 0) & (1 / y < 0))
    x_negative = (x < 0) | ((x == 0) & (1 / x < 0))
    half_turn = torch.where(y_negative, -math.pi, math.pi).to(dtype)
    no_turn = torch.zeros_like(half_turn)
    both_zero = (x == 0) & (y == 0)
    angle = torch.atan(y / torch.where(both_zero, torch.ones_like(x), x))
    turned = angle + torch.where(x_negative, half_turn, no_turn)
    upright = torch.where(both_zero, torch.where(x_negative, half_turn, y), half_turn / 2)
    return torch.where(x == 0, upright, turned)
