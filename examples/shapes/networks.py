"""Small networks for pictures of shapes; `train.py` made their weights."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from shapes import CLASSES
from torch import Tensor, nn

SIDE = 64
STRIDE = 8


def features(*widths: int) -> nn.Sequential:
    """Convolutions that halve the picture, one a width."""
    layers: list[nn.Module] = []
    for before, width in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


class Classifier(nn.Module):
    """Classifier of the shape: logits [N, classes] of planes [N, 3, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = features(12, 24, 48)
        self.head = nn.Linear(48, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.head(self.features(x).amax((2, 3)))


class Segmenter(nn.Module):
    """Segmentation: the shape of each pixel, logits [N, 1 + classes, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = features(12, 24, 48)
        self.head = nn.Conv2d(48 + 3, 1 + len(CLASSES), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        wide = F.interpolate(self.features(x), x.shape[2:], mode="bilinear", align_corners=False)
        return self.head(torch.cat([wide, x], 1))


class Detector(nn.Module):
    """Detector of shapes: one box per cell of 8 by 8 pixels.

    Gives boxes [N, cells, 4] as center x, center y, width, height in pixels, and scores
    [N, cells, classes].
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = features(12, 24, 48)
        self.context = nn.Sequential(nn.Conv2d(48, 48, 5, padding=2), nn.ReLU())
        self.head = nn.Conv2d(48, 4 + len(CLASSES), 1)
        at = (torch.arange(SIDE // STRIDE) + 0.5) * STRIDE
        rows, columns = torch.meshgrid(at, at, indexing="ij")
        self.register_buffer("cells", torch.stack([columns, rows], -1).reshape(1, -1, 2))

    def raw(self, x: Tensor) -> Tensor:
        """Four numbers of a box and the logits of every cell: [N, cells, 4 + classes]."""
        return self.head(self.context(self.features(x))).flatten(2).transpose(1, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        raw = self.raw(x)
        centers = self.cells + raw[..., :2] * STRIDE
        return torch.cat([centers, raw[..., 2:4].exp() * STRIDE], -1), raw[..., 4:].sigmoid()


def load(model: nn.Module) -> nn.Module:
    """A network with the weights of `train.py`."""
    model.load_state_dict(torch.load(weights_of(model), weights_only=True))
    return model.eval()


def weights_of(model: nn.Module) -> Path:
    """File of a network's weights."""
    return Path(__file__).with_name(f"{type(model).__name__.lower()}.pth")
