"""``grid``: the voxel that each point of a cloud lies in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

DTYPES = ("float32", "float64")


@operator("modelport::grid", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def grid(
    pos: Tensor, size: Tensor, start: Tensor | None = None, end: Tensor | None = None
) -> Tensor:
    """What torch_cluster's ``grid_cluster`` gives: voxels are counted along the first axis first.

    A point outside of start and end is counted on as if the grid had no border, so that its
    number may be that of another voxel; a part below 0 is cut towards 0.

    Args:
        pos: [n, d], the points.
        size: [d], the size of a voxel; above 0.
        start: [d], where the grid begins; the points' minimum where it is absent.
        end: [d], where it ends; the points' maximum where it is absent.

    Returns:
        int64 [n], the number of each point's voxel.
    """
    if pos.shape[0] == 0:
        return pos.new_empty(0, dtype=torch.int64)
    start = pos.amin(0) if start is None else start
    end = pos.amax(0) if end is None else end
    voxels = torch.zeros(pos.shape[0], dtype=torch.int64, device=pos.device)
    stride: Any = 1
    for axis in range(pos.shape[1]):
        place = ((pos[:, axis] - start[axis]) / size[axis]).long()
        voxels += place * stride
        stride = stride * (((end[axis] - start[axis]) / size[axis]).long() + 1)
    return voxels


@grid.shapes
def _(
    pos: TensorInfo, size: TensorInfo, start: TensorInfo | None, end: TensorInfo | None
) -> TensorInfo:
    return pos.like(pos.shape[:1], "int64")


@grid.onnx
def _(op: Any, pos: Any, size: Any, start: Any, end: Any) -> Any:
    int64 = 7  # ONNX's code of the type
    first = op.Constant(value_ints=[0])
    start = op.ReduceMin(pos, first, keepdims=0) if start is None else start
    end = op.ReduceMax(pos, first, keepdims=0) if end is None else end
    counts = op.Add(op.Cast(op.Div(op.Sub(end, start), size), to=int64), op.Constant(value_int=1))
    # The stride of an axis is the product of the counts before it.
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    axes = op.Range(zero, op.Squeeze(op.Shape(size)), one)
    before = op.Less(axes, op.Unsqueeze(axes, [1]))
    strides = op.ReduceProd(op.Where(before, counts, one), [1], keepdims=0)
    places = op.Cast(op.Div(op.Sub(pos, start), size), to=int64)
    return op.ReduceSum(op.Mul(places, strides), [1], keepdims=0)


@grid.cases
def _(draw: Draw) -> Any:
    dtype, axes = draw.choice(DTYPES), draw.integer(1, 5)
    pos = draw.tensor([draw.size(0, 200), axes], dtype, -5, 5)
    size = draw.tensor([axes], dtype, 0.1, 2)
    start = draw.tensor([axes], dtype, -6, -5) if draw.flag() else None
    end = draw.tensor([axes], dtype, 5, 6) if draw.flag() else None
    return (pos, size, start, end), {}
