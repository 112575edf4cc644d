"""U-Net (Ronneberger et al., 2015), padded, with batch norm, for images of any multiple of 16."""

from __future__ import annotations

import torch
from torch import nn

from tests.models.weights import randomize


def twice(channels: int, out: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.Conv2d(out, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Classifies every pixel; 31 million parameters.

    Args:
        classes: Number of classes.
        width: Channels at the full size; they double at each of four halvings.
    """

    def __init__(self, classes: int = 2, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.encoders = nn.ModuleList(
            twice(before, after) for before, after in zip([3, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(2 * level, level, 2, 2) for level in reversed(widths[:-1])
        )
        self.decoders = nn.ModuleList(twice(2 * level, level) for level in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Classifies pixels.

        Args:
            image: Images, float32 [N, 3, H, W], with H and W multiples of 16.

        Returns:
            Scores, float32 [N, classes, H, W].
        """
        skips: list[torch.Tensor] = []
        x = image
        for level, encoder in enumerate(self.encoders):
            x = encoder(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)


def unet(seed: int = 0) -> UNet:
    """U-Net with random weights."""
    return randomize(UNet(), seed)
