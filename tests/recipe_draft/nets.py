"""Modules that drafts are made for; each test has a copy beside its recipe."""

from __future__ import annotations

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.head = nn.Linear(16, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(image).flatten(1))


class Words(nn.Module):
    def __init__(self, rows: int = 30) -> None:
        super().__init__()
        self.embed = nn.Embedding(rows, 8)
        self.rnn = nn.GRU(8, 6, batch_first=True)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.rnn(self.embed(tokens) * mask[..., None])[0]


class Frames(nn.Module):
    """The batch is the second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(7, 5)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return self.rnn(samples)[0]


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Signal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(2, 3, 25, stride=4)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return self.layer(wave)


class Exact(nn.Module):
    """A module that takes pictures of one size alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Refusing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no input is good enough")


class Sized(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def number() -> int:
    return 3
