"""A detector without anchors: at every cell, how far the edges of its shape are, and its class.

Tian et al., FCOS: Fully Convolutional One-Stage Object Detection, 2019, with one level of cells,
to which the coarser ones are added (Lin et al., Feature Pyramid Networks, 2017).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from scenes import CLASSES
from torch import Tensor, nn

SIDE = 160
STRIDE = 8
CHECKPOINT = Path(__file__).with_name("detector.pth")


def convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, normalised."""
    layers = [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


class Block(nn.Module):
    """A step down to half the size, and a residual convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = convolution(before, after, 2)
        self.more = convolution(after, after)

    def forward(self, x: Tensor) -> Tensor:
        """Halves height and width."""
        x = self.down(x)
        return x + self.more(x)


class Detector(nn.Module):
    """Detector of shapes on pictures of 160 by 160 pixels.

    Takes planes [N, 3, 160, 160] of 0..1; returns the boxes of all cells [N, 400, 4] as x1, y1, x2,
    y2 in pixels, and their scores [N, 400, classes].
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 16, 2)
        self.blocks = nn.ModuleList([Block(16, 32), Block(32, 48), Block(48, 64), Block(64, 96)])
        self.sides = nn.ModuleList([nn.Conv2d(width, 48, 1) for width in (48, 64, 96)])
        self.smooth = convolution(48, 48)
        self.head = nn.Sequential(convolution(48, 64), nn.Conv2d(64, 4 + len(CLASSES), 1))
        # So that scores begin low: nearly all cells see the ground.
        nn.init.constant_(self.head[-1].bias[4:], -4.0)
        at = (torch.arange(SIDE // STRIDE) + 0.5) * STRIDE
        rows, columns = torch.meshgrid(at, at, indexing="ij")
        self.register_buffer("cells", torch.stack([columns, rows], -1).reshape(1, -1, 2))

    def raw(self, x: Tensor) -> Tensor:
        """Logarithms of the four distances, in cells, and the logits: [N, 400, 4 + classes]."""
        x = self.blocks[0](self.stem(x))
        levels = []
        for block in self.blocks[1:]:
            x = block(x)
            levels.append(x)
        seen = self.sides[-1](levels[-1])
        for side, level in zip(self.sides[-2::-1], levels[-2::-1], strict=True):
            seen = side(level) + F.interpolate(seen, scale_factor=2.0)
        return self.head(self.smooth(seen)).flatten(2).transpose(1, 2)

    def boxes(self, raw: Tensor) -> Tensor:
        """The boxes that raw numbers stand for: [N, 400, 4]."""
        away = raw[..., :4].clamp(-4, 4).exp() * STRIDE
        return torch.cat([self.cells - away[..., :2], self.cells + away[..., 2:]], -1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        raw = self.raw(x)
        return self.boxes(raw), raw[..., 4:].sigmoid()


def load_detector() -> Detector:
    """The detector that `train.py` trained."""
    model = Detector()
    model.load_state_dict(torch.load(CHECKPOINT, weights_only=True))
    return model.eval()
