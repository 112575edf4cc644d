"""nms against ONNX's NonMaxSuppression in ONNX Runtime, and against the rule box by box."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.nms.op import nms
from tests.ops.library.agreement import drawn, require_agreement


def by_the_rule(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> list[int]:
    """Box by box, in Python numbers."""
    values, points = boxes.tolist(), scores.tolist()
    kept: list[int] = []
    for i in sorted(range(len(values)), key=lambda i: (-points[i], i)):
        if all(_overlap(values[i], values[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def _overlap(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height) if areas > 0 else 0.0


def by_onnxruntime(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> np.ndarray:
    value, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    constants = [
        onnx.helper.make_tensor("most", types.INT64, [1], [len(boxes)]),
        onnx.helper.make_tensor("threshold", types.FLOAT, [1], [threshold]),
    ]
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node(
                "NonMaxSuppression", ["boxes", "scores", "most", "threshold"], ["y"]
            )
        ],
        "nms",
        [value("boxes", types.FLOAT, [1, None, 4]), value("scores", types.FLOAT, [1, 1, None])],
        [value("y", types.INT64, [None, 3])],
        constants,
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    arrays = {"boxes": boxes[None].numpy(), "scores": scores[None, None].numpy()}
    return session.run(None, arrays)[0][:, 2]


def many(count: int, side: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, generator=generator) * side
    sizes = torch.rand(count, 2, generator=generator) * 90 + 10
    return torch.cat([corners, corners + sizes], 1), torch.rand(count, generator=generator)


def test_everything_that_comes_of_it() -> None:
    prove_operator(nms, cases=16, exports=1).require()


def test_reference_and_kernel_follow_the_rule() -> None:
    kept = 0
    for (boxes, scores), attributes in drawn(nms, 120):
        if boxes.dtype is not torch.float64:
            continue
        expected = by_the_rule(boxes, scores, attributes["iou_threshold"])
        for given in (nms.reference, nms):
            assert given(boxes, scores, **attributes).tolist() == expected
        kept += len(expected)
    assert kept > 100


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_thousands_of_boxes(threshold: float, threads: int) -> None:
    boxes, scores = many(3000, 300)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        actual = nms(boxes, scores, iou_threshold=threshold)
    finally:
        torch.set_num_threads(before)
    assert actual.dtype == torch.int64
    assert np.array_equal(actual.numpy(), by_onnxruntime(boxes, scores, threshold))


def test_equal_scores_go_by_place_and_nan_comes_first() -> None:
    boxes = torch.tensor([[0.0, 0, 1, 1]]).repeat(5, 1) + 10 * torch.arange(5.0)[:, None]
    nan = float("nan")
    scores = torch.tensor([0.5, 0.9, 0.5, nan, float("inf")])
    expected = torch.tensor([3, 4, 1, 0, 2])
    assert torch.equal(nms(boxes, scores, iou_threshold=0.5), expected)
    assert torch.equal(nms.reference(boxes, scores, iou_threshold=0.5), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_an_overlap_of_just_the_threshold_is_kept(dtype: torch.dtype) -> None:
    boxes = torch.tensor([[0, 0, 2, 1], [1, 0, 2, 1], [0, 0, 0, 0], [0, 0, 2, 1]], dtype=dtype)
    scores = torch.tensor([4, 3, 2, 1], dtype=dtype)
    assert nms(boxes, scores, iou_threshold=0.5).tolist() == [0, 1, 2]
    assert nms(boxes, scores, iou_threshold=0.49).tolist() == [0, 2]
    assert nms(boxes, scores, iou_threshold=1.0).tolist() == [0, 1, 2, 3]


def test_boxes_that_are_no_boxes_are_kept() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [1, 1, float("nan"), 4], [0, 0, 4, 4.1]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert nms(boxes, scores, iou_threshold=0.5).tolist() == [0, 1]
    assert nms.reference(boxes, scores, iou_threshold=0.5).tolist() == [0, 1]


def test_no_boxes() -> None:
    require_agreement(nms, (torch.zeros(0, 4), torch.zeros(0)), iou_threshold=0.5)


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "said"),
    [
        ((3, 5), (3,), 0.5, r"they have \[3, 5\]"),
        ((3, 4), (2,), 0.5, r"and \[2\]"),
        ((3, 4, 1), (3,), 0.5, "boxes of rank 3"),
        ((3, 4), (3,), 1.5, "the threshold is 1.5"),
        ((3, 4), (3,), float("nan"), "the threshold is nan"),
    ],
)
def test_bad_inputs(boxes: Any, scores: Any, threshold: float, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        nms(torch.zeros(boxes), torch.zeros(scores), iou_threshold=threshold)
