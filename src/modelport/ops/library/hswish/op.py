"""``hswish``: x * clip(x + 3, 0, 6) / 6."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

DTYPES = ("float32", "float64", "float16", "bfloat16")


@operator("modelport::hswish", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def hswish(x: Tensor) -> Tensor:
    """x * clip(x + 3, 0, 6) / 6.

    Howard et al., Searching for MobileNetV3, 2019. What has 16 bits is computed in float32.

    Args:
        x: Any shape.

    Returns:
        The shape and dtype of x.
    """
    wide = torch.float64 if x.dtype is torch.float64 else torch.float32
    return (x.to(wide) * (x.to(wide) + 3).clamp(0, 6) / 6).to(x.dtype)


@hswish.shapes
def _(x: TensorInfo) -> TensorInfo:
    return x


@hswish.onnx
def _(op: Any, x: Any) -> Any:
    return op.Div(op.Mul(x, op.Clip(op.Add(x, 3.0), op.CastLike(0.0, x), op.CastLike(6.0, x))), 6.0)


@hswish.backward
def _(gradient: Tensor, x: Tensor) -> Any:
    return gradient * torch.where(x < -3, 0, torch.where(x > 3, 1, x / 3 + 0.5))


@hswish.cases
def _(draw: Draw) -> Any:
    shape = [draw.size() for _ in range(draw.integer(0, 4))]
    return (draw.tensor(shape, draw.choice(DTYPES), -5, 5),), {}
