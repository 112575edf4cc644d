"""``pick``: inputs of different dtypes, optional in the middle and at the end; two outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import modelport


@modelport.operator("trial::pick", kernels=["kernel.cpp"])
def pick(
    a: Tensor, b: Tensor | None, c: Tensor, d: Tensor | None = None, e: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The sum of what is there, and which of them are."""
    total = a + c
    for item in (b, d, e):
        if item is not None:
            total = total + item
    there = [item is not None for item in (a, b, c, d, e)]
    return total.float(), torch.tensor(there, dtype=torch.int32)


@pick.shapes
def _(a: modelport.TensorInfo, *_: Any) -> Any:
    return a, modelport.TensorInfo([5], "int32")


@pick.cases
def _(draw: Any) -> Any:
    shape = [draw.size() for _ in range(draw.integer(1, 3))]
    given = [
        draw.tensor(shape, dtype) if always or draw.flag() else None
        for dtype, always in (
            ("float32", True),
            ("int32", False),
            ("float64", True),
            ("uint8", False),
            ("int64", False),
        )
    ]
    return given, {}
