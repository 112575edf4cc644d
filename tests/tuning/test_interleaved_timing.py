from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.tuning import Timing, interleave, median_interval, paired_ratios


@pytest.mark.parametrize("count", [6, 9, 15, 25, 40])
def test_interval_holds_the_median_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(count)
    # A skewed distribution with a heavy tail, as times on a shared machine have: median 1.
    draws = np.exp(rng.standard_t(2, (2000, count)))
    held = 0
    for samples in draws:
        low, high = median_interval(samples.tolist())
        held += low <= 1.0 <= high
    assert held / len(draws) >= 0.94


def test_interval_is_that_of_the_published_table() -> None:
    # Order statistics of the 95 % interval of a median, for 10, 20 and 25 samples: 2 and 9,
    # 6 and 15, 8 and 18 (D. Altman et al., Statistics with Confidence, 2nd ed., table 18.4).
    for count, ends in ((10, (2, 9)), (20, (6, 15)), (25, (8, 18))):
        assert median_interval([float(rank) for rank in range(1, count + 1)]) == ends


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=40))
def test_figures_lie_in_order(samples: list[float]) -> None:
    timing = Timing(tuple(samples))
    low, high = timing.interval
    assert timing.minimum <= low <= timing.median <= high <= max(samples)
    assert timing.median == np.median(samples)
    for percent in (1, 50, 90, 99, 100):
        wanted = np.percentile(samples, percent, method="inverted_cdf")
        assert timing.percentile(percent) == wanted
    assert timing.to_json()["rounds"] == len(samples)


def test_ratios_are_those_of_each_round() -> None:
    # A disturbance that slows both sides of a round leaves its ratio as it is.
    assert paired_ratios([2.0, 20.0, 4.0], [1.0, 10.0, 2.0]) == [2.0, 2.0, 2.0]


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    called: list[str] = []

    def worker_process(name: str, seconds: float) -> None:
        slow = name not in called
        called.append(name)
        time.sleep(0.2 if slow else seconds)

    timings = interleave(
        {"a": lambda: worker_process("a", 0.001), "b": lambda: worker_process("b", 0.01)}, rounds=5
    )
    assert called == ["a", "b"] * 6
    assert len(timings["a"].samples) == 5
    assert timings["a"].minimum < timings["b"].minimum
    assert timings["b"].minimum < 0.2
