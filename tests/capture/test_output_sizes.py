"""Declared sizes of outputs are those of the model at other sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import modelport


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module], **options: Any) -> None:
        super().__init__()
        self.layer = kind(5, 6, **options)

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(x)


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ahead = nn.GRU(5, 6, batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.ahead(x)[0].sum(0), x[:, 0]


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize("first", [True, False], ids=["batch first", "time first"])
def test_recurrent_layer(kind: type[nn.Module], first: bool) -> None:
    axes = {0: "batch", 1: "time"} if first else {0: "time", 1: "batch"}
    exported = modelport.export(
        Recurrent(kind, batch_first=first),
        (torch.randn(2, 7, 5) if first else torch.randn(7, 2, 5),),
        input_names=["x"],
        dynamic={"x": axes},
    )
    shape = exported.signature.outputs[0].shape
    assert shape == (("batch", "time", 6) if first else ("time", "batch", 6))


def test_sizes_that_do_not_vary_stay() -> None:
    exported = modelport.export(
        Sum(), (torch.randn(2, 7, 5),), input_names=["x"], dynamic={"x": {0: "batch", 1: "time"}}
    )
    assert [spec.shape for spec in exported.signature.outputs] == [("time", 6), ("batch", 5)]
