"""A decoder-only transformer whose cache of keys and values comes in and goes out.

The layout is Llama's: RMS norm, rotary positions (Su et al., 2021), gated SiLU.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.models.weights import randomize

Cache = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, float32 [N, heads, P, head_size] each."""


class RMSNorm(nn.Module):
    """Divides a vector by its root mean square."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [..., width] to the same shape."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weight


def rotate(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Turns pairs of a head's entries by angles that grow with the position.

    Args:
        x: Queries or keys, float32 [N, heads, T, head_size].
        positions: Their positions, float32 [T].

    Returns:
        The same shape.
    """
    half = x.shape[-1] // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float32) / half)
    angles = positions[:, None] * frequencies
    first, second = x[..., :half], x[..., half:]
    return torch.cat(
        [
            first * angles.cos() - second * angles.sin(),
            second * angles.cos() + first * angles.sin(),
        ],
        dim=-1,
    )


class Layer(nn.Module):
    """Causal attention over the past and the new tokens, and a gated perceptron."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm2 = RMSNorm(width)
        self.gate = nn.Linear(width, 3 * width, bias=False)
        self.up = nn.Linear(width, 3 * width, bias=False)
        self.down = nn.Linear(3 * width, width, bias=False)

    def forward(
        self, x: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Takes new tokens and the past, and returns the tokens and the past with them.

        Args:
            x: New tokens, float32 [N, T, width].
            past: Keys and values, float32 [N, heads, P, head_size] each.

        Returns:
            float32 [N, T, width], and keys and values of length P + T.
        """
        n, t, width = x.shape
        before = past[0].shape[2]
        qkv = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        positions = torch.arange(before, before + t)
        query = rotate(query, positions.float())
        key = torch.cat([past[0], rotate(key, positions.float())], dim=2)
        value = torch.cat([past[1], value], dim=2)
        visible = torch.arange(before + t)[None, :] <= positions[:, None]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        y = self.norm2(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y)), (key, value)


class Decoder(nn.Module):
    """Predicts the next token; 35 million parameters.

    Args:
        vocabulary: Number of tokens known.
        width: Size of a token's vector.
        depth: Number of layers.
        heads: Number of heads.
    """

    def __init__(
        self, vocabulary: int = 8000, width: int = 512, depth: int = 8, heads: int = 8
    ) -> None:
        super().__init__()
        self.heads, self.head_size = heads, width // heads
        self.embed = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(depth))
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: torch.Tensor, past: Cache) -> tuple[torch.Tensor, Cache]:
        """Predicts.

        Args:
            tokens: New tokens, int64 [N, T].
            past: Keys and values of P earlier tokens, of each layer.

        Returns:
            Scores of the next token after each new one, float32 [N, T, vocabulary], and the cache
            with the new tokens in it.
        """
        x = self.embed(tokens)
        present: Cache = []
        for layer, cached in zip(self.layers, past, strict=True):
            x, kept = layer(x, cached)
            present.append(kept)
        return self.head(self.norm(x)), present

    def random_past(self, n: int, length: int, seed: int = 0) -> Cache:
        """A cache of random keys and values, for ``length`` earlier tokens."""
        generator = torch.Generator().manual_seed(seed)
        shape = (n, self.heads, length, self.head_size)
        return [
            (torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))
            for _ in self.layers
        ]


def decoder(seed: int = 0) -> Decoder:
    """The decoder with random weights."""
    return randomize(Decoder(), seed)
