"""Products and sums of sizes, compared with the numbers that they stand for."""

from __future__ import annotations

import math

import pytest

from modelport.ir.symbolic_sizes import product, total

NUMBERS = {"N": 7, "H": 10, "width": 3}
SIZES = [
    [],
    [3, 4],
    [3, "N"],
    ["N", "N", 2, "H"],
    ["N - 1", 2],
    ["floor(H/2)", "H//3", "N"],
    ["2*N", "3*N + 1"],
    ["N", 0],
]


def number(size: int | str) -> int:
    return size if isinstance(size, int) else eval(size, {"floor": math.floor}, dict(NUMBERS))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_product_and_sum_are_those_of_the_numbers(sizes: list[int | str]) -> None:
    numbers = list(map(number, sizes))
    assert number(product(sizes)) == math.prod(numbers)
    assert number(total(sizes)) == sum(numbers)


def test_text_is_what_people_write() -> None:
    assert product([1728, "batch"]) == "1728*batch"
    assert product([4, "N", "N"]) == "4*N**2"
    assert total(["3*N", "4*N", 12]) == "7*N + 12"
    assert product([3, 4]) == 12
    assert product(["N", 0]) == 0


@pytest.mark.parametrize(
    ("name", "text"), [("batch size", "3*batch_size"), ("dim:0", "3*dim_0"), ("3d", "3*_3d")]
)
def test_name_that_is_no_expression_is_a_name(name: str, text: str) -> None:
    assert product([3, name]) == text


def test_text_of_a_sum_is_summed_again() -> None:
    assert total([total(["2*N**2", 3]), product([2, "N", "N"])]) == "4*N**2 + 3"
