"""Output shapes found by trial."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from modelport.capture.symbolic.shape_inference_by_trial import Prober, _enlarge


def find(function: Any, *tensors: torch.Tensor) -> list[list[str]]:
    """The rule's sizes in terms of the inputs' (every dimension is dynamic)."""
    fake_mode = torch._subclasses.FakeTensorMode(shape_env=ShapeEnv())
    fakes = [
        fake_mode.from_tensor(
            tensor,
            symbolic_context=torch.fx.experimental.symbolic_shapes.StatelessSymbolicContext(
                [torch.fx.experimental.symbolic_shapes.DimDynamic.DYNAMIC] * tensor.ndim
            ),
        )
        for tensor in tensors
    ]
    prober = Prober(lambda inputs, sizes: (list(function(*inputs)), None), tensors, [])
    rows = []
    for _, _, dims in prober.find(fakes, []).outputs:
        row = []
        for dim in dims:
            if dim is None:
                row.append("?")
                continue
            terms = [f"{slope}*{s.index}.{s.axis}" for slope, s in dim.terms]
            row.append("+".join([*terms, *([str(dim.offset)] if dim.offset or not terms else [])]))
        rows.append(row)
    return rows


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (lambda x: [x.new_zeros(x.shape[0], 3)], [["1*0.0", "3"]]),
        (lambda x: [torch.cat([x, x, x[:1]])], [["2*0.0+1", "1*0.1"]]),
        (lambda x: [x.reshape(-1)], [["?"]]),
        (lambda x: [x[::2]], [["?", "1*0.1"]]),
        (lambda x: [x[x[:, 0] > 0.5]], [["?", "1*0.1"]]),
        (lambda x: [x.sum(), x.t()], [[], ["1*0.1", "1*0.0"]]),
    ],
)
def test_rules(function, rows):
    assert find(function, torch.linspace(0.1, 1.1, 35).reshape(5, 7)) == rows


def test_a_sum_of_two_inputs_sizes():
    x, y = torch.ones(5, 7), torch.ones(3, 7)
    assert find(lambda x, y: [torch.cat([x, y], 0)], x, y) == [["1*0.0+1*1.0", "1*0.1"]]


def test_a_size_that_the_operator_refuses_is_dynamic():
    def pairs(x: torch.Tensor) -> list[torch.Tensor]:
        if x.shape[0] != 5:
            raise ValueError("only 5")
        return [x.clone()]

    assert find(pairs, torch.ones(5, 7)) == [["?", "?"]]


def test_inputs_grow_by_their_last_entry():
    # Offsets stay sorted and within bounds.
    assert _enlarge(torch.tensor([4, 9]), 0, 4).tolist() == [4, 9, 9, 9]
