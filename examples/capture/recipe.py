"""Models that the strategies of capturing treat differently; see docs/capture.md."""

import torch

import modelport


class Accumulate(torch.nn.Module):
    """Adds 0, 1, ..., n - 1: a Python loop over an input."""

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        """Adds to x, of any shape."""
        for i in range(n):
            x = x + i
        return x


class ByFirst(torch.nn.Module):
    """Multiplies by the value of a tensor as a Python float."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiplies x, of one dimension, by its first element."""
        return x * x[0].item()


class Rebuilt(torch.nn.Module):
    """Builds a tensor from a list of a tensor's elements."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gives x, of one dimension, again."""
        return torch.Tensor([i for i in x])  # noqa: C416


def accumulate() -> modelport.Recipe:
    """The loop."""
    return modelport.Recipe(Accumulate(), args=(torch.ones(4), 3), output_names=["y"])


def by_first() -> modelport.Recipe:
    """The value."""
    return modelport.Recipe(ByFirst(), args=(torch.tensor([2.0, 1.0, 3.0]),))


def rebuilt() -> modelport.Recipe:
    """The list."""
    return modelport.Recipe(Rebuilt(), args=(torch.tensor([2.0, 1.0, 3.0]),))
