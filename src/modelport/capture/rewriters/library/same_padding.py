"""TensorFlow's padding "SAME" as transformers' MobileNets and timm have it, with dynamic height and
width.

Whether a size divides by the stride is decided in Python, and the exporters fix what holds for the
example: **wrong** for a size of the other kind. timm's has sizes that torch's symbolic shapes
cannot simplify; they double with every layer.
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
        # transformers dilates the padding, not the window.
        missing = _missing(sizes[axis], conv_layer.kernel_size[axis], conv_layer.stride[axis])
        dilation = conv_layer.dilation[axis]
        widths += [missing // 2 * dilation, (missing - missing // 2) * dilation]
    return F.pad(features, widths)


@rewrites("timm.layers.padding.get_same_padding", capture="dynamo")
def get_same_padding(ctx: Context, x: Any, kernel_size: int, stride: int, dilation: int) -> Any:
    """How much padding an axis gets in all."""
    if not isinstance(x, torch.SymInt):
        return ctx.keep(x, kernel_size, stride, dilation)
    return _missing(x, dilation * (kernel_size - 1) + 1, stride)


def _missing(size: Any, window: int, stride: int) -> Any:
    """What must be added to a size so that a window begins at every stride."""
    if stride == 1:
        return window - 1
    # Behind the last window's begin lie 1 to `stride` places.
    missing = window - size + (size - 1) // stride * stride
    # Without the comparison a convolution's size is (size - 1) // stride + 1, however deep.
    return torch.sym_max(missing, 0) if window < stride else missing  # type: ignore[no-untyped-call]
