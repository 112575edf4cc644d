"""TensorFlow's padding "SAME" as transformers' MobileNets have it, with dynamic height and width.

Whether a size divides by the stride is decided in Python, and both exporters fix what holds for the
example: **wrong** for a size of the other kind.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modelport.capture.rewriters.library._common import is_traced, rewrites
from modelport.capture.rewriters.report import Context


@rewrites(
    "transformers.models.mobilenet_v1.modeling_mobilenet_v1.apply_tf_padding",
    "transformers.models.mobilenet_v2.modeling_mobilenet_v2.apply_tf_padding",
)
def apply_tf_padding(ctx: Context, features: Tensor, conv_layer: torch.nn.Conv2d) -> Tensor:
    """Pads [N, C, H, W] so that a window begins at every stride, half of it on each side."""
    sizes = features.shape[2:]
    if not any(map(is_traced, sizes)):
        return ctx.keep(features, conv_layer)  # type: ignore[no-any-return]
    widths: list[Any] = []
    # F.pad begins with the last axis.
    for axis in (1, 0):
        kernel, stride = conv_layer.kernel_size[axis], conv_layer.stride[axis]
        missing: Any = kernel - 1
        if stride > 1:
            # Behind the last window's begin lie 1 to `stride` places.
            missing = kernel - sizes[axis] + (sizes[axis] - 1) // stride * stride
        if kernel < stride:
            missing = torch.sym_max(missing, 0)  # type: ignore[no-untyped-call]
        dilation = conv_layer.dilation[axis]
        widths += [missing // 2 * dilation, (missing - missing // 2) * dilation]
    return F.pad(features, widths)
