"""ResNet-50 (He et al., "Deep Residual Learning for Image Recognition", 2015)."""

from __future__ import annotations

import torch
from torch import nn

from tests.models.weights import randomize


def convolution(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, padded to keep its size, and its batch norm."""
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out)
    )


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the stride is in the middle one.

    Args:
        channels: Channels that come in.
        width: Channels of the 3x3 convolution; four times as many go out.
        stride: Stride of the 3x3 convolution.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.reduce = convolution(channels, width, 1)
        self.spatial = convolution(width, width, 3, stride)
        self.expand = convolution(width, 4 * width, 1)
        self.shortcut = (
            convolution(channels, 4 * width, 1, stride)
            if stride != 1 or channels != 4 * width
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [N, C, H, W] to float32 [N, 4 * width, H / stride, W / stride]."""
        y = self.reduce(x).relu()
        y = self.spatial(y).relu()
        return (self.expand(y) + self.shortcut(x)).relu()


class ResNet50(nn.Module):
    """Classifies images; 25.6 million parameters.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        blocks: list[nn.Module] = []
        channels = 64
        for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for index in range(count):
                blocks.append(Bottleneck(channels, width, stride if index == 0 else 1))
                channels = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Classifies.

        Args:
            image: Normalized images, float32 [N, 3, H, W].

        Returns:
            Scores, float32 [N, classes].
        """
        features = self.blocks(self.stem(image))
        return self.head(features.mean((2, 3)))


def resnet50(seed: int = 0) -> ResNet50:
    """ResNet-50 with random weights whose residuals stay small beside the shortcut."""
    model = randomize(ResNet50(), seed)
    for block in model.blocks:
        assert isinstance(block, Bottleneck)
        block.expand[1].weight.data.mul_(0.3)
    return model
