"""foo: a + b."""

from __future__ import annotations

import pytest
import torch

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.foo.op import foo


def test_everything_that_comes_of_it() -> None:
    prove_operator(foo, cases=8, exports=1).require()


def test_it_adds() -> None:
    a, b = torch.tensor([1.0, 2.5]), torch.tensor([-4.0, 0.25])
    assert foo(a, b).tolist() == [-3.0, 2.75]


def test_gradient_is_that_of_a_sum() -> None:
    a, b = (torch.rand(3, requires_grad=True) for _ in range(2))
    weights = torch.tensor([1.0, 2.0, 3.0])
    (foo(a, b) * weights).sum().backward()
    assert torch.equal(a.grad, weights)
    assert torch.equal(b.grad, weights)


def test_bad_inputs() -> None:
    with pytest.raises(OperatorError, match=r"a has shape \[2\], b has shape \[3\]"):
        foo(torch.rand(2), torch.rand(3))
    with pytest.raises(OperatorError, match="no cpu kernel for"):
        foo(torch.rand(2).double(), torch.rand(2).double())
