"""The models of the stored bundles."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def seeded(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The module with weights that depend on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    return module.eval()


class Pictures(torch.nn.Module):
    """Planes of a picture to as many planes."""

    def __init__(self) -> None:
        super().__init__()
        self.before = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.after = torch.nn.Conv2d(4, 3, 3, padding=1)
        seeded(self, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.after(F.relu(self.before(image)))


class Rows(torch.nn.Module):
    """Rows of `width` numbers to scores of `classes` each."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(width, 8)
        self.last = torch.nn.Linear(8, classes)
        seeded(self, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.hidden(x)))


class Best(torch.nn.Module):
    """Rows of five numbers to the two best of three classes: their scores and numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.last = seeded(torch.nn.Linear(5, 3), 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores, labels = self.last(x).softmax(-1).topk(2)
        return scores, labels


class Tilted(torch.nn.Module):
    """Rows through the operator of ``tilt/``."""

    def __init__(self) -> None:
        super().__init__()
        self.last = seeded(torch.nn.Linear(6, 5), 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.stored.tilt(self.last(x), slope=0.125)


class Scores(torch.nn.Module):
    """Planes of a picture to the scores of four classes."""

    def __init__(self) -> None:
        super().__init__()
        self.planes = torch.nn.Conv2d(3, 4, 3, stride=2)
        seeded(self, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.planes(image).relu().mean((2, 3))


class Dtypes(torch.nn.Module):
    """Bytes, halves and a double to a whole number, truth values and halves."""

    def forward(
        self, level: torch.Tensor, half: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        return level.to(torch.int64).sum(), half > 0, half.to(torch.float64) * scale


class Positive(torch.nn.Module):
    """The rows that begin with a positive number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[(x[:, 0] > 0).nonzero()[:, 0]]
