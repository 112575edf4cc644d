from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport import Dim, UsageError
from modelport.numerics import EXAMPLE, Case, draw_cases, far_cases
from modelport.numerics.cases import draw_values
from modelport.signature import Signature, TensorSpec

COUNT = 12


def take(
    signature: Signature, examples: dict[str, Any], count: int = COUNT, **options: Any
) -> list[Case]:
    return list(itertools.islice(draw_cases(signature, examples, **options), count))


def one(shape: tuple[int | str, ...], dtype: str = "float32", **dims: Dim) -> Signature:
    return Signature((TensorSpec("x", dtype, shape),), (), dims)


DIM = st.builds(
    lambda low, room, multiple: (
        low * multiple,
        None if room is None else (low + room) * multiple,
        multiple,
    ),
    st.integers(0, 12),
    st.none() | st.integers(0, 40),
    st.sampled_from([1, 1, 1, 2, 3]),
)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Signature, dict[str, np.ndarray]]:
    """A signature of up to three inputs that share dimensions, and an example inside its ranges."""
    names = ("n", "h", "w")
    dims, sizes = {}, {}
    for name in names:
        low, high, multiple = draw(DIM)
        if draw(st.booleans()):
            dims[name] = Dim(name, low, high, multiple)
            last = low + 12 * multiple if high is None else high
            sizes[name] = draw(st.integers(low // multiple, last // multiple)) * multiple
        else:
            sizes[name] = draw(st.integers(1, 12))
    shapes = st.lists(st.sampled_from(names) | st.integers(1, 4), max_size=3).map(tuple)
    specs, examples = [], {}
    for index in range(draw(st.integers(1, 3))):
        shape = draw(shapes)
        specs.append(TensorSpec(f"i{index}", "float32", shape))
        concrete = tuple(dim if isinstance(dim, int) else sizes[dim] for dim in shape)
        rng = np.random.default_rng(index)
        examples[f"i{index}"] = rng.standard_normal(concrete).astype(np.float32)
    return Signature(tuple(specs), (), dims), examples


@given(problems(), st.integers(0, 3))
def test_drawn_inputs_are_what_the_signature_takes(problem: Any, seed: int) -> None:
    signature, examples = problem
    for case in take(signature, examples, seed=seed):
        # Names, dtypes, ranks, fixed dimensions, ranges, one size a name.
        signature.examine(case.inputs)


@given(problems())
def test_drawn_shapes_differ_from_the_examples(problem: Any) -> None:
    signature, examples = problem
    used = {dim for spec in signature.inputs for dim in spec.shape if isinstance(dim, str)}
    ranges = [signature.dims.get(name, Dim(name)) for name in used]
    if all(dim.min == dim.max for dim in ranges):
        return
    shapes = {name: array.shape for name, array in examples.items()}
    for case in take(signature, examples):
        assert {name: array.shape for name, array in case.inputs.items()} != shapes


@given(problems())
def test_drawn_values_differ_from_the_examples(problem: Any) -> None:
    signature, examples = problem
    for case in take(signature, examples):
        sized = [name for name, array in case.inputs.items() if array.size]
        same = [np.array_equal(case.inputs[name], examples[name]) for name in sized]
        assert not same or not all(same)


@given(problems())
def test_cases_stay_near_the_examples_size(problem: Any) -> None:
    signature, examples = problem
    base = sum(array.size for array in examples.values())
    for case in take(signature, examples):
        size = sum(array.size for array in case.inputs.values())
        # A range that starts above the budget leaves no choice.
        least = sum(
            int(
                np.prod(
                    [
                        d if isinstance(d, int) else signature.dims.get(d, Dim(d)).min
                        for d in spec.shape
                    ]
                )
            )
            for spec in signature.inputs
        )
        assert size <= max(40 * base + 1024, least) + 50 * 50 * 50


def test_every_dimension_is_moved_alone_and_to_its_ends() -> None:
    signature = one(("n", 3, "h"), n=Dim("n", 1, 9), h=Dim("h", 4, 30))
    cases = take(signature, {"x": np.random.default_rng(0).random((2, 3, 8), np.float32)}, 8)
    shapes = [case.inputs["x"].shape for case in cases]
    assert shapes[0] == (1, 3, 4)
    assert any(shape[0] != 2 and shape[2] == 8 for shape in shapes)
    assert any(shape[0] == 2 and shape[2] != 8 for shape in shapes)
    assert any(shape[0] == 9 for shape in shapes)
    assert any(shape[2] == 30 for shape in shapes)


def test_odd_sizes_are_among_them() -> None:
    cases = take(one(("n",)), {"x": np.zeros(8, np.float32)})
    assert any(case.inputs["x"].shape[0] % 2 and case.inputs["x"].shape[0] > 1 for case in cases)


def test_zero_is_drawn_only_where_it_is_asked_for() -> None:
    example = {"x": np.ones(2, np.float32)}
    assert all(case.inputs["x"].size for case in take(one(("n",)), example, 60))
    asked = take(one(("n",), n=Dim("n", 0, 3)), example, 60)
    assert any(case.inputs["x"].size == 0 for case in asked)


def test_huge_range_does_not_make_huge_cases() -> None:
    signature = one((1, 3, "h", "w"), h=Dim("h", 1, 8192), w=Dim("w", 1, 8192))
    example = {"x": np.random.default_rng(0).random((1, 3, 32, 32), np.float32)}
    sizes = [case.inputs["x"].size for case in take(signature, example, 40)]
    assert max(sizes) <= 8 * example["x"].size + 3 * 8192


def test_fixed_shapes_vary_in_value() -> None:
    example = {"x": np.random.default_rng(0).random((2, 3), np.float32)}
    cases = take(one((2, 3)), example, 6)
    assert all(case.inputs["x"].shape == (2, 3) for case in cases)
    arrays = [case.inputs["x"].tobytes() for case in cases] + [example["x"].tobytes()]
    assert len(set(arrays)) == 7


def test_same_seed_gives_the_same_cases_and_another_seed_others() -> None:
    signature, example = one(("n", 3)), {"x": np.random.default_rng(0).random((4, 3), np.float32)}
    first, again, other = (take(signature, example, seed=seed) for seed in (0, 0, 1))
    for one_case, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one_case.inputs["x"], same.inputs["x"])
    assert any(
        not np.array_equal(one_case.inputs["x"], differs.inputs["x"])
        for one_case, differs in zip(first, other, strict=True)
    )


def test_names_are_unique() -> None:
    names = [case.name for case in take(one(("n",)), {}, 30)]
    assert len(set(names)) == 30


def test_values_have_the_examples_scale() -> None:
    example = {"x": np.random.default_rng(0).normal(100.0, 5.0, 4000).astype(np.float32)}
    for case in take(one((4000,)), example, 6):
        drawn = np.abs(case.inputs["x"])
        assert drawn.mean() == pytest.approx(100.0, abs=1.0)
        assert drawn.std() == pytest.approx(5.0, rel=0.1)


def test_constant_example_does_not_make_constant_cases() -> None:
    for case in take(one((50,)), {"x": np.zeros(50, np.float32)}, 4):
        assert np.ptp(case.inputs["x"]) > 0


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_integers_stay_inside_the_examples_range(dtype: str) -> None:
    example = {"x": np.array([3, 9, 5], dtype)}
    drawn = np.concatenate([case.inputs["x"] for case in take(one(("n",), dtype), example, 30)])
    assert drawn.dtype == dtype
    assert set(drawn.tolist()) == set(range(3, 10))


def test_booleans_take_both_values() -> None:
    drawn = np.concatenate([case.inputs["x"] for case in take(one((20,), "bool"), {}, 5)])
    assert set(drawn.tolist()) == {True, False}


def test_strings_come_from_the_example() -> None:
    example = {"x": np.array(["red", "green"])}
    drawn = {word for case in take(one((5,), "str"), example, 5) for word in case.inputs["x"]}
    assert drawn == {"red", "green"}


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "str"])
@pytest.mark.parametrize("ruled", [False, True])
def test_rank_0_is_an_array_too(dtype: str, ruled: bool) -> None:
    rules = {"x": (0, 1) if dtype != "str" else lambda rng, shape: np.array("text")}
    for case in take(one((), dtype), {}, values=rules if ruled else {}):
        assert type(case.inputs["x"]) is np.ndarray
        assert case.inputs["x"].shape == ()


def test_bfloat16_is_drawn() -> None:
    (case,) = take(one((3,), "bfloat16"), {}, 1)
    assert case.inputs["x"].dtype.name == "bfloat16"


def test_range_as_a_rule_bounds_the_values() -> None:
    for dtype in ("float32", "int64"):
        cases = take(one((200,), dtype), {}, 5, values={"x": (-2, 3)})
        drawn = np.concatenate([case.inputs["x"] for case in cases])
        assert drawn.dtype == dtype
        assert drawn.min() >= -2
        assert drawn.max() <= 3
        assert np.ptp(drawn) > 4.5


def test_function_as_a_rule_draws_the_values() -> None:
    def rule(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.sort(rng.random(shape))

    for case in take(one(("n",)), {"x": np.zeros(5, np.float32)}, values={"x": rule}):
        assert case.inputs["x"].dtype == np.float32
        assert (np.diff(case.inputs["x"]) >= 0).all()


def test_rule_of_the_wrong_shape_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"rule for values of 'x' gave shape \[7\]"):
        take(one((3,)), {}, values={"x": lambda rng, shape: np.zeros(7)})


def test_rule_for_an_unknown_input_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'z'"):
        take(one((3,)), {}, values={"z": (0, 1)})


def test_unknown_rank_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no known rank"):
        take(Signature((TensorSpec("x", "float32", None),), ()), {})


def test_cases_far_from_the_example_are_no_measure_of_low_precisions() -> None:
    x = np.linspace(0, 1, 8, dtype=np.float32)
    values = {EXAMPLE: x, "near": 0.9 * x, "zeros": 0 * x, "negated": -x, "large": 1000 * x}
    cases = [Case(name, {"x": array}, "") for name, array in values.items()]
    assert set(far_cases(cases, "int8")) == {"zeros", "negated", "large"}
    assert set(far_cases(cases, "fp16")) == {"large"}
    assert far_cases(cases, "fp32") == {}


MASK = np.array([[0, -np.inf, -np.inf], [0, 0, -np.inf], [0.5, 0, 0]], np.float32)


@pytest.mark.parametrize(
    "example",
    [
        MASK,
        np.array([[np.nan, 1, 2], [3, 4, 5], [6, 7, 8]], np.float32),
        np.array([[np.inf, 1, -np.inf], [3, 4, 5], [6, 7, 8]], np.float32),
    ],
)
@pytest.mark.parametrize(
    "manner", ["resampled", "normal", "negated", "small", "large", "positive", "huge", "constant"]
)
def test_specials_of_an_example_stay_and_the_rest_is_finite(
    example: np.ndarray, manner: str
) -> None:
    spec, rng = TensorSpec("x", "float32", ("rows", 3)), np.random.default_rng(0)
    same = draw_values(spec, {"rows": 3}, {"x": example}, None, manner, rng)
    special = ~np.isfinite(example)
    np.testing.assert_array_equal(same[special], example[special])
    assert np.isfinite(same[~special]).all()
    larger = draw_values(spec, {"rows": 400}, {"x": example}, None, manner, rng)
    share = (~np.isfinite(larger)).mean()
    assert share == pytest.approx(special.mean(), abs=0.1)
    values = set(larger[~np.isfinite(larger) & ~np.isnan(larger)])
    assert values <= set(example[special])


def test_example_without_a_finite_number_is_drawn_from() -> None:
    spec, rng = TensorSpec("x", "float32", (4,)), np.random.default_rng(0)
    example = np.full(4, -np.inf, np.float32)
    for manner in ("resampled", "normal", "negated"):
        drawn = draw_values(spec, {}, {"x": example}, None, manner, rng)
        np.testing.assert_array_equal(drawn, example)
