"""Small networks with what matters in large ones, and their data."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import nn

import modelport
from tests.models.weights import randomize
from tests.support import Arrays


class Residual(nn.Module):
    """Convolutions with ReLUs, pooling, a sum, a mean and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 64, 3, padding=1)
        self.third = nn.Conv2d(64, 32, 1)
        self.fourth = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [N, 3, 16, 16] to [N, 10]."""
        skip = self.pool(torch.relu(self.first(x)))
        x = self.third(torch.relu(self.second(skip)))
        x = torch.relu(self.fourth(torch.relu(x + skip)))
        return self.head(x.mean((2, 3)))


class Attentive(nn.Module):
    """A normalization, a product of activations, and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.qkv = nn.Linear(64, 192)
        self.norm2 = nn.LayerNorm(64)
        self.up = nn.Linear(64, 128)
        self.down = nn.Linear(128, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [N, T, 64] to the same shape."""
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + torch.softmax(q @ k.transpose(-1, -2) / 8, -1) @ v
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm2(x))))


@functools.cache
def residual() -> tuple[nn.Module, modelport.Model]:
    """The convolutional network, and its capture."""
    net = randomize(Residual())
    example = torch.zeros(1, 3, 16, 16)
    return net, modelport.export(
        net, (example,), input_names=["x"], output_names=["y"], dynamic={"x": {0: "n"}}
    )


@functools.cache
def attentive(factor: float = 1.0) -> tuple[nn.Module, modelport.Model]:
    """The transformer's block, and its capture.

    Args:
        factor: How far one channel behind each normalization stands out.
    """
    net = randomize(Attentive())
    with torch.no_grad():
        net.norm.weight[5] *= factor
        net.norm2.weight[7] *= factor
    example = torch.zeros(1, 12, 64)
    return net, modelport.export(
        net, (example,), input_names=["x"], output_names=["y"], dynamic={"x": {0: "n"}}
    )


def pictures(count: int, seed: int = 0) -> list[Arrays]:
    """Inputs of the convolutional network."""
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(0.2, 1.0, (1, 3, 16, 16)).astype(np.float32)} for _ in range(count)]


def sentences(count: int, seed: int = 0) -> list[Arrays]:
    """Inputs of the transformer's block."""
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(0.0, 1.0, (1, 12, 64)).astype(np.float32)} for _ in range(count)]


def eager(net: nn.Module, case: Arrays) -> np.ndarray[Any, Any]:
    """What PyTorch makes of a case."""
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(case["x"])).numpy())
