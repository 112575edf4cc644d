"""A node of a domain that nobody knows, and the kernel that is tied to its name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import modelport
from modelport import TensorInfo
from modelport.ops import DATA_DEPENDENT

NAME = "Just_A_Scope_Name::DynamicTRTResize"
LARGEST = 4
"""The largest scale: TensorRT reserves memory for it."""


class DynamicTRTResize(torch.autograd.Function):
    """A bicubic resize whose scales, float32 [2], are chosen at run time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scales: Tensor) -> Tensor:
        """Resizes images, float32 [N, C, H, W]."""
        return resize(x, scales)

    @staticmethod
    def symbolic(g: Any, x: Any, scales: Any) -> Any:
        """The node: an operator that neither ONNX nor any runtime has."""
        return g.op(NAME, x, scales)


def resize(x: Tensor, scales: Tensor) -> Tensor:
    """The node's computation in plain PyTorch."""
    factors = tuple(scales.tolist())
    return functional.interpolate(
        x, scale_factor=factors, mode="bicubic", align_corners=False, recompute_scale_factor=False
    )


class Enlarger(nn.Module):
    """A convolution on an enlarged picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor, scales: Tensor) -> Tensor:
        """Enlarges x, float32 [N, 3, H, W], by scales, float32 [2]."""
        return self.conv(DynamicTRTResize.apply(x, scales))


def bind() -> modelport.Operator:
    """Ties the kernels to the name."""
    operator = modelport.bind_operator(
        DynamicTRTResize, onnx=NAME, kernels=["kernel.cpp", "kernel.cu"], reference=resize
    )

    @operator.shapes
    def _(x: TensorInfo, scales: TensorInfo) -> TensorInfo:
        n, c, height, width = x.shape
        sizes = [DATA_DEPENDENT.at_most(size * LARGEST) for size in (height, width)]
        return x.like([n, c, *sizes])

    @operator.cases
    def _(draw: Any) -> Any:
        shape = [draw.integer(1, 2), draw.integer(1, 3), draw.integer(1, 9), draw.integer(1, 9)]
        return (draw.tensor(shape), draw.tensor([2], low=1, high=LARGEST)), {}

    return operator


def recipe() -> modelport.Recipe:
    """The model with its inputs, to deploy."""
    bind()
    torch.manual_seed(0)
    return modelport.Recipe(
        Enlarger().eval(),
        args=(torch.rand(1, 3, 12, 10), torch.tensor([3.0, 3.0])),
        input_names=["x", "scales"],
        output_names=["y"],
        dynamic={"x": {0: "batch", 2: "height", 3: "width"}},
        values={"scales": (1.0, float(LARGEST))},
        cases=[(torch.rand(2, 3, 9, 14), torch.tensor([4.0, 1.5]))],
        name="enlarger",
    )
