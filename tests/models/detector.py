"""A detection head without anchors (Tian et al., "FCOS", 2019), ending in non-maximum suppression.

The suppression is an autograd Function: plain torch in eager mode, and ONNX's
``NonMaxSuppression`` in a graph.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.models.weights import randomize


class Suppression(torch.autograd.Function):
    """Keeps the best of the boxes that overlap, class by class."""

    @staticmethod
    def forward(
        ctx: Any, boxes: torch.Tensor, scores: torch.Tensor, most: int, overlap: float, least: float
    ) -> torch.Tensor:
        """Selects boxes.

        Args:
            ctx: Autograd context, unused.
            boxes: Boxes as (left, top, right, bottom), float32 [N, A, 4].
            scores: Scores, float32 [N, C, A].
            most: The most boxes to keep of one class in one image.
            overlap: Boxes that overlap a better one by more (intersection over union) go.
            least: Boxes with a lower score go.

        Returns:
            (image, class, box) of each box kept, int64 [K, 3]: by image, class and falling score.
        """
        kept = [
            (image, label, box)
            for image in range(boxes.shape[0])
            for label in range(scores.shape[1])
            for box in _suppress(boxes[image], scores[image, label], most, overlap, least)
        ]
        return torch.tensor(kept, dtype=torch.int64).reshape(-1, 3)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, most: int, overlap: float, least: float) -> Any:
        """Emits the ONNX operator, whose three limits are constant inputs."""
        return g.op(
            "NonMaxSuppression",
            boxes,
            scores,
            g.op("Constant", value_t=torch.tensor([most])),
            g.op("Constant", value_t=torch.tensor([overlap], dtype=torch.float32)),
            g.op("Constant", value_t=torch.tensor([least], dtype=torch.float32)),
        )


def _suppress(
    boxes: torch.Tensor, scores: torch.Tensor, most: int, overlap: float, least: float
) -> list[int]:
    """Indices of the boxes of one class in one image that are kept, best first."""
    candidates = (scores > least).nonzero()[:, 0]
    candidates = candidates[scores[candidates].argsort(descending=True, stable=True)]
    kept: list[int] = []
    while len(candidates) and len(kept) < most:
        best, candidates = candidates[0], candidates[1:]
        kept.append(int(best))
        candidates = candidates[_overlaps(boxes[best], boxes[candidates]) <= overlap]
    return kept


def _overlaps(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of a box, [4], with others, [A, 4]: float32 [A]."""
    low = torch.maximum(box[:2], others[:, :2])
    high = torch.minimum(box[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = (others[:, 2:] - others[:, :2]).prod(-1)
    return shared / ((box[2:] - box[:2]).prod() + areas - shared)


class Tower(nn.Module):
    """Four 3x3 convolutions with group norm, and the one that predicts."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.GroupNorm(32, channels),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.predict = nn.Conv2d(channels, out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [N, channels, H, W] to float32 [N, out, H, W]."""
        return self.predict(self.layers(x))


class DetectionHead(nn.Module):
    """Finds objects in the feature maps of a backbone.

    Args:
        channels: Channels of the feature maps.
        classes: Number of classes.
        strides: Pixels of the image that one cell of each map stands for.
    """

    def __init__(
        self, channels: int = 256, classes: int = 80, strides: tuple[int, ...] = (8, 16, 32)
    ) -> None:
        super().__init__()
        self.strides = strides
        self.classify = Tower(channels, classes)
        self.regress = Tower(channels, 4)

    def decode(self, features: torch.Tensor, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes and scores of one map.

        Args:
            features: A feature map, float32 [N, channels, H, W].
            stride: Pixels a cell.

        Returns:
            Boxes in pixels as (left, top, right, bottom), float32 [N, H * W, 4], and scores,
            float32 [N, classes, H * W].
        """
        scores = self.classify(features).sigmoid().flatten(2)
        distances = self.regress(features).exp().flatten(2).transpose(1, 2) * stride
        height, width = features.shape[2:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centers = (torch.stack([columns, rows], dim=-1).reshape(-1, 2) + 0.5) * stride
        boxes = torch.cat([centers - distances[..., :2], centers + distances[..., 2:]], dim=-1)
        return boxes, scores

    def forward(
        self, fine: torch.Tensor, middle: torch.Tensor, coarse: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Detects.

        Args:
            fine: Feature map at the first stride, float32 [N, channels, H, W].
            middle: The map at the second stride.
            coarse: The map at the third stride.

        Returns:
            For K objects: boxes, float32 [K, 4]; scores, float32 [K]; (image, class), int64 [K, 2].
        """
        decoded = [
            self.decode(features, stride)
            for features, stride in zip((fine, middle, coarse), self.strides, strict=True)
        ]
        boxes = torch.cat([boxes for boxes, _ in decoded], dim=1)
        scores = torch.cat([scores for _, scores in decoded], dim=2)
        kept = Suppression.apply(boxes, scores, 20, 0.6, 0.3)
        image, label, box = kept.unbind(1)
        return boxes[image, box], scores[image, label, box], kept[:, :2]


def detection_head(seed: int = 0) -> DetectionHead:
    """The head with random weights, of which a few cells are sure of something."""
    model = randomize(DetectionHead(), seed)
    model.classify.predict.weight.data.mul_(1.2)
    model.classify.predict.bias.data.sub_(4.5)
    model.regress.predict.weight.data.mul_(0.2)
    model.regress.predict.bias.data.add_(1.0)
    return model
