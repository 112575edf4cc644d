"""``nms``: of boxes that overlap, those with the highest scores."""

from __future__ import annotations

from typing import Any

import torch
from onnx_ir import DataType
from torch import Tensor

from modelport.errors import OperatorError
from modelport.ops.decorator import operator
from modelport.ops.sampling import Draw
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

DTYPES = ("float32", "float64", "float16")


@operator("modelport::nms", kernels=["kernel.cpp", "kernel.cu"], dtypes=DTYPES)
def nms(boxes: Tensor, scores: Tensor, *, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression, as ``torchvision.ops.nms`` does it.

    From the highest score down, a box is kept where its intersection over union with every box
    kept before is not above the threshold. Of equal scores the first one comes first; NaN is
    above all. float16 is computed in float32; so is the decomposition, whatever the dtype.

    Args:
        boxes: [n, 4]: x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.
        scores: [n].
        iou_threshold: From 0 to 1.

    Returns:
        [kept], int64: the places of the boxes that are kept, the highest score first.
    """
    wide = torch.float64 if boxes.dtype is torch.float64 else torch.float32
    left, top, right, bottom = boxes.to(wide).unbind(1)
    areas = (right - left) * (bottom - top)
    order = scores.argsort(stable=True, descending=True)
    kept = []
    while order.numel() > 0:
        best, others = order[0], order[1:]
        kept.append(best)
        width = torch.minimum(right[best], right[others]) - torch.maximum(left[best], left[others])
        height = torch.minimum(bottom[best], bottom[others]) - torch.maximum(top[best], top[others])
        both = width.clamp(min=0) * height.clamp(min=0)
        overlap = both / (areas[best] + areas[others] - both)
        # The threshold is a float64; so it is compared, as torchvision does.
        order = others[~(overlap.double() > iou_threshold)]
    return torch.stack(kept) if kept else order


@nms.shapes
def _(boxes: TensorInfo, scores: TensorInfo, *, iou_threshold: float) -> TensorInfo:
    if len(boxes.shape) != 2 or len(scores.shape) != 1:
        raise OperatorError(
            f"nms: boxes of rank {len(boxes.shape)}, scores of rank {len(scores.shape)}",
            fix="give boxes as [n, 4] and scores as [n]",
        )
    if not 0 <= iou_threshold <= 1:
        raise OperatorError(
            f"nms: the threshold is {iou_threshold}",
            fix="an intersection over union lies between 0 and 1",
        )
    return TensorInfo([DATA_DEPENDENT.at_most(boxes.shape[0])], "int64")


@nms.onnx
def _(op: Any, boxes: Any, scores: Any, *, iou_threshold: float) -> Any:
    selected = op.NonMaxSuppression(
        op.Unsqueeze(op.Cast(boxes, to=DataType.FLOAT), [0]),
        op.Unsqueeze(op.Cast(scores, to=DataType.FLOAT), [0, 1]),
        op.Shape(scores),
        [iou_threshold],
    )
    return op.Gather(selected, 2, axis=1)


@nms.cases
def _(draw: Draw) -> Any:
    n, dtype = draw.size(0, 60), draw.choice(DTYPES)
    corners = draw.tensor([n, 2], "float64", 0, 20)
    sizes = draw.tensor([n, 2], "float64", 0.1, 10)
    boxes = torch.cat([corners, corners + sizes], 1)
    # Whole numbers bring ties of scores and overlaps of exactly a threshold.
    if draw.flag():
        boxes, scores = boxes.round(), draw.tensor([n], "int32", 0, 6).double()
    else:
        scores = draw.tensor([n], "float64", 0, 1)
    element = getattr(torch, dtype)
    attributes = {"iou_threshold": draw.choice([0.0, 0.25, 0.5, draw.real(0, 1), 1.0])}
    return (boxes.to(element), scores.to(element)), attributes
