"""Arithmetic on sizes: what stays symbolic, and what freezes the example's size."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from modelport import Dim
from tests.export.corpus.entry import Flagged, Refused, Right, entry, rand, randn

IMAGE = {"x": {2: "h", 3: "w"}}
BATCH = {"x": {0: "n"}}


def image(height: int = 8, width: int = 8, batch: int = 1) -> tuple[torch.Tensor]:
    """One input: images, float32 [batch, 3, height, width]."""
    return (rand(batch, 3, height, width),)


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Refused("shape-baked"),
    trace=Refused("value-baked", "shape-baked"),
    auto=Right(bare="wrong"),
)
class HalfByFloat(nn.Module):
    """dynamo says nothing: torch throws the guard away."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = int(x.shape[2] * 0.5), int(x.shape[3] * 0.5)
        return functional.interpolate(x, size=size, mode="nearest")


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Refused("shape-baked"),
    trace=Refused("value-baked", "shape-baked"),
)
class HalfByDivision(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(x, 1).expand(-1, -1, int(x.shape[2] / 2), 1)


@entry(
    image,
    lambda: [image(12, 16)],
    dynamic=IMAGE,
    dynamo=Refused("shape-baked"),
    trace=Refused("value-baked", "shape-baked"),
)
class HalfByNumpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = int(np.floor(x.shape[2] * 0.5))
        return x[:, :, :half] + 1


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Right(),
    auto=Right(),
)
class HalfByFloorDivision(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, : x.shape[2] // 2, : x.shape[3] // 2] + 1


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Flagged("resize-by-size"),
    trace=Flagged("resize-by-size"),
)
class DoubleBySize(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, size=(x.shape[2] * 2, x.shape[3] * 2), mode="bilinear")


@entry(
    lambda: image(30, 40),
    lambda: [image(32, 64), image(33, 100), image(70, 1)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Refused("value-baked", "shape-baked"),
)
class PadByCeil(nn.Module):
    """Padding to a multiple of 32, as detectors do, in floats, which dynamo can follow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bottom = math.ceil(x.shape[2] / 32) * 32 - x.shape[2]
        right = math.ceil(x.shape[3] / 32) * 32 - x.shape[3]
        return functional.pad(x, (0, right, 0, bottom))


@entry(
    lambda: image(30, 40),
    lambda: [image(32, 64), image(33, 100), image(70, 1)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Right(),
)
class PadByRemainder(nn.Module):
    """The same in whole numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x, (0, -x.shape[3] % 32, 0, -x.shape[2] % 32))


@entry(
    lambda: (randn(2, 16, 4),),
    lambda: [(randn(2, 25, 4),), (randn(1, 9, 4),)],
    dynamic={"x": {0: "n", 1: "tokens"}},
    dynamo=Right(),
    trace=Refused("value-baked", "shape-baked"),
)
class SquareOfTokens(nn.Module):
    """Vision transformers fold their tokens back into a square."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = int(x.shape[1] ** 0.5)
        return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], side, side)


@entry(
    lambda: (randn(2, 5, 8),),
    lambda: [(randn(1, 9, 8),), (randn(3, 1, 8),)],
    dynamic={"x": {0: "n", 1: "t"}},
    dynamo=Right(),
    trace=Right(),
)
class ViewBySize(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.size(0), -1)


@entry(
    lambda: (randn(2, 3, 4),),
    lambda: [(randn(1, 3, 4),), (randn(5, 3, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Refused("batch-baked", "value-baked", "shape-baked"),
)
class ViewByInt(nn.Module):
    """``int()`` around a size looks harmless and bakes the batch when tracing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        zeros = torch.zeros(x.shape[0], 1)
        return torch.cat([x.reshape(int(x.size(0)), 12), zeros], dim=1)


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(1, 4),), (randn(7, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Refused("value-baked", "shape-baked", "batch-baked"),
)
class ZerosByLength(nn.Module):
    """``len(x)`` is a Python number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x.new_zeros(len(x), 2)], dim=1)


@entry(
    lambda: (randn(2, 5, 8),),
    lambda: [(randn(1, 9, 8),), (randn(4, 1, 8),)],
    dynamic={"x": {0: "n", 1: "t"}},
    dynamo=Right(),
    trace=Right(),
)
class PositionsByArange(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table(torch.arange(x.shape[1], device=x.device))


@entry(
    lambda: (randn(2, 5, 8),),
    lambda: [(randn(1, 9, 8),), (randn(4, 16, 8),)],
    dynamic={"x": {0: "n", 1: Dim("t", min=1, max=16)}},
    dynamo=Right(),
    trace=Right(),
)
class PositionsBySlice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, 16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table[:, : x.shape[1]]


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Refused("shape-baked", "differs"),
    trace=Refused("value-baked", "shape-baked"),
)
class MeanByProduct(nn.Module):
    """``numpy.prod`` of sizes bakes the divisor, in silence."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum() / float(np.prod(x.shape[2:]))


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Right(),
)
class MeanByNumel(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum() / x.numel()


@entry(
    lambda: (randn(2, 4, 6),),
    lambda: [(randn(2, 4, 9),), (randn(2, 4, 1),)],
    dynamic={"x": {2: "width"}},
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked", "shape-baked"),
    auto=Right(bare="fails"),
)
class AttentionBySqrt(nn.Module):
    """The scale of attention, where the width itself is dynamic."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ x.transpose(1, 2) / math.sqrt(x.shape[-1])).softmax(-1)


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("capturing", bare="fails"),
    auto=Refused(bare="fails"),
)
class PoolBySize(nn.Module):
    """A global pooling whose kernel is the size of the image: an attribute in ONNX."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, kernel_size=(x.shape[2], x.shape[3])).flatten(1)


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Right(),
)
class PoolToOne(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Right(bare="wrong"),
    trace=Right(bare="fails"),
    auto=Right(bare="wrong"),
)
class PoolToTwo(nn.Module):
    """Windows that depend on the size: dynamo bakes the example's, and says nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(x, 2)


@entry(
    lambda: (randn(2, 3, 6),),
    lambda: [(randn(2, 3, 7),), (randn(2, 3, 1),)],
    dynamic={"x": {2: "t"}},
    dynamo=Right(),
    trace=Right(),
)
class PadToEven(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x, (0, x.shape[-1] % 2))


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Right(),
)
class GridByArange(nn.Module):
    """Coordinates appended as channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, h, w = x.shape
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack([rows / h, columns / w]).to(x.dtype)
        return torch.cat([x, grid.expand(n, -1, -1, -1)], dim=1)


@entry(
    image,
    lambda: [image(12, 16), image(7, 9)],
    dynamic=IMAGE,
    dynamo=Right(bare="fails"),
    trace=Right(),
    auto=Right(bare="fails"),
)
class GridByLinspace(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.linspace(-1, 1, x.shape[3])


@entry(
    lambda: (rand(1, 3, 4, 4), rand(1, 3, 8, 8)),
    lambda: [(rand(1, 3, 5, 6), rand(1, 3, 7, 9)), (rand(1, 3, 4, 4), rand(1, 3, 16, 12))],
    dynamic={"x": {2: "h", 3: "w"}, "y": {2: "height", 3: "width"}},
    dynamo=Flagged("resize-by-size"),
    trace=Flagged("resize-by-size"),
)
class ResizeToOther(nn.Module):
    """A feature pyramid adds a coarse level to a finer one."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return y + functional.interpolate(x, size=y.shape[-2:], mode="bilinear")


@entry(
    image,
    lambda: [image(12, 16), image(2, 6)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Right(),
)
class SpaceToDepth(nn.Module):
    """The model itself refuses odd sizes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2)
        return x.permute(0, 1, 3, 5, 2, 4).reshape(n, c * 4, h // 2, w // 2)


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(1, 4),), (randn(5, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class RepeatByBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.token.repeat(x.shape[0], 1), x], dim=1)


@entry(
    lambda: (randn(2, 3, 4),),
    lambda: [(randn(2, 5, 7),), (randn(2, 1, 2),)],
    dynamic={"x": {1: "t", 2: "d"}},
    dynamo=Right(),
    trace=Right(bare="fails"),
    auto=Right(),
)
class NormalizeBySize(nn.Module):
    """Layer norm over dynamic axes, which dynamo takes apart."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[1:])


@entry(
    lambda: (randn(2, 6),),
    lambda: [(randn(2, 10),), (randn(2, 3),)],
    dynamic={"x": {1: "t"}},
    dynamo=Right(bare="fails"),
    trace=Right(bare="wrong"),
    auto=Right(bare="fails"),
)
class RollByHalf(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.roll(x, x.shape[1] // 2, dims=1)


@entry(
    lambda: (randn(2, 6),),
    lambda: [(randn(2, 10),), (randn(7, 3),)],
    dynamic={"x": {0: "n", 1: "t"}},
    dynamo=Right(),
    trace=Refused("value-baked", "shape-baked"),
)
class TensorOfShape(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / torch.tensor(x.shape, dtype=torch.float32).prod()


@entry(
    lambda: (rand(1, 3, 6, 6),),
    lambda: [image(8, 8), image(4, 10)],
    dynamic=IMAGE,
    dynamo=Right(),
    trace=Refused("shape-baked", "value-baked", "differs", "branch-on-shape"),
)
class CachedGrid(nn.Module):
    """YOLO's grid of anchors, remembered until the size changes.

    Right as long as the model is exported fresh: an exporter that runs it first finds the grid of
    the example remembered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.grid = torch.zeros(1, 1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.grid.shape[2:] != x.shape[2:]:
            h, w = x.shape[2:]
            self.grid = torch.arange(int(h) * int(w), dtype=x.dtype).view(1, 1, int(h), int(w))
        return x + self.grid


@entry(
    lambda: (randn(6, 4),),
    lambda: [(randn(7, 4),), (randn(2, 4),)],
    dynamic={"x": {0: Dim("n", min=2)}},
    dynamo=Right(),
    trace=Right(),
)
class SliceTwo(nn.Module):
    """``x[:2]`` leaves a guard that looks like a baked size and is none."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:2] * 3
