from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport import Dim, RunError, UsageError
from modelport.signature import InputGuard, Signature, TensorSpec

TWO = Signature(
    (
        TensorSpec("image", "float32", ("batch", 3, "height")),
        TensorSpec("mask", "bool", ("batch", "height")),
    ),
    (TensorSpec("y", "float32", ("batch", "2*height")),),
    {"height": Dim("height", 2, 5)},
)


def two(batch: int = 1, height: int = 4) -> dict[str, Any]:
    return {
        "image": np.zeros((batch, 3, height), np.float32),
        "mask": np.zeros((batch, height), bool),
    }


def refusal(inputs: Any, signature: Signature = TWO) -> str:
    with pytest.raises(RunError) as caught:
        signature.examine(inputs)
    return str(caught.value)


@pytest.mark.parametrize("bounds", [(-1, None), (3, 2), (-2, -1)])
def test_empty_range_is_refused(bounds: tuple[int, int | None]) -> None:
    with pytest.raises(UsageError, match="height"):
        Dim("height", *bounds)


@given(st.integers(0, 50), st.integers(0, 50) | st.none(), st.integers(-5, 120))
def test_dim_contains_what_lies_between_its_bounds(low: int, room: int | None, size: int) -> None:
    dim = Dim("n", low, None if room is None else low + room)
    assert (size in dim) == (low <= size and (room is None or size <= low + room))


@given(st.integers(0, 50), st.integers(20, 60), st.integers(1, 9), st.integers(-5, 120))
def test_multiples_are_what_a_dim_contains(low: int, room: int, multiple: int, size: int) -> None:
    dim = Dim("n", low, low + room, multiple)
    assert (size in dim) == (low <= size <= low + room and size % multiple == 0)
    assert dim.min in dim
    assert dim.max in dim
    assert dim.nearest(size) in dim


def test_multiple_is_told() -> None:
    signature = Signature((TensorSpec("x", "float32", ("n",)),), (), {"n": Dim("n", 1, 99, 32)})
    signature.examine({"x": np.zeros(64, np.float32)})
    told = refusal({"x": np.zeros(65, np.float32)}, signature)
    assert "n in 32..96, a multiple of 32" in told
    assert Signature.from_json(json.loads(json.dumps(signature.to_json()))) == signature


@pytest.mark.parametrize("bounds", [(1, 31, 32), (1, 64, 0), (1, 64, -2)])
def test_no_multiple_in_the_range_is_refused(bounds: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="'height'"):
        Dim("height", *bounds)


def test_dim_of_zero_to_zero_is_allowed() -> None:
    assert 0 in Dim("n", 0, 0)


def test_good_inputs_pass() -> None:
    TWO.examine(two())
    TWO.examine(two(batch=7, height=5))


def test_missing_and_unknown_names_are_told() -> None:
    message = refusal({"image": two()["image"], "maks": two()["mask"]})
    assert "missing: mask" in message
    assert "unknown: maks" in message
    assert "image: float32[batch, 3, height]" in message


def test_dtype_says_expected_and_came() -> None:
    message = refusal(two() | {"image": np.zeros((1, 3, 4))})
    assert "'image'" in message
    assert "<f8" in message
    assert "float32" in message


def test_foreign_byte_order_is_refused() -> None:
    assert ">f4" in refusal(two() | {"image": np.zeros((1, 3, 4), ">f4")})


def test_rank_is_told() -> None:
    assert "rank 2 is not 3" in refusal(two() | {"image": np.zeros((3, 4), np.float32)})


def test_fixed_dimension_is_told() -> None:
    message = refusal(two() | {"image": np.zeros((1, 4, 4), np.float32)})
    assert "axis 1 is 4, not 3" in message


@pytest.mark.parametrize("height", [1, 6])
def test_dimension_outside_of_its_range_is_told(height: int) -> None:
    assert f"axis 2 is {height}, outside the range height in 2..5" in refusal(two(height=height))


def test_dimensions_of_one_name_must_be_equal_across_inputs() -> None:
    message = refusal({"image": two(2)["image"], "mask": two(3)["mask"]})
    assert "'batch' is 2 in image[0]" in message
    assert "axis 0 is 3" in message


def test_dimensions_of_one_name_must_be_equal_within_an_input() -> None:
    square = Signature((TensorSpec("x", "float32", ("n", "n")),), ())
    square.examine({"x": np.zeros((3, 3), np.float32)})
    assert "'n' is 3" in refusal({"x": np.zeros((3, 4), np.float32)}, square)


def test_what_is_not_an_array_is_told() -> None:
    assert "list" in refusal(two() | {"mask": [[True]]})


@pytest.mark.parametrize(
    "inputs", [np.zeros((1, 3, 4), np.float32), [np.zeros((1, 3, 4), np.float32)], None, 3]
)
def test_inputs_that_are_no_mapping_are_told(inputs: Any) -> None:
    assert "image" in refusal(inputs)
    with pytest.raises(RunError):
        InputGuard(TWO)(inputs)


def test_strings_of_any_length_pass() -> None:
    words = Signature((TensorSpec("s", "str", ("n",)),), ())
    words.examine({"s": np.array(["a", "long word"])})
    words.examine({"s": np.array(["a", "long word"], object)})
    assert "expected str" in refusal({"s": np.zeros(2, np.float32)}, words)


def test_unknown_rank_takes_any_shape() -> None:
    anything = Signature((TensorSpec("x", "float32", None),), ())
    for shape in ((), (3,), (1, 2, 3)):
        anything.examine({"x": np.zeros(shape, np.float32)})


def test_json_gives_the_signature_back() -> None:
    signature = Signature(
        (*TWO.inputs, TensorSpec("any", "int64", None), TensorSpec("scalar", "float64", ())),
        TWO.outputs,
        {"height": Dim("height", 2, 5), "batch": Dim("batch")},
    )
    assert Signature.from_json(json.loads(json.dumps(signature.to_json()))) == signature


DTYPES = ("float32", "int64", "bool", "float16", ">f4", "str")
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def build(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


ARRAYS = st.builds(build, SHAPES, st.sampled_from(DTYPES))
THINGS = ARRAYS | st.sampled_from([None, 1.0, [1.0], np.float32(1.0), np.int64(2)])
SPECS = st.builds(
    lambda shape, dtype: (dtype, shape),
    st.none() | st.lists(st.integers(0, 4) | st.sampled_from(["n", "m"]), max_size=3).map(tuple),
    st.sampled_from(["float32", "int64", "bool", "float16", "bfloat16", "str"]),
)


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    specs = draw(st.lists(SPECS, max_size=3))
    low = draw(st.integers(0, 3))
    dims = draw(st.sampled_from([{}, {"n": Dim("n", low, low + 1)}]))
    inputs = tuple(TensorSpec(f"i{index}", *spec) for index, spec in enumerate(specs))
    return Signature(inputs, (), dims)


@st.composite
def fitting(draw: st.DrawFn, signature: Signature) -> dict[str, Any]:
    """Mostly inputs that fit; one of them may be replaced by anything, left out or added."""
    sizes = {"n": draw(st.integers(0, 4)), "m": draw(st.integers(0, 4))}
    inputs: dict[str, Any] = {}
    for spec in signature.inputs:
        shape = tuple(sizes.get(dim, dim) for dim in spec.shape or ())  # type: ignore[call-overload]
        inputs[spec.name] = build(shape, "float32" if spec.dtype == "bfloat16" else spec.dtype)
    change = draw(st.sampled_from(["none", "none", "replace", "drop", "add"]))
    if change == "add":
        inputs["more"] = draw(THINGS)
    elif inputs and change != "none":
        name = draw(st.sampled_from(sorted(inputs)))
        if change == "drop":
            del inputs[name]
        else:
            inputs[name] = draw(THINGS)
    return inputs


@given(st.data())
def test_guard_and_examine_give_the_same_verdicts(data: st.DataObject) -> None:
    signature = data.draw(signatures())
    guard = InputGuard(signature)
    for _ in range(6):
        inputs = data.draw(fitting(signature))
        assert accepts(guard, inputs) == accepts(signature.examine, inputs)


def test_guard_does_not_take_a_scalar_for_an_array_that_it_remembers() -> None:
    guard = InputGuard(Signature((TensorSpec("x", "float32", ()),), ()))
    guard({"x": np.zeros((), np.float32)})
    with pytest.raises(RunError, match="not a NumPy array"):
        guard({"x": np.float32(0.0)})


def test_guard_remembers_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InputGuard, "_REMEMBERED", 2)
    guard = InputGuard(Signature((TensorSpec("x", "float32", ("n",)),), ()))
    for size in (1, 2, 3, 1, 3):
        guard({"x": np.zeros(size, np.float32)})
    with pytest.raises(RunError):
        guard({"x": np.zeros((3, 1), np.float32)})


def accepts(check: Any, inputs: dict[str, Any]) -> bool:
    try:
        check(inputs)
    except RunError:
        return False
    return True
