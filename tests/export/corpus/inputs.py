"""Inputs of every form: by keyword, nested, absent, numbers, unused."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.export.corpus.entry import Flagged, Refused, Right, entry, integers, rand, randn


@entry(
    lambda: (randn(2, 4),),
    lambda: [((randn(5, 4),), {"bias": randn(4, seed=3), "scale": randn(5, 1)})],
    kwargs=lambda: {"scale": randn(2, 1), "bias": randn(4, seed=2)},
    dynamic={"x": {0: "n"}, "scale": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
    auto=Right(),
)
class Keywords(nn.Module):
    """Keywords in another order than the parameters."""

    def forward(self, x: torch.Tensor, bias: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return x * scale + bias


@entry(
    lambda: (randn(2, 4), None, randn(4)),
    lambda: [(randn(5, 4), None, randn(4, seed=3))],
    dynamic={"x": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
)
class NoneInTheMiddle(nn.Module):
    def forward(self, x: torch.Tensor, mask: Any, bias: torch.Tensor) -> torch.Tensor:
        x = x if mask is None else x * mask
        return x + bias


@entry(
    lambda: ({"image": rand(1, 3, 4, 4), "size": randn(1, 2)},),
    lambda: [({"image": rand(3, 3, 4, 4), "size": randn(3, 2)},)],
    dynamic={"batch_image": {0: "n"}, "batch_size": {0: "n"}},
    dynamo=Right(bare="fails"),
    auto=Right(bare="fails"),
)
class DictInput(nn.Module):
    """torch takes a dict at the end of the arguments for keywords."""

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        pooled = batch["image"].mean((2, 3))
        return {"pooled": pooled, "scaled": pooled[:, :2] * batch["size"]}


@entry(
    lambda: ([(randn(2, 4), randn(2, 4, seed=1)), (randn(2, 4, seed=2), randn(2, 4, seed=3))],),
    lambda: [
        ([(randn(3, 4), randn(3, 4, seed=5)), (randn(3, 4, seed=6), randn(3, 4, seed=7))],),
    ],
    dynamic={f"past_{i}_{j}": {0: "n"} for i in range(2) for j in range(2)},
    dynamo=Right(),
    trace=Right(),
)
class NestedLists(nn.Module):
    """The form of a transformer's cache: a list of pairs."""

    def forward(self, past: list[tuple[torch.Tensor, torch.Tensor]]) -> Any:
        return [(key * 2, key - value) for key, value in past]


@entry(
    lambda: (randn(2, 4), 3),
    lambda: [(randn(2, 4), 5), (randn(2, 4), -1)],
    dynamo=Flagged("number-as-input", "note", bare="wrong"),
    trace=Flagged("number-as-input", "note"),
    auto=Flagged("number-as-input", bare="wrong"),
)
class IntegerInput(nn.Module):
    """A Python number among the inputs: dynamo bakes it in and drops the input."""

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        return x * n


@entry(
    lambda: (randn(2, 4), 0.5),
    lambda: [(randn(2, 4), 0.25), (randn(2, 4), -2.0)],
    dynamo=Flagged("number-as-input", "note", bare="wrong"),
    trace=Flagged("number-as-input", "note"),
)
class FloatInput(nn.Module):
    def forward(self, x: torch.Tensor, threshold: float) -> torch.Tensor:
        return torch.where(x > threshold, x, x * 0.1)


@entry(
    lambda: (randn(2, 4), 3),
    lambda: [(randn(2, 4), 0), (randn(2, 4), 6)],
    dynamo=Refused(),
    trace=Refused(),
    script=Flagged("number-as-input"),
)
class IntegerRounds(nn.Module):
    """A Python number that counts the rounds of a loop."""

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        for i in range(n):
            x = x + i
        return x


@entry(
    lambda: (randn(2, 4), randn(2, 4, seed=1)),
    lambda: [(randn(5, 4), randn(5, 4, seed=1))],
    dynamic={"x": {0: "n"}, "y": {0: "n"}},
    dynamo=Flagged("input-unused", "note"),
    trace=Flagged("input-unused", "note"),
    auto=Flagged("input-unused", "note"),
)
class UnusedInput(nn.Module):
    """Eager does not use it either: nothing is lost."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.exp()


@entry(
    lambda: (randn(2, 4), randn(2, 9)),
    lambda: [(randn(5, 4), randn(5, 3))],
    dynamic={"x": {0: "n"}, "like": {0: "n", 1: "m"}},
    dynamo=Right(),
    trace=Right(),
)
class InputForItsShape(nn.Module):
    """Only the size of the second input matters, and it is dynamic."""

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return x.sum(1, keepdim=True).expand(-1, like.shape[1])


@entry(
    lambda: (randn(2, 4), randn(2, 9)),
    lambda: [(randn(2, 4, seed=1), randn(2, 9, seed=1))],
    dynamo=Right(),
    trace=Right(),
)
class InputForItsStaticShape(nn.Module):
    """The same where the size is static: the input may go, and nothing is wrong."""

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return x.sum(1, keepdim=True).expand(-1, like.shape[1])


@entry(
    lambda: (torch.tensor(2.0), integers(9, 3), rand(3) > 0.5),
    lambda: [(torch.tensor(-1.0), integers(9, 5, seed=1), rand(5, seed=1) > 0.5)],
    dynamic={"index": {0: "n"}, "mask": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
)
class DtypesOfEveryKind(nn.Module):
    """A scalar, integers and booleans."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, scale: torch.Tensor, index: torch.Tensor, mask: torch.Tensor) -> Any:
        rows = self.table(index) * scale
        return rows.masked_fill(mask[:, None], -1), ~mask, index + 1


@entry(
    lambda: (randn(2, 4).double(),),
    lambda: [(randn(3, 4).double(),)],
    dynamic={"x": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
)
class DoublePrecision(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.square().mean(1) + 1


@entry(
    lambda: (randn(2, 4),),
    lambda: [((randn(2, 4),), {"mode": "bilinear", "flag": True})],
    kwargs=lambda: {"mode": "bilinear", "flag": True},
    dynamo=Right(),
    trace=Right(),
)
class ConfiguringArguments(nn.Module):
    """Strings and switches are part of the model, not of its data."""

    def forward(self, x: torch.Tensor, mode: str = "nearest", flag: bool = False) -> torch.Tensor:
        x = functional.interpolate(x[None, None], scale_factor=2.0, mode=mode)
        return -x if flag else x


@entry(
    lambda: (randn(2, 4), randn(2, 4, seed=1)),
    lambda: [(randn(3, 4), randn(3, 4, seed=1))],
    dynamic={"tensors_0": {0: "n"}, "tensors_1": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
)
class AnyNumber(nn.Module):
    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return torch.stack(tensors).amax(0)


@entry(
    lambda: (randn(2, 4), randn(2, 4, seed=1)),
    lambda: [(randn(2, 4, seed=2), torch.full((2, 4), 50.0))],
    dynamo=Right(),
    trace=Right(),
)
class FaintInput(nn.Module):
    """An input whose influence is small where values are small."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + (y - 10).relu()
