"""Functions whose symbolic is wrong in one way each."""

from __future__ import annotations

from typing import Any

import torch

Function = torch.autograd.Function


class MyAdd(Function):
    @staticmethod
    def symbolic(g: Any, a: Any, b: Any) -> Any:
        return g.op("my::Add", a, b)

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        return 3 * a + 2 * b

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return 3 * grad, 2 * grad


class Broken(Function):
    file = __file__
    line = 32

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        raise ValueError("this layout is not supported")

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2


class TooFew(Function):
    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Neg", x)

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return -x, x + 1


class OldReduceSum(Function):
    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("ReduceSum", x, axes_i=[1], keepdims_i=0)

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.sum(1)


class Scribbling(Function):
    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Relu", x)

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        return x.relu()


class Dropping(Function):
    @staticmethod
    def symbolic(g: Any, x: Any, offset: Any) -> Any:
        return g.op("Neg", x)

    @staticmethod
    def forward(ctx: Any, x: Any, offset: Any) -> Any:
        return -x + 0 * offset
