from __future__ import annotations

import math

import pytest

from modelport import Dim
from modelport.capture.diagnosis.probe_sizes import informative_sizes

KINDS = {
    "prime": lambda size: size > 1 and all(size % factor for factor in range(2, size)),
    "square": lambda size: size > 1 and math.isqrt(size) ** 2 == size,
    "multiple of 8": lambda size: size % 8 == 0,
    "power of 2": lambda size: size in {2**power for power in range(1, 20)},
}


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 197, 224])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_there_beside_the_example(size: int, kind: str) -> None:
    sizes = informative_sizes(size, Dim("n"))
    assert size not in sizes
    assert any(KINDS[kind](other) for other in sizes)
    assert len(set(sizes)) == len(sizes)


def test_sizes_stay_inside_the_range_and_reach_its_ends() -> None:
    sizes = informative_sizes(40, Dim("n", 33, 50))
    assert {33, 50} <= set(sizes)
    assert all(33 <= size <= 50 for size in sizes)
    assert informative_sizes(4, Dim("n", 4, 4)) == []


def test_nearest_of_a_kind_is_taken() -> None:
    sizes = informative_sizes(200, Dim("n"))
    assert {196, 199, 256} <= set(sizes)


def test_sizes_are_multiples_where_the_range_says_so() -> None:
    sizes = informative_sizes(64, Dim("n", 32, 256, 32))
    assert set(sizes) == {32, 96, 128, 256}
