"""Loops and branches: unrolled, chosen once, or kept."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from modelport import Dim
from tests.export.corpus.entry import Flagged, Refused, Right, entry, rand, randn

ROWS = {"x": {0: "n"}}


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(5, 4),), (randn(1, 4),)],
    dynamic=ROWS,
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("loop-unrolled", "differs"),
    script=Right(),
    auto=Right(bare="fails"),
)
class LoopOverRows(nn.Module):
    """Tracing unrolls it, and does not warn."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(4)
        for i in range(x.shape[0]):
            total = total * 0.5 + x[i]
        return total


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(5, 4),), (randn(2, 4),)],
    dynamic=ROWS,
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("loop-unrolled", "value-baked", "differs"),
)
class IterateRows(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([row.cumsum(0) for row in x])


@entry(
    lambda: (randn(3, 4),),
    lambda: [(randn(3, 4, seed=1),)],
    dynamo=Right(),
    trace=Right(),
)
class IterateStaticRows(nn.Module):
    """The same where the length is not declared dynamic."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([row.cumsum(0) for row in x])


@entry(
    lambda: (randn(2, 3), torch.tensor(3)),
    lambda: [(randn(2, 3), torch.tensor(0)), (randn(2, 3), torch.tensor(7))],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("input-vanished", "loop-unrolled"),
    script=Right(),
    auto=Right(bare="fails"),
)
class LoopByTensor(nn.Module):
    """``n`` disappears from the traced graph without a warning; a script keeps the Loop."""

    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        for i in range(int(n)):
            x = x + i
        return x


@entry(
    lambda: (rand(2, 3) * 9,),
    lambda: [(rand(2, 3) * 99,), (rand(2, 3) * 0.01,)],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked", "loop-unrolled"),
    script=Right(),
)
class WhileLarge(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool(x.sum() > 1):
            x = x / 2
        return x


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4),), (randn(1, 4),)],
    dynamic=ROWS,
    dynamo=Refused("capturing", "branch-on-shape", "dynamic-dim-fixed", bare="fails"),
    trace=Refused("branch-on-shape", "value-baked", "shape-baked"),
    auto=Right(bare="fails"),
)
class BranchOnSizeEqual(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[0] == 2 else x * 3


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4),), (randn(9, 4),)],
    dynamic=ROWS,
    dynamo=Refused("branch-on-shape"),
    trace=Refused("branch-on-shape", "value-baked", "shape-baked"),
)
class BranchOnSizeLimit(nn.Module):
    """dynamo picks the example's side of the limit and says nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[0] <= 4 else x * 3


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4),), (randn(4, 4),)],
    dynamic={"x": {0: Dim("n", min=1, max=4)}},
    dynamo=Right(),
    trace=Right(),
)
class BranchOutsideRange(nn.Module):
    """The limit is the end of the declared range, so that only one side can be taken."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[0] <= 4 else x * 3


@entry(
    lambda: (randn(4, 3),),
    lambda: [(randn(5, 3),), (randn(6, 3),)],
    dynamic=ROWS,
    dynamo=Refused("branch-on-shape", "capturing"),
    trace=Refused("branch-on-shape", "value-baked", "shape-baked"),
)
class BranchOnParity(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(0) if x.shape[0] % 2 == 0 else x + 1


@entry(
    lambda: (rand(1, 1, 8, 8),),
    lambda: [(rand(1, 1, 64, 64),), (rand(1, 1, 4, 4),)],
    dynamic={"x": {2: "h", 3: "w"}},
    dynamo=Refused("branch-on-shape", "loop-unrolled", "capturing"),
    trace=Refused("branch-on-shape", "loop-unrolled", "value-baked", "shape-baked"),
)
class PoolWhileLarge(nn.Module):
    """The number of rounds depends on the size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.shape[-1] > 4:
            x = functional.max_pool2d(x, 2)
        return x


@entry(
    lambda: (randn(2, 5, 3),),
    lambda: [(randn(2, 8, 3),), (randn(2, 2, 3),)],
    dynamic={"x": {1: "t"}},
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("loop-unrolled", "differs", "value-baked"),
)
class CellOverTime(nn.Module):
    """A recurrent cell in a Python loop over a dynamic time axis."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x.new_zeros(2, 4)
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state


@entry(
    lambda: (randn(2, 3),),
    lambda: [(randn(5, 3),), (-rand(1, 3),), (rand(4, 3),)],
    dynamic=ROWS,
    dynamo=Right(),
    nodes=("If",),
)
class TorchCond(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda y: y * 2, lambda y: y - 5, (x,))


@entry(
    lambda: (randn(2, 3), torch.tensor(3)),
    lambda: [(randn(2, 3), torch.tensor(0)), (randn(2, 3), torch.tensor(7))],
    dynamo=Right(),
    nodes=("Loop",),
)
class TorchWhileLoop(nn.Module):
    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        from torch._higher_order_ops import while_loop

        def step(i: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return i + 1, y * 0.5 + i

        _, y = while_loop(lambda i, y: i < n, step, (torch.zeros((), dtype=torch.int64), x))
        return y


@entry(
    lambda: (randn(5, 3),),
    lambda: [(randn(9, 3),), (randn(2, 3),)],
    dynamic=ROWS,
    dynamo=Right(),
    nodes=("Scan",),
)
class TorchScan(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from torch._higher_order_ops import scan

        def step(state: torch.Tensor, row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            state = state * 0.9 + row
            return state, state.clone()

        return scan(step, torch.zeros(3), x)[1]


@entry(
    lambda: (randn(2, 3),),
    lambda: [(randn(5, 3),), (-rand(1, 3),)],
    dynamic=ROWS,
    dynamo=Right(),
    trace=Right(),
)
class WhereNotIf(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x.sum() > 0, x * 2, x - 5)


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(5, 4),), (randn(1, 4),)],
    dynamic=ROWS,
    dynamo=Right(),
    trace=Right(),
    script=Right(),
)
class LoopOverLayers(nn.Module):
    """A loop that is the model's own structure: unrolling it is right."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + layer(x).tanh()
        return x


@entry(
    lambda: (randn(2, 6),),
    lambda: [(randn(2, 6, seed=1),), (torch.zeros(2, 6),)],
    dynamo=Refused("capturing", bare="fails"),
    trace=Refused("value-baked"),
    auto=Right(bare="fails"),
    script=Right(),
)
class EarlyReturn(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = x > 0
        if not active.any():
            return torch.full_like(x, -1)
        return x * active


@entry(
    lambda: (randn(2, 3), torch.tensor(2)),
    lambda: [(randn(2, 3), torch.tensor(0)), (-randn(2, 3), torch.tensor(5))],
    script=Right(),
)
class NestedScript(nn.Module):
    """A branch on data inside of a loop by a tensor."""

    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        for i in range(int(n)):
            if bool(x.sum() > 0):
                x = x - i - 1
            else:
                x = x + 2
        return x


@entry(
    lambda: (randn(4, 3),),
    lambda: [(randn(2, 3),), (randn(8, 3),)],
    dynamic={"x": {0: Dim("n", min=2)}},
    dynamo=Right(),
    trace=Flagged("value-baked|branch-on-shape"),
)
class AssertOnShape(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[0] >= 2, "the statistics need two rows"
        return (x - x.mean(0)) / x.std(0)
