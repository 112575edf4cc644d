"""The search for the operators to leave, on costs that are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modelport.precision.exclusion_search import Attempt, search, sensitivities

COSTS = {f"n{place}": 1.0 / (1 + place * 7 % 10) for place in range(10)}


def measure(kept: Sequence[str]) -> float:
    """Costs add up, as those of independent errors do."""
    return sum(cost for name, cost in COSTS.items() if name not in kept)


def test_sensitivity_is_the_cost_of_a_node_alone() -> None:
    found = sensitivities(list(COSTS), measure)
    assert found == pytest.approx(COSTS)
    assert list(found) == sorted(COSTS, key=lambda name: -COSTS[name])


@pytest.mark.parametrize("kept", range(1, 10))
def test_the_smallest_number_is_found(kept: int) -> None:
    order = sorted(COSTS, key=lambda name: -COSTS[name])
    bound = measure(order[:kept])
    best, tried = search(order, measure, bound, Attempt((), measure(())))
    assert best == Attempt(tuple(order[:kept]), bound)
    assert len(tried) <= 8


def test_the_best_is_given_where_nothing_suffices() -> None:
    order = sorted(COSTS, key=lambda name: -COSTS[name])
    best, _ = search(order, measure, -1.0, Attempt((), measure(())))
    assert best.drop == pytest.approx(min(COSTS.values()))
    assert len(best.kept) == len(COSTS) - 1
