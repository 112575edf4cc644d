"""``marked``: tells who computed it. Reference, kernel and body differ on purpose."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import modelport

REFERENCE, KERNEL, BODY = 100.0, 1.0, 2.0


@modelport.operator("trial::marked", kernels=["kernel.cpp"])
def marked(x: Tensor, *, factor: float = 1.0) -> Tensor:
    """x * factor, and 100: the kernel adds 1, the body 2."""
    return x * factor + REFERENCE


@marked.shapes
def _(x: modelport.TensorInfo, *, factor: float) -> modelport.TensorInfo:
    return x


@marked.onnx
def _(op: Any, x: Any, *, factor: float) -> Any:
    return op.Add(op.Mul(x, factor), BODY)
