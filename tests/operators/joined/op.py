"""``joined``: a tensor, then any number of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import modelport

DTYPES = ("float32", "int64")


@modelport.operator("trial::joined", kernels=["kernel.cpp"], dtypes=DTYPES)
def joined(first: Tensor, rest: list[Tensor]) -> Tensor:
    """All elements, one after the other."""
    return torch.cat([item.flatten() for item in (first, *rest)])


@joined.shapes
def _(first: modelport.TensorInfo, rest: list[modelport.TensorInfo]) -> modelport.TensorInfo:
    total = 0
    for item in (first, *rest):
        count = 1
        for dim in item.shape:
            count = count * dim
        total = total + count
    return first.like([total])


@joined.onnx
def _(op: Any, first: Any, rest: Any) -> Any:
    flat = op.Constant(value_ints=[-1])
    return op.Concat(*(op.Reshape(item, flat) for item in (first, *rest)), axis=0)


@joined.cases
def _(draw: Any) -> Any:
    dtype = draw.choice(DTYPES)
    tensors = [
        draw.tensor([draw.size() for _ in range(draw.integer(1, 3))], dtype)
        for _ in range(draw.integer(2, 5))
    ]
    return (tensors[0], tensors[1:]), {}
