"""nms, float32, 10,000 boxes, against the same rule in vectorised NumPy: minima"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.interleave import Row, interleave
from benchmarks.ops.threads import thread_counts
from modelport.ops.library.nms.op import nms

ROUNDS = 12
COUNT, THRESHOLD = 10_000, 0.5


def run() -> list[Row]:
    torch.manual_seed(0)
    rows = []
    for threads in thread_counts():
        for name, side in (("few overlap", 1000), ("many overlap", 100)):
            corners = torch.rand(COUNT, 2) * side
            boxes = torch.cat([corners, corners + torch.rand(COUNT, 2) * 90 + 10], 1)
            scores = torch.rand(COUNT)
            arguments = boxes.numpy(), scores.numpy()
            kept = nms(boxes, scores, iou_threshold=THRESHOLD)
            assert np.array_equal(kept.numpy(), in_numpy(*arguments))
            timings = interleave(
                {
                    "ours": lambda boxes=boxes, scores=scores: nms(
                        boxes, scores, iou_threshold=THRESHOLD
                    ),
                    "numpy": lambda arguments=arguments: in_numpy(*arguments),
                },
                rounds=ROUNDS,
            )
            ours, other = timings["ours"].minimum, timings["numpy"].minimum
            where = f"{name} ({len(kept)} kept), {threads} thread{'s' * (threads > 1)}"
            ratio = other / ours
            rows += [
                Row(f"nms, {where}", f"{ours * 1e3:.2f} ms"),
                Row(f"over NumPy, {where}", f"{ratio:.0f}x", ">= 3x", ratio >= 3),
            ]
    return rows


def in_numpy(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Box after box, all that remain at once."""
    left, top, right, bottom = boxes.T
    areas = (right - left) * (bottom - top)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        width = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order])
        height = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order])
        both = np.maximum(width, 0) * np.maximum(height, 0)
        order = order[both / (areas[best] + areas[order] - both) <= THRESHOLD]
    return np.array(kept)
