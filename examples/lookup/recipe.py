"""A model with operators that ONNX does not have: something to look up."""

import torch
from torch import nn

from modelport.recipe import Recipe


class Whitening(nn.Module):
    """Scales the principal directions of a batch of features by a Bessel window."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encodes, decomposes, weights.

        Args:
            x: Features, float32 [N, 8].

        Returns:
            Weighted features, float32 [N, 6].
        """
        u, s, vh = torch.linalg.svd(torch.asinh(self.encode(x)), full_matrices=False)
        return (u * (torch.special.i0(s) * s)) @ vh


def recipe() -> Recipe:
    """The model with an example of its input."""
    return Recipe(Whitening().eval(), (torch.randn(6, 8),))
