"""ViT-S/16 (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020; Touvron et al., 2020)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.models.weights import randomize


class Attention(nn.Module):
    """Self-attention of several heads.

    Args:
        width: Size of a token.
        heads: Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [N, T, width] to the same shape."""
        n, t, width = x.shape
        qkv = self.qkv(x).reshape(n, t, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(n, t, width))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalized first and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [N, T, width] to the same shape."""
        x = x + self.attention(self.norm1(x))
        return x + self.perceptron(self.norm2(x))


class VisionTransformer(nn.Module):
    """Classifies images of one size; 22 million parameters.

    Args:
        size: Height and width of an image.
        patch: Height and width of a patch.
        width: Size of a token.
        depth: Number of blocks.
        heads: Number of heads.
        classes: Number of classes.
    """

    def __init__(
        self,
        size: int = 224,
        patch: int = 16,
        width: int = 384,
        depth: int = 12,
        heads: int = 6,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Classifies.

        Args:
            image: Normalized images, float32 [N, 3, size, size].

        Returns:
            Scores, float32 [N, classes].
        """
        patches = self.embed(image).flatten(2).transpose(1, 2)
        token = self.token.expand(image.shape[0], -1, -1)
        x = torch.cat([token, patches], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit_s16(seed: int = 0) -> VisionTransformer:
    """ViT-S/16 for images of 224 x 224, with random weights."""
    model = randomize(VisionTransformer(), seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for parameter in (model.token, model.positions):
        parameter.data.normal_(0, 0.5, generator=generator)
    return model
