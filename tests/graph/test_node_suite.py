"""Looking at a graph and taking it apart keeps what it computes: ONNX's own node tests."""

from __future__ import annotations

import pytest

from tests.graph import node_suite

# `make versions` runs on it, too.
pytestmark = pytest.mark.skipif(
    not node_suite.has_cases(), reason="this onnx keeps its cases in files"
)


@pytest.mark.parametrize("way", node_suite.WAYS)
def test_sample_keeps_its_outputs(way: str) -> None:
    cases = [case for case in node_suite.sample() if node_suite.supported(case)]
    assert len(cases) >= 150
    assert [case.name for case in cases if not node_suite.survives(case, way)] == []


@pytest.mark.slow
@pytest.mark.parametrize("way", node_suite.WAYS)
def test_all_that_the_runtime_supports_keep_their_outputs(way: str) -> None:
    cases = [case for case in node_suite.cases().values() if node_suite.supported(case)]
    assert len(cases) >= 1300
    assert [case.name for case in cases if not node_suite.survives(case, way)] == []


def test_a_difference_would_be_seen() -> None:
    case = node_suite.cases()["test_abs"]
    inputs = case.data_sets[0][0]
    before = node_suite.run(case.model, inputs)
    after = node_suite.run(case.model, [inputs[0] + 1])
    assert not any(node_suite.same(before[key], after[key]) for key in before)
