"""hswish and hsigmoid against torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.hsigmoid.op import hsigmoid
from modelport.ops.library.hswish.op import hswish
from tests.ops.library.agreement import tolerances

BOTH = pytest.mark.parametrize(
    ("operator", "torchs"), [(hswish, F.hardswish), (hsigmoid, F.hardsigmoid)]
)


@BOTH
def test_everything_that_comes_of_it(operator: Any, torchs: Any) -> None:
    prove_operator(operator, cases=12, exports=1).require()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_is_torchs(operator: Any, torchs: Any, dtype: torch.dtype) -> None:
    x = torch.linspace(-5, 5, 100_003, dtype=torch.float64).to(dtype)
    expected = torchs(x.double()).to(dtype)
    for given in (operator, operator.reference):
        torch.testing.assert_close(given(x), expected, **tolerances(dtype))


@BOTH
def test_far_values_and_nan(operator: Any, torchs: Any) -> None:
    x = torch.tensor([-1e30, -3.0, 0.0, 3.0, 1e30, float("nan")])
    torch.testing.assert_close(operator(x), torchs(x), equal_nan=True)
    torch.testing.assert_close(operator.reference(x), torchs(x), equal_nan=True)


@BOTH
def test_gradient(operator: Any, torchs: Any) -> None:
    x = torch.linspace(-4.9, 4.8, 40, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(operator, (x,))


@BOTH
def test_whole_numbers_are_refused(operator: Any, torchs: Any) -> None:
    with pytest.raises(OperatorError, match="no cpu kernel for"):
        operator(torch.arange(3))
