"""Steps on boxes: x1, y1, x2, y2 in pixels, where the edges of the first pixel are 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError
from modelport.pipeline.image_state import Frame, step
from modelport.pipeline.preprocess import sizes_of

if TYPE_CHECKING:
    import torch


@step
def boxes_from_centers(frame: Frame, of: str = "boxes") -> None:
    """Boxes given as center x, center y, width, height become x1, y1, x2, y2."""
    import torch

    boxes = frame.take(of, "boxes_from_centers")
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    frame.values["boxes"] = torch.cat([middle - half, middle + half], -1)


@step
def nms(
    frame: Frame,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.25,
    max_detections: int = 100,
    class_agnostic: bool = False,
) -> None:
    """Of boxes that overlap, those with the highest scores: ``torchvision.ops.batched_nms``.

    Each box counts with its best class. Takes ``boxes`` [1, n, 4] and ``scores`` [1, n, C], and
    returns ``boxes`` [m, 4], ``scores`` [m] and ``labels`` [m] (int64), the highest score first.

    Args:
        frame: Boxes and scores.
        iou_threshold: Boxes whose intersection over union is above it are the same thing.
        score_threshold: Boxes whose score is not above it are left out first.
        max_detections: How many boxes are kept at most.
        class_agnostic: Whether boxes of different classes may be the same thing.
    """
    from modelport.ops.library.nms.op import nms as suppress

    boxes, scores = frame.take("boxes", "nms"), frame.take("scores", "nms")
    if boxes.ndim != 3 or scores.ndim != 3:
        raise UsageError(
            f"nms takes boxes [1, n, 4] and scores [1, n, C], not {list(boxes.shape)} and "
            f"{list(scores.shape)}"
        )
    boxes, (best, labels) = boxes[0], scores[0].max(-1)
    # So far apart that boxes of different classes do not meet.
    apart = boxes.max() - boxes.min() + 1
    certain = (best > score_threshold).nonzero()[:, 0]
    boxes, best, labels = boxes[certain], best[certain], labels[certain]
    moved = boxes if class_agnostic else boxes + (labels * apart)[:, None]
    kept = suppress(moved, best, iou_threshold=iou_threshold)[:max_detections]
    frame.values |= {"boxes": boxes[kept], "scores": best[kept], "labels": labels[kept]}


@step
def scale_boxes_back(frame: Frame, of: str = "boxes") -> None:
    """Converts boxes in pixels of the model's input to pixels of the picture."""
    window = frame.placed("scale_boxes_back")
    boxes = frame.take(of, "scale_boxes_back")
    height, width = frame.picture.shape[-3:-1]
    begin = _four(window.left, window.top)
    factor = _four(width, height) / _four(window.width, window.height)
    frame.values = {"boxes": (boxes - begin) * factor, **frame.values}


@step
def clip_to_image(frame: Frame, of: str = "boxes") -> None:
    """Clips boxes to the picture."""
    import torch

    boxes = frame.take(of, "clip_to_image")
    height, width = frame.picture.shape[-3:-1]
    clipped = torch.minimum(boxes.clamp(min=0), _four(width, height))
    frame.values = {"boxes": clipped, **frame.values}


@step
def crop_boxes(frame: Frame, size: int | Sequence[int]) -> None:
    """Crops boxes out of the picture, each resized to one size.

    Bilinear at the center of every pixel of the result, as ``torchvision.ops.roi_align`` with
    ``aligned=True, sampling_ratio=1`` does, rounded to even.

    Takes ``boxes`` [n, 4] in pixels of the picture, and adds ``crops``, uint8 [n, height, width,
    C].

    Args:
        frame: The boxes, and the picture.
        size: [height, width]; one number for both.
    """
    import torch

    from modelport.ops.library.roi_align.op import roi_align

    if frame.picture.ndim != 3:
        raise UsageError("crop_boxes takes one picture at a time", fix="a picture is [H, W, 3]")
    boxes = frame.take("boxes", "crop_boxes")
    height, width = sizes_of(size, "exact")
    picture = frame.picture.permute(2, 0, 1)[None].to(torch.float32)
    regions = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)
    crops = roi_align(
        picture,
        regions,
        spatial_scale=1.0,
        pooled_height=height,
        pooled_width=width,
        sampling_ratio=1,
        aligned=True,
    )
    cut = crops.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    frame.values = {"boxes": boxes, **frame.values, "crops": cut}


def _four(x: Any, y: Any) -> torch.Tensor:
    """x, y, x, y as a tensor; sizes may be symbols."""
    import torch

    pair = [torch.scalar_tensor(value, dtype=torch.float32) for value in (x, y)]
    return torch.stack(pair * 2)
