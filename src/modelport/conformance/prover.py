"""`prove_operator`: everything that comes of one declaration computes the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelport.conformance.case import OperatorCase
from modelport.conformance.results import Check, Conformance
from modelport.errors import UsageError
from modelport.ops.declaration import Operator
from modelport.ops.sampling import Draw


def prove_operator(
    operator: Operator,
    *,
    cases: int = 20,
    exports: int = 2,
    seed: int = 0,
    done: Callable[[str], None] = lambda case: None,
) -> Conformance:
    """Compares all implementations of an operator with its reference, on drawn cases.

    Every case goes through the PyTorch operator (contiguous and strided), the shape rule, the
    gradient against that of the reference, a node in ONNX Runtime with the library of kernels,
    and the function body without it. The first cases also go through ``torch.library.opcheck``
    and both exporters.

    Args:
        operator: The operator; it needs a function under ``@....cases``.
        cases: How many cases to draw.
        exports: How many of them to export.
        seed: Of the draws: the same seed draws the same cases.
        done: Told of every finished case.

    Returns:
        What was found.

    Raises:
        UsageError: The operator does not say how cases are drawn.
        OperatorError: Its library cannot be built.
    """
    checks: list[Check] = []
    elements = 0
    for case in _cases(operator, cases, seed):
        elements += case.elements
        checks += case.in_pytorch()
        checks += case.in_onnxruntime()
        if case.number < exports:
            checks += case.exported()
        done(case.name)
    if not elements:
        reason = "all outputs are empty in all cases that were drawn: nothing was compared"
        checks.append(Check("cases", "", False, reason))
    return Conformance(operator.qualified_name, tuple(checks))


def prove_kernels(operator: Operator, *, cases: int = 20, seed: int = 0) -> Conformance:
    """Compares the PyTorch operator alone, without exports and other runtimes."""
    checks = [check for case in _cases(operator, cases, seed) for check in case.in_pytorch()]
    return Conformance(operator.qualified_name, tuple(checks))


def _cases(operator: Operator, cases: int, seed: int) -> Iterator[OperatorCase]:
    if operator.samples is None:
        raise UsageError(
            f"{operator.qualified_name} does not say how its inputs are drawn",
            where=str(operator.folder),
            fix=f"declare it under @{operator.schema.name}.cases: take a Draw, give the inputs and "
            "the attributes",
        )
    for number in range(cases):
        inputs, attributes = operator.samples(Draw(seed * 10_007 + number))
        yield OperatorCase(operator, list(inputs), dict(attributes), number)
