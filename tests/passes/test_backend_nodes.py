"""ONNX's own node tests: what is simplified gives the same outputs in ONNX Runtime."""

from __future__ import annotations

import warnings
from functools import cache

import onnx
import onnx_ir
import pytest

import modelport
from tests.passes.node_cases import NodeCase, differences, frozen, node_cases, outputs, session

EVERY = 20
"""Of the suite's cases, in order of their names, one in so many runs in `make test`."""

EXCEPTIONS: dict[str, str] = {}
"""Cases that simplify does not keep, with the reason."""


@cache
def cases() -> list[NodeCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return node_cases()


def problems_of(name: str, model: onnx.ModelProto, data_sets: list[tuple[object, ...]]) -> str:
    """Why a simplified model is not as good as the model; empty where it is.

    A model that ONNX Runtime does not support, or whose inputs its Python binding cannot be
    given (numbers of eight bits and less that NumPy lacks), says nothing.
    """
    before = session(model)
    if before is None:
        return "unsupported"
    expected = [outputs(before, given) for given in data_sets]
    if any(result is None for result in expected):
        return "unsupported"
    source = modelport.Model(onnx_ir.from_proto(model))
    simplified = modelport.simplify(source, check=False).model
    after = session(onnx_ir.to_proto(simplified.ir))
    if after is None:
        return f"{name}: ONNX Runtime does not load it any more"
    for opened in (before.get_inputs, before.get_outputs):
        again = getattr(after, opened.__name__)()
        if [(value.name, value.type) for value in opened()] != [
            (value.name, value.type) for value in again
        ]:
            return f"{name}: other inputs or outputs"
    for given, wanted in zip(data_sets, expected, strict=True):
        result = outputs(after, given)
        if result is None:
            return f"{name}: ONNX Runtime does not run it any more"
        for difference in differences(wanted, result, name):
            return difference
    return ""


def run(chosen: list[NodeCase], constant: bool) -> tuple[int, list[str]]:
    """How many cases were compared, and what is wrong with those that are."""
    wrong, compared = [], 0
    for case in chosen:
        model, data_sets = case.model, list(case.data_sets)
        if constant:
            if not data_sets:
                continue
            model = frozen(case, data_sets[0])
            left = {value.name for value in model.graph.input}
            pairs = zip(case.model.graph.input, data_sets[0], strict=False)
            data_sets = [tuple(item for value, item in pairs if value.name in left)]
        problem = problems_of(case.name, model, data_sets)
        compared += problem != "unsupported"
        if problem not in ("", "unsupported") and case.name not in EXCEPTIONS:
            wrong.append(problem)
    return compared, wrong


@pytest.mark.parametrize("constant", [False, True], ids=["as they are", "inputs made constant"])
def test_a_sample_keeps_its_outputs(constant: bool) -> None:
    compared, wrong = run(cases()[::EVERY], constant)
    assert wrong == []
    assert compared >= 60


@pytest.mark.slow
@pytest.mark.parametrize("constant", [False, True], ids=["as they are", "inputs made constant"])
def test_all_keep_their_outputs(constant: bool) -> None:
    compared, wrong = run(cases(), constant)
    assert wrong == []
    assert compared >= 1400
