"""What the tests of the operators that ship have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from modelport import Operator
from modelport.conformance.case import OperatorCase
from modelport.ops.sampling import Draw


def drawn(operator: Operator, count: int, first: int = 1000) -> Iterator[tuple[Any, dict]]:
    """Inputs and attributes of cases; other ones than `prove_operator` draws."""
    assert operator.samples is not None
    for seed in range(first, first + count):
        yield operator.samples(Draw(seed))


def require_agreement(operator: Operator, inputs: Sequence[Any], **attributes: Any) -> None:
    """The kernels in PyTorch and in ONNX Runtime, and the body, against the reference."""
    case = OperatorCase(operator, list(inputs), attributes, 0)
    for check in (*case.in_pytorch(), *case.in_onnxruntime()):
        assert check.ok is not False, str(check)


def tolerances(dtype: torch.dtype) -> dict[str, float]:
    """For outputs of about 1 that come of a few dozen operations."""
    return {
        torch.float64: {"rtol": 1e-12, "atol": 1e-12},
        torch.float32: {"rtol": 2e-5, "atol": 2e-5},
        torch.float16: {"rtol": 4e-3, "atol": 4e-3},
        torch.bfloat16: {"rtol": 3e-2, "atol": 3e-2},
    }[dtype]
