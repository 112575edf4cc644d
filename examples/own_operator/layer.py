"""A function of one's own in C++, a symbolic of standard operators, and a layer around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class MyAdd(torch.autograd.Function):
    """2a + b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        """Calls the C++ function."""
        return torch.ops.my_lib.my_add(a, b)

    @staticmethod
    def symbolic(g: Any, a: Any, b: Any) -> Any:
        """The same of ONNX's own operators."""
        two = g.op("Constant", value_t=torch.tensor(2.0))
        return g.op("Add", g.op("Mul", a, two), b)


class WeightedAdd(torch.autograd.Function):
    """3a + 2b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        """Calls the C++ function with other factors."""
        return torch.ops.my_lib.my_add(a, b, alpha=3.0, beta=2.0)

    @staticmethod
    def symbolic(g: Any, a: Any, b: Any) -> Any:
        """The same of ONNX's own operators."""
        three = g.op("Constant", value_t=torch.tensor(3.0))
        two = g.op("Constant", value_t=torch.tensor(2.0))
        return g.op("Add", g.op("Mul", a, three), g.op("Mul", b, two))


class AddLayer(nn.Module):
    """Either function as a layer."""

    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Adds two tensors of one shape."""
        return self.function.apply(a, b)
