"""Exports that are right and worth a word: modes, aliases, random numbers, awkward shapes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.export.corpus.entry import Flagged, Right, entry, rand, randn

BATCH = {"x": {0: "n"}}


@entry(
    lambda: (rand(2, 3, 6, 6),),
    lambda: [(rand(1, 3, 6, 6),), (rand(5, 3, 6, 6),)],
    dynamic=BATCH,
    training=True,
    dynamo=Flagged("training-mode", "warning", bare="wrong"),
    trace=Flagged("training-mode", "warning"),
)
class LeftInTraining(nn.Module):
    """What is exported is evaluation mode, and its user should know."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.norm(self.conv(x)))


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4),)],
    dynamic=BATCH,
    training=True,
    dynamo=Right(),
    trace=Right(),
)
class TrainingOfNoConsequence(nn.Module):
    """In training mode, with nothing in it that cares."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).relu()


@entry(
    lambda: (rand(4, 8),),
    dynamo=Flagged("random-op"),
    trace=Flagged("random-op"),
    runnable=False,
)
class DropoutForever(nn.Module):
    """``functional.dropout`` is in training mode unless told otherwise."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(x, 0.5)


@entry(
    lambda: (randn(2, 4),),
    dynamic=BATCH,
    dynamo=Flagged("random-op"),
    trace=Flagged("random-op"),
    runnable=False,
)
class SampledNoise(nn.Module):
    """A variational model that samples."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.1 * torch.randn_like(x)


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(5, 4),)],
    dynamic=BATCH,
    dynamo=Flagged("output-aliases-input", "note"),
    trace=Flagged("output-aliases-input", "note"),
)
class ReturnsItsInput(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x * 2


@entry(
    lambda: (randn(2, 3, 4),),
    lambda: [(randn(5, 3, 4),)],
    dynamic=BATCH,
    dynamo=Flagged("output-aliases-input", "note"),
    trace=Flagged("output-aliases-input", "note"),
)
class ReturnsAView(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.flatten(1), x.sum(1)


@entry(
    lambda: (randn(2, 3, 4),),
    lambda: [(randn(5, 3, 4),)],
    dynamic=BATCH,
    dynamo=Flagged("output-not-contiguous", "note"),
    trace=Flagged("output-not-contiguous", "note"),
)
class ReturnsTransposed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp().transpose(1, 2)


@entry(
    lambda: (rand(1, 3, 4, 4),),
    lambda: [(rand(3, 3, 4, 4),)],
    dynamic=BATCH,
    dynamo=Flagged("resize-by-size"),
    trace=Flagged("resize-by-size"),
)
class ResizeToNumbers(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, size=(8, 8), mode="nearest")


@entry(
    lambda: (rand(1, 3, 4, 4),),
    lambda: [(rand(3, 3, 4, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class ResizeByFactor(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=2.0, mode="nearest")


@entry(
    lambda: (randn(2, 3, 4),),
    lambda: [(randn(5, 3, 4),), (randn(1, 3, 4),)],
    dynamic=BATCH,
    trace=Flagged("shape-chain"),
)
class ChainsOfStaticSizes(nn.Module):
    """Sizes that are known are read at run time, one Shape and Gather each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.size(0), x.size(1) * x.size(2)).relu()


@entry(
    lambda: (randn(4, 6),),
    lambda: [(randn(2, 6),), (randn(8, 6),)],
    dynamic=BATCH,
    trace=Flagged("batch-baked"),
)
class ReshapeToLiteral(nn.Module):
    """Not wrong, as the source says 4 too; seldom meant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(4, -1).relu()


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(5, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class ChangesItsInput(nn.Module):
    """The result is right; that the caller's tensor changes, too, has no counterpart."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.mul_(2)
        return x + 1


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(5, 4),), (randn(1, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class InPlaceSlices(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, 0] = 0
        x[:, 1:3] += 1
        return x


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(5, 4),), (randn(1, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class InPlaceMask(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[x < 0] = -1
        return x


@entry(
    lambda: (rand(2, 3, 6, 6),),
    lambda: [(rand(2, 3, 6, 6, seed=4),)],
    dynamo=Right(),
    trace=Right(),
)
class StatisticsOfTheBatch(nn.Module):
    """Batch norm without running statistics normalises by the batch even in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x)
