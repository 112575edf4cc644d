"""Values that leave the graph: a tensor becomes a Python number, and tracing freezes it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.export.corpus.entry import Flagged, Refused, Right, entry, integers, rand, randn


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(3, 4, seed=1),), (randn(7, 4),), (-randn(1, 4),)],
    dynamic={"x": {0: "n"}},
    dynamo=Right(),
    trace=Refused("value-baked"),
    auto=Right(),
)
class TimesFirstItem(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x[0, 0].item()


@entry(
    lambda: (rand(1, 3, 4, 4), torch.tensor(3.0)),
    lambda: [(rand(1, 3, 4, 4), torch.tensor(2.0)), (rand(2, 3, 5, 4), torch.tensor(4.0))],
    dynamic={"x": {0: "n", 2: "h", 3: "w"}},
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("input-vanished", "value-baked"),
    auto=Right(bare="fails"),
    script=Right(),
)
class InterpolateByItem(nn.Module):
    """The scale factor is an input that vanishes; a script keeps it."""

    def forward(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=factor.item(), mode="bicubic")


@entry(
    lambda: (rand(1, 3, 4, 4), torch.tensor([2.0, 3.0])),
    lambda: [(rand(1, 3, 4, 4), torch.tensor([3.0, 2.0]))],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("input-vanished", "value-baked"),
)
class InterpolateByList(nn.Module):
    def forward(self, x: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=scales.tolist(), mode="bilinear")


@entry(
    lambda: (randn(4),),
    lambda: [(randn(4, seed=1),)],
    dynamo=Right(),
    trace=Refused("value-baked"),
)
class TensorOfElements(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([element * 2 for element in x[:2]]) + x[:2]


@entry(
    lambda: (randn(4),),
    lambda: [(randn(4, seed=1),)],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked", "input-vanished"),
    auto=Refused(bare="fails"),
)
class OldTensorOfElements(nn.Module):
    """``torch.Tensor([...])``: the whole output is a constant and the only input is gone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.Tensor([element * 2 for element in x])


@entry(
    lambda: (randn(2, 5),),
    lambda: [(randn(2, 5, seed=1),)],
    dynamo=Right(bare="fails"),
    trace=Refused("value-baked", "input-vanished"),
)
class NumpyDetour(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.sort(x.numpy(), axis=-1))


@entry(
    lambda: (randn(2, 5),),
    lambda: [(randn(2, 5, seed=1),)],
    dynamo=Right(),
    trace=Refused("value-baked"),
)
class NumpyMean(nn.Module):
    """Only a statistic takes the detour through NumPy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - float(np.median(x.numpy()))


@entry(
    lambda: (rand(2, 3),),
    lambda: [(rand(2, 3, seed=1),), (-rand(2, 3),)],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked"),
    script=Right(),
    auto=Right(bare="fails"),
)
class IfOnSum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x * 2
        return x - 5


@entry(
    lambda: (rand(2, 3),),
    lambda: [(rand(2, 3, seed=1),), (-rand(2, 3),), (randn(2, 3),)],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked"),
)
class IfAnyNegative(nn.Module):
    """No sign change in the example: the branch is never recorded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs().sqrt() + 1 if (x < 0).any() else x.sqrt()


@entry(
    lambda: (randn(2, 3), randn(2, 3, seed=1) + 9),
    lambda: [(randn(2, 3) + 20, randn(2, 3, seed=1))],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked", "input-vanished"),
    script=Right(),
)
class PickTheLarger(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x if bool(x.max() > y.max()) else y


@entry(
    lambda: (randn(2, 8), torch.tensor(3)),
    lambda: [(randn(2, 8), torch.tensor(5)), (randn(2, 8), torch.tensor(1))],
    dynamo=Right(),
    trace=Refused("value-baked", "input-vanished"),
)
class SliceByInt(nn.Module):
    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        return x[:, : int(n)] * 2


@entry(
    lambda: (torch.tensor([3, 5]),),
    lambda: [(torch.tensor([2, 9]),), (torch.tensor([4, 1]),)],
    dynamo=Right(),
    trace=Refused("value-baked", "input-vanished"),
)
class MaskOfLengths(nn.Module):
    """The mask's width is the longest length of the example, for ever."""

    def forward(self, lengths: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(int(lengths.max()))
        return steps[None, :] < lengths[:, None]


@entry(
    lambda: (torch.tensor([3, 5]),),
    lambda: [(torch.tensor([2, 9]),), (torch.tensor([4, 1]),)],
    dynamo=Right(),
    trace=Right(),
)
class MaskOfLengthsAsTensor(nn.Module):
    """The same with a tensor all the way, which tracing keeps."""

    def forward(self, lengths: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(lengths.max())
        return steps[None, :] < lengths[:, None]


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(3, 4, seed=1),), (randn(3, 4) + 5,)],
    dynamo=Right(),
    trace=Refused("value-baked"),
)
class ClampByFloat(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(min=float(x.mean()))


@entry(
    lambda: (randn(3, 6), torch.tensor(2)),
    lambda: [(randn(3, 6, seed=1), torch.tensor(4))],
    dynamo=Right(),
    trace=Refused("value-baked", "input-vanished"),
)
class TopkByInt(nn.Module):
    def forward(self, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return x.topk(int(k)).values


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(3, 4, seed=1),)],
    dynamo=Right(),
    trace=Right(),
)
class TensorOfTensor(nn.Module):
    """torch warns of ``torch.tensor(t)``, and then keeps the computation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / torch.tensor(x.std())


@entry(
    lambda: (randn(2, 4), torch.tensor(1)),
    lambda: [(randn(2, 4), torch.tensor(0)), (randn(2, 4), torch.tensor(2))],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked", "input-vanished"),
    auto=Refused(bare="fails"),
)
class ListByInt(nn.Module):
    """A tensor chooses one of several layers held in a Python list."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(4, 3) for _ in range(3))

    def forward(self, x: torch.Tensor, task: torch.Tensor) -> torch.Tensor:
        return self.heads[int(task)](x)


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(2, 4, seed=1),)],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked"),
)
class RoundInPython(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * round(float(x.abs().max()), 1)


@entry(
    lambda: (rand(2, 3),),
    lambda: [(rand(2, 3, seed=1),)],
    dynamo=Right(),
    trace=Flagged("value-baked"),
)
class AssertOnData(nn.Module):
    """The model refuses what the assertion refuses: nothing that it accepts comes out wrong."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.min() >= 0, "negative input"
        return x.sqrt()


@entry(
    lambda: (randn(2, 3),),
    lambda: [(randn(2, 3, seed=1),), (randn(5, 3),)],
    dynamic={"x": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
)
class ItemOfBuffer(nn.Module):
    """The value that leaves the graph is a constant of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(2.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale.item()


@entry(
    lambda: (randn(2, 3),),
    lambda: [(randn(2, 3, seed=1),)],
    dynamo=Right(),
    trace=Right(),
)
class StatisticsOnTheSide(nn.Module):
    """The value leaves the graph and never comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.largest = max(self.largest, float(x.max()))
        return x.tanh()


@entry(
    lambda: (integers(5, 6),),
    lambda: [(integers(5, 6, seed=1),), (torch.tensor([4, 4, 4, 4, 4, 0]),)],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked"),
)
class OneHotByMaximum(nn.Module):
    """``one_hot`` without a class count reads it from the data."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.one_hot(x, int(x.max()) + 1).float()


@entry(
    lambda: (randn(2, 3), torch.tensor(True)),
    lambda: [(randn(2, 3), torch.tensor(False))],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked", "input-vanished"),
    script=Right(),
)
class FlagTensor(nn.Module):
    """A boolean tensor as a switch."""

    def forward(self, x: torch.Tensor, invert: torch.Tensor) -> torch.Tensor:
        if bool(invert):
            x = -x
        return x * 2


@entry(
    lambda: (rand(1, 1, 8, 8), torch.tensor([1, 2, 6, 7])),
    lambda: [(rand(1, 1, 8, 8), torch.tensor([0, 0, 5, 5])), (rand(1, 1, 8, 8), torch.arange(4))],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked", "input-vanished"),
)
class CropByBox(nn.Module):
    """Cropping by coordinates unpacked from a tensor."""

    def forward(self, image: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
        left, top, right, bottom = (int(edge) for edge in box)
        return image[:, :, top:bottom, left:right].mean((2, 3))
