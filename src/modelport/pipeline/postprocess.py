"""Steps after the model: from its outputs to results."""

from __future__ import annotations

from typing import Any

from modelport.errors import UsageError
from modelport.pipeline.image_state import Frame, step


@step
def softmax(frame: Frame, axis: int = -1, of: str = "scores") -> None:
    """Scores that add up to 1 along an axis."""
    frame.values["scores"] = frame.take(of, "softmax").softmax(axis)


@step
def top_k(frame: Frame, k: int = 5, of: str = "scores") -> None:
    """The k highest scores along the last axis, the highest first, and their numbers.

    Gives ``scores`` and ``labels`` (int64), both [N, k].
    """
    scores, labels = frame.take(of, "top_k").topk(k)
    frame.values |= {"scores": scores, "labels": labels}


@step
def argmax(frame: Frame, axis: int = 1, of: str = "scores", to: str = "labels") -> None:
    """The number of the highest score along an axis, int64; of equal ones the first."""
    frame.values[to] = frame.take(of, "argmax").argmax(axis)


@step
def resize_mask(frame: Frame, of: str = "scores") -> None:
    """Scores of every pixel, [N, C, h, w], at the size of the picture: [N, C, H, W].

    Bilinear, with the formula of ``torch.nn.functional.interpolate(align_corners=False)``: first
    to the size of what the model saw, then what a letterbox added is cut off (and what a crop cut
    off is 0), then to the size of the picture.
    """
    import torch.nn.functional as F

    window = frame.placed("resize_mask")
    scores, seen = frame.take(of, "resize_mask"), frame.seen
    if scores.ndim != 4:
        raise UsageError(
            f"resize_mask takes scores of [N, C, h, w], not {list(scores.shape)}",
            fix="put it before argmax",
        )
    if tuple(scores.shape[2:]) != tuple(seen):
        scores = F.interpolate(scores, seen, mode="bilinear", align_corners=False)
    top, left, height, width = window.top, window.left, window.height, window.width
    if window.is_cut:
        over = (left + width - seen[1], top + height - seen[0])
        scores = F.pad(scores, (-left, over[0], -top, over[1]))
    else:
        scores = scores[:, :, top : top + height, left : left + width]
    size = frame.picture.shape[-3:-1]
    frame.values["scores"] = F.interpolate(scores, size, mode="bilinear", align_corners=False)


@step
def decode_ctc(frame: Frame, blank: int = 0, of: str = "scores") -> None:
    """Greedy CTC decoding (Graves et al. 2006): repetitions, then blanks, are removed.

    Gives ``labels``, int64 [characters]: numbers of the model's classes.

    Args:
        frame: Scores of every character at every time: [1, T, C].
        blank: The number of the blank.
        of: The scores' name.
    """
    import torch

    scores = frame.take(of, "decode_ctc")
    _require_single(scores, "decode_ctc")
    best = scores[0].argmax(-1)
    before = torch.cat([torch.full_like(best[:1], blank), best[:-1]])
    kept = (best != blank) & (best != before)
    frame.values["labels"] = best[kept]


@step
def keypoints_from_heatmaps(frame: Frame, of: str = "heatmaps") -> None:
    """Position of each heatmap's maximum, in pixels of the picture.

    A place is moved by a quarter of the heatmap's pixel towards the higher neighbour on either
    axis (Newell et al. 2016). The center of the picture's first pixel is at (0.5, 0.5).

    Gives ``keypoints``, float32 [N, K, 2] as (x, y), and ``scores``, float32 [N, K].

    Args:
        frame: Heatmaps [N, K, h, w].
        of: Their name.
    """
    import torch

    window = frame.placed("keypoints_from_heatmaps")
    maps = frame.take(of, "keypoints_from_heatmaps")
    height, width = maps.shape[2:]
    flat = maps.flatten(2)
    scores, index = flat.max(2)
    coordinates = []
    for coordinate, step_size, size, axis in (
        (index % width, 1, width, 1),
        (index // width, width, height, 0),
    ):
        inside = (coordinate > 0) & (coordinate < size - 1)
        before, after = (
            flat.gather(2, (index + sign * step_size).clamp(0, height * width - 1)[..., None])[
                ..., 0
            ]
            for sign in (-1, 1)
        )
        moved = coordinate + 0.5 + torch.where(inside, 0.25 * (after - before).sign(), 0.0)
        seen, begin, extent, full = (
            (frame.seen[1], window.left, window.width, frame.picture.shape[-2])
            if axis
            else (frame.seen[0], window.top, window.height, frame.picture.shape[-3])
        )
        coordinates.append(
            (moved * _number(seen) / size - _number(begin)) * _number(full) / _number(extent)
        )
    frame.values |= {"keypoints": torch.stack(coordinates, -1), "scores": scores}


@step
def to_image(frame: Frame, scale: float = 1.0, of: str = "picture") -> None:
    """A picture among the model's outputs, [N, C, H, W], as bytes: scaled, rounded, clipped.

    Adds ``picture``: uint8 [N, H, W, C], or [H, W, C] where the input was a single picture.
    """
    import torch

    planes = frame.take(of, "to_image")
    made = (planes * scale).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    frame.values["picture"] = made if frame.picture.ndim == 4 else made[0]


def _require_single(tensor: Any, name: str) -> None:
    if isinstance(tensor.shape[0], int) and tensor.shape[0] != 1:
        raise UsageError(
            f"{name} takes one picture at a time, not {tensor.shape[0]}",
            fix="leave the batch out of the example: a picture [H, W, 3]",
        )


def _number(value: Any) -> Any:
    """A size, which may be a symbol, as a tensor of rank 0."""
    import torch

    return torch.scalar_tensor(value, dtype=torch.float32)
