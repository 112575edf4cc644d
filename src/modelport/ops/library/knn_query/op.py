"""``knn_query``: the nearest points in batched point clouds."""

from __future__ import annotations

import math
from typing import Any

import onnx_ir
import torch
from torch import Tensor

from modelport.errors import OperatorError
from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import TensorInfo

DTYPES = ("float32", "float64")


@operator("modelport::knn_query", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def knn_query(
    xyz: Tensor,
    offset: Tensor,
    new_xyz: Tensor | None = None,
    new_offset: Tensor | None = None,
    *,
    nsample: int,
) -> tuple[Tensor, Tensor]:
    """The nearest points of every query in its own cloud, as in Point Transformer.

    Zhao et al., Point Transformer, 2021. Clouds lie one after the other; ``offset`` says where
    each one ends. Of points at the same distance the first one comes first. A distance that is
    not a finite number (of a point with NaN, say) counts as no neighbour.

    Args:
        xyz: [n, 3]: the points.
        offset: [clouds], int32: for each cloud the number of points up to its end; the last one
            is n.
        new_xyz: [m, 3]: the queries; the points themselves where it is absent.
        new_offset: [clouds], int32: the same as ``offset`` for the queries, given with them.
        nsample: How many neighbours, 1 or more.

    Returns:
        idx: [m, nsample], int32: places in xyz, the nearest first; -1 where a cloud has fewer
            points.
        dist: [m, nsample], in the dtype of xyz: the distances; infinite where idx is -1.
    """
    queries = xyz if new_xyz is None else new_xyz
    ends = offset if new_offset is None else new_offset
    for name, of, count in (("offset", offset, len(xyz)), ("new_offset", ends, len(queries))):
        _require_ends(name, of.tolist(), count)
    idx = torch.full((len(queries), nsample), -1, dtype=torch.int32, device=xyz.device)
    dist = torch.full((len(queries), nsample), torch.inf, dtype=xyz.dtype, device=xyz.device)
    begin = query = 0
    for end, query_end in zip(offset.tolist(), ends.tolist(), strict=True):
        x, y, z = (queries[query:query_end, None] - xyz[None, begin:end]).unbind(2)
        squares = x * x + y * y + z * z
        squares = torch.where(squares.isfinite(), squares, torch.inf)
        nearest, place = squares.sort(dim=1, stable=True)
        count = min(nsample, end - begin)
        found = nearest[:, :count].isfinite()
        idx[query:query_end, :count] = torch.where(found, place[:, :count] + begin, -1).int()
        dist[query:query_end, :count] = nearest[:, :count].sqrt()
        begin, query = end, query_end
    return idx, dist


def _require_ends(name: str, ends: list[int], count: int) -> None:
    if ends != sorted(ends) or any(end < 0 for end in ends) or (ends or [0])[-1] != count:
        raise OperatorError(
            f"knn_query: {name} is {ends} for {count} points",
            why="it says where each cloud ends: no number is below the one before, the last one "
            "is the number of points",
        )


@knn_query.shapes
def _(
    xyz: TensorInfo,
    offset: TensorInfo,
    new_xyz: TensorInfo | None,
    new_offset: TensorInfo | None,
    *,
    nsample: int,
) -> tuple[TensorInfo, TensorInfo]:
    if (new_xyz is None) != (new_offset is None):
        raise OperatorError(
            "knn_query: of new_xyz and new_offset only one is given",
            fix="give both, or neither for neighbours of the points themselves",
        )
    if nsample < 1:
        raise OperatorError(f"knn_query: nsample is {nsample}", fix="give 1 or more")
    queries = new_xyz or xyz
    shape = [queries.shape[0], nsample]
    return TensorInfo(shape, "int32"), TensorInfo(shape, xyz.dtype)


@knn_query.onnx
def _(
    op: Any, xyz: Any, offset: Any, new_xyz: Any, new_offset: Any, *, nsample: int
) -> tuple[Any, Any]:
    # Every distance at once: m * n numbers, where the kernel keeps nsample a query.
    queries, ends = (xyz, offset) if new_xyz is None else (new_xyz, new_offset)
    squares = None
    for axis in range(3):
        away = op.Sub(
            op.Gather(queries, [axis], axis=1),
            op.Gather(xyz, axis, axis=1),
        )
        square = op.Mul(away, away)
        squares = square if squares is None else op.Add(squares, square)
    infinity = op.CastLike(op.Constant(value_float=math.inf), xyz)
    same = op.Equal(
        op.Unsqueeze(_cloud_of_each(op, queries, ends), [1]),
        _cloud_of_each(op, xyz, offset),
    )
    # NaN is not less either.
    near = op.And(same, op.Less(squares, infinity))
    # TopK asks for nsample columns at least.
    rest = op.Concat(op.Shape(queries, end=1), [nsample], axis=0)
    padded = op.Concat(op.Where(near, squares, infinity), op.Expand(infinity, rest), axis=1)
    nearest, places = op.TopK(padded, [nsample], axis=1, largest=0, sorted=1, _outputs=2)
    found = op.Less(nearest, infinity)
    idx = op.Where(found, places, op.Constant(value_int=-1))
    return op.Cast(idx, to=onnx_ir.DataType.INT32), op.Sqrt(nearest)


def _cloud_of_each(op: Any, points: Any, ends: Any) -> Any:
    """int64 [n]: in which cloud each point lies: how many end before it."""
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    count = op.Squeeze(op.Shape(points, end=1))
    places = op.Range(zero, count, one)
    ended = op.LessOrEqual(op.Cast(ends, to=onnx_ir.DataType.INT64), op.Unsqueeze(places, [1]))
    return op.ReduceSum(op.Cast(ended, to=onnx_ir.DataType.INT64), [1], keepdims=0)


@knn_query.cases
def _(draw: Draw) -> Any:
    clouds, dtype = draw.integer(1, 4), draw.choice(DTYPES)

    def ends(most: int) -> Tensor:
        sizes = [draw.size(0, most) for _ in range(clouds)]
        return torch.tensor(sizes, dtype=torch.int32).cumsum(0).int()

    def points(count: int) -> Tensor:
        values = draw.tensor([count, 3], dtype)
        # On a grid there are many points at the same distance, and some at the same place.
        return values.round() if on_grid else values

    on_grid = draw.flag()
    offset = ends(150)
    xyz = points(int(offset[-1]))
    attributes = {"nsample": draw.choice([1, 3, 8, 16, 40])}
    if draw.flag():
        return (xyz, offset), attributes
    new_offset = ends(40)
    return (xyz, offset, points(int(new_offset[-1])), new_offset), attributes
