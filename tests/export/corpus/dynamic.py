"""Dynamic dimensions: declared in many ways, and lost in more."""

from __future__ import annotations

import torch
from torch import nn
from torch.export import Dim as TorchDim
from torch.nn import functional

from modelport import Dim
from tests.export.corpus.entry import Flagged, Refused, Right, entry, rand, randn

BATCH = {"x": {0: "n"}}


@entry(
    lambda: (randn(1, 4),),
    lambda: [(randn(3, 4),), (randn(1, 4, seed=1),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class BatchOfOne(nn.Module):
    """The example's batch is 1, which torch likes to specialise."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).softmax(-1)


@entry(
    lambda: (randn(1, 4), randn(2, 4)),
    lambda: [(randn(1, 4), randn(5, 4)), (randn(3, 4), randn(3, 4, seed=1))],
    dynamic={"x": {0: "n"}, "y": {0: "m"}},
    dynamo=Right(),
    trace=Right(),
)
class Broadcast(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


@entry(
    lambda: (randn(3, 4), randn(3, 4, seed=1)),
    lambda: [(randn(5, 4), randn(5, 4, seed=1))],
    dynamic={"x": {0: "n"}, "y": {0: "m"}},
    dynamo=Right(),
    trace=Right(),
)
class TwoNamesOneSize(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, y], dim=1)


@entry(
    lambda: (randn(2, 8),),
    lambda: [(randn(5, 8),)],
    dynamic={"x": {0: "n", 1: "d"}},
    dynamo=Refused("capturing", "dynamic-dim-fixed", bare="fails"),
    trace=Right(),
)
class FixedByWeight(nn.Module):
    """The weight fixes the second axis, whatever is declared; eager takes no other size."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


@entry(
    lambda: (randn(2, 1, 4),),
    lambda: [(randn(5, 1, 4),), (randn(1, 1, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class SqueezeAll(nn.Module):
    """``squeeze()`` drops the batch, too, where it is 1: so does the graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.squeeze() * 2


@entry(
    lambda: (randn(2, 1, 4),),
    lambda: [(randn(5, 1, 4),), (randn(3, 1, 4),)],
    dynamic={"x": {0: Dim("n", min=2)}},
    dynamo=Right(),
    trace=Right(),
)
class SqueezeAllFromTwo(nn.Module):
    """The same where the declared range excludes 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.squeeze() * 2


@entry(
    lambda: (randn(2, 1, 4),),
    lambda: [(randn(5, 1, 4),), (randn(1, 1, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class SqueezeOneAxis(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.squeeze(1) * 2


@entry(
    lambda: (rand(2, 3, 16, 16),),
    lambda: [(rand(1, 3, 24, 32),), (rand(3, 3, 8, 20),)],
    dynamic={"x": {0: "n", 2: "h", 3: "w"}},
    dynamo=Right(),
    trace=Right(),
    auto=Right(),
)
class EncoderDecoder(nn.Module):
    """A skip connection: the model itself takes only multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))
        self.up = nn.ConvTranspose2d(8, 8, 4, 4)
        self.head = nn.Conv2d(11, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([x, self.up(self.down(x))], dim=1))


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(5, 4),), (randn(1, 4),)],
    dynamo=Refused("capturing", "dynamic-dim-fixed", bare="fails"),
    trace=Flagged("batch-baked"),
    dynamic=BATCH,
    runnable=False,
)
class ExpandToLiteral(nn.Module):
    """The example's batch stands in the source: eager, too, takes no other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean(0, keepdim=True).expand(2, -1), x], dim=1)


@entry(
    lambda: (randn(2, 3, 8),),
    lambda: [(randn(5, 3, 9),)],
    dynamo=Right(bare="wrong"),
    trace=Right(),
    options={"dynamic_axes": {"x": {0: "n", -1: "t"}, "y": {0: "n"}}, "output_names": ["y"]},
)
class NegativeAxis(nn.Module):
    """torch itself takes the negative axis and leaves it static."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(-1).tanh()


@entry(
    lambda: (randn(2, 3), randn(2, 3, seed=1)),
    lambda: [(randn(6, 3), randn(6, 3, seed=1))],
    dynamo=Right(),
    trace=Right(),
    options={"dynamic_axes": {"a": [0], "b": [0]}, "input_names": ["a", "b"]},
)
class ListOfAxes(nn.Module):
    """Lists of axes, and names that are not the parameters'."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * y


@entry(
    lambda: (randn(2, 3), randn(2, 3, seed=1)),
    lambda: [(randn(6, 3), randn(6, 3, seed=1))],
    dynamo=Right(),
    trace=Right(),
    options={"dynamic_shapes": {"x": {0: TorchDim("rows")}, "y": {0: TorchDim("rows")}}},
    bare_options={"dynamic_axes": {"x": [0], "y": [0]}},
)
class TorchDims(nn.Module):
    """Declared with ``torch.export.Dim``."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.maximum(x, y)


@entry(
    lambda: (randn(2, 3),),
    lambda: [(randn(5, 3),)],
    dynamo=Refused(bare="wrong"),
    options={"dynamic_shapes": {"x": {0: TorchDim("rows")}}},
)
class BranchUnderNamedDim(nn.Module):
    """With ``torch.export.Dim`` torch quietly makes the dimension static."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[0] == 2 else x * 3


@entry(
    lambda: (randn(4, 6),),
    lambda: [(randn(2, 6),), (randn(10, 6),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
)
class PairsOfRows(nn.Module):
    """The model itself takes only an even number of rows; so does the graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(-1, 2, 6).sum(1)


@entry(
    lambda: (randn(4, 6),),
    lambda: [(randn(2, 6),), (randn(8, 6),), (randn(5, 6),)],
    dynamic=BATCH,
    dynamo=Refused("differs", bare="fails"),
    trace=Refused("branch-on-shape", "shape-baked", "loop-unrolled", "differs"),
    auto=Refused(bare="fails"),
)
class ChunkRows(nn.Module):
    """How long the chunks are depends on the length that is chunked."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(torch.cat(x.chunk(3, dim=0)[::-1], dim=0))
