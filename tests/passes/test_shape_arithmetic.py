from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelport
from tests.passes.support import array, simplified

FLATTENED = """g (float[n, 3, 4] x) => (float[n, 12] y)
<int64 zero = {0}, int64[1] rest = {-1}> {
    shape = Shape(x)
    size = Gather<axis = 0>(shape, zero)
    axes = Constant<value_ints = [0]>()
    first = Unsqueeze(size, axes)
    target = Concat<axis = 0>(first, rest)
    y = Reshape(x, target)
}"""


def test_sizes_that_reshape_copies_need_no_arithmetic(tmp_path: Path) -> None:
    inputs = [{"x": array(size, 3, 4)} for size in (1, 2, 7)]
    result = simplified(tmp_path, FLATTENED, *inputs)
    assert result.after == {"Reshape": 1}


def test_where_a_size_may_be_zero_nothing_is_copied(tmp_path: Path) -> None:
    body = """g (float[n, m, 4] x) => (float[n, k, 2] y) <int64[1] two = {2}> {
        first = Shape<start = 0, end = 1>(x)
        second = Shape<start = 1, end = 2>(x)
        twice = Mul(second, two)
        target = Concat<axis = 0>(first, twice, two)
        y = Reshape(x, target)
    }"""
    inputs = [{"x": array(*shape)} for shape in ((1, 1, 4), (3, 5, 4))]
    assert simplified(tmp_path, body, *inputs).after == {"Reshape": 1}
    empty = [*inputs, {"x": array(0, 5, 4)}, {"x": array(3, 0, 4)}]
    dims = [modelport.Dim("n", 0), modelport.Dim("m", 0)]
    result = simplified(tmp_path, body, *empty, dims=dims, check=False)
    assert result.after["Concat"] == 1


@pytest.mark.parametrize(("low", "high", "decided"), [(1, 8, True), (9, None, True), (1, 9, False)])
def test_declared_ranges_decide_comparisons(
    tmp_path: Path, low: int, high: int | None, decided: bool
) -> None:
    body = """g (float[n, 2] x) => (float[n, 2] y) <int64 zero = {0}, int64 eight = {8}> {
        shape = Shape(x)
        size = Gather<axis = 0>(shape, zero)
        large = Greater(size, eight)
        y = If(large) <
            then_branch = a () => (float[n, 2] p) { p = Relu(x) },
            else_branch = b () => (float[n, 2] q) { q = Neg(x) }
        >
    }"""
    inputs = [{"x": array(low, 2)}, {"x": array(high or low + 3, 2)}]
    result = simplified(tmp_path, body, *inputs, dims=[modelport.Dim("n", low, high)])
    expected = {"Relu": 1} if low > 8 else {"Neg": 1}
    assert result.after == expected if decided else result.after["If"] == 1


def test_a_range_of_one_size_is_a_number(tmp_path: Path) -> None:
    body = """g (float[n, 2] x) => (float[n, 2] y) <int64 zero = {0}> {
        shape = Shape(x)
        size = Gather<axis = 0>(shape, zero)
        number = Cast<to = 1>(size)
        y = Div(x, number)
    }"""
    inputs = {"x": array(5, 2)}
    assert simplified(tmp_path, body, inputs, dims=[modelport.Dim("n", 5, 5)]).after == {"Div": 1}
    assert simplified(tmp_path, body, inputs).after["Shape"] == 1


def test_expand_to_its_own_sizes_goes(tmp_path: Path) -> None:
    body = """g (float[n, 1, 4] x, float[n, 3, 4] z) => (float[n, 3, 4] y)
    <int64[1] minus = {-1}, int64[3] ones = {1, 1, 1}, int64[3] wanted = {-1, 3, -1}> {
        sizes = Shape(x)
        keep = Equal(wanted, minus)
        target = Where(keep, sizes, wanted)
        wide = Expand(x, target)
        y = Add(wide, z)
    }"""
    inputs = {"x": array(2, 1, 4), "z": array(2, 3, 4, seed=1)}
    result = simplified(tmp_path, body, inputs)
    assert set(result.after) == {"Expand", "Add"}


def test_what_data_decide_stays(tmp_path: Path) -> None:
    body = """g (float[n] x, int64[2] target) => (float[a, b] y) { y = Reshape(x, target) }"""
    inputs = [
        {"x": array(6), "target": np.array(shape)} for shape in ((2, 3), (-1, 2), (0, 1), (6, 1))
    ]
    result = simplified(tmp_path, body, *inputs, check=False)
    assert result.after == {"Reshape": 1}


def test_arithmetic_agrees_with_the_runtime(tmp_path: Path) -> None:
    """Every operator of shape arithmetic, at sizes where it could be wrong by one."""
    steps = {
        "Add": "Add(n, two)",
        "Sub": "Sub(n, two)",
        "Mul": "Mul(n, two)",
        "Div": "Div(n, two)",
        "Mod": "Mod(n, two)",
        "Min": "Min(n, two)",
        "Max": "Max(n, two)",
        "ReduceProd": "ReduceProd<keepdims = 1>(shape)",
        "ReduceSum": "ReduceSum<keepdims = 1>(shape)",
        "Slice": "Slice(shape, one, two)",
    }
    for operator, step in steps.items():
        body = f"""g (float[n, 4] x) => (float[a] y, int64[1] z)
        <int64[1] two = {{2}}, int64[1] one = {{1}}> {{
            shape = Shape(x)
            n = Shape<end = 1>(x)
            z = {step}
            positive = Abs(z)
            pair = ReduceProd<keepdims = 1>(shape)
            flat = Reshape(x, pair)
            y = Relu(flat)
        }}"""
        for dims in ([], [modelport.Dim("n", 2, 3)], [modelport.Dim("n", 3, 3)]):
            inputs = [{"x": array(size, 4)} for size in ((3,) if dims else (1, 2, 3, 8))]
            result = simplified(tmp_path, body, *inputs, dims=dims, check=False)
            assert sum(result.after.values()) <= sum(result.before.values()), operator
