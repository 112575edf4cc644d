from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from modelport import Dim, ProofError, RunError
from modelport.arrays import Arrays
from modelport.numerics import (
    CONSTANT,
    Case,
    ReferenceCase,
    Verification,
    count_evidence,
    draw_cases,
    output_scales,
    run_reference,
    verify_cases,
)
from modelport.signature import Signature, TensorSpec
from tests.support import Array, Block

SIGNATURE = Signature(
    (TensorSpec("x", "float32", ("batch", 3, "height", 12)),),
    (),
    {"height": Dim("height", 4, 40)},
)
EXAMPLE = np.random.default_rng(0).standard_normal((2, 3, 10, 12)).astype(np.float32)


def eager(x: Array, block: torch.nn.Module | None = None) -> Array:
    with torch.no_grad():
        return (block or Block())(torch.from_numpy(x.copy())).numpy()


def in_float64(x: Array) -> Array:
    with torch.no_grad():
        return Block().double()(torch.from_numpy(x.astype(np.float64))).numpy()


def reference(inputs: Any) -> dict[str, Array]:
    return {"y": eager(inputs["x"]), "size": np.array(inputs["x"].shape)}


def drawn() -> Iterator[Case]:
    return draw_cases(SIGNATURE, {"x": EXAMPLE})


def references() -> list[ReferenceCase]:
    results, refused = run_reference(reference, drawn(), [Case("example", {"x": EXAMPLE}, "given")])
    assert not refused
    return results


def verified(change: Callable[[Array, Array], Array]) -> Verification:
    """The verification of a candidate that is the reference with its output changed."""

    def candidate(inputs: Any) -> dict[str, Array]:
        right = reference(inputs)
        return right | {"y": change(inputs["x"], right["y"])}

    return verify_cases(references(), candidate)


def wrong_epsilon(x: Array, y: Array) -> Array:
    block = Block()
    block.norm.eps = 1e-3
    return eager(x, block)


def swapped_axes(x: Array, y: Array) -> Array:
    # Only a square picture keeps its shape; the others show in the shape.
    return np.ascontiguousarray(np.swapaxes(y, 2, 3))


def flipped_channels(x: Array, y: Array) -> Array:
    return eager(np.ascontiguousarray(x[:, ::-1]))


def shifted_row(x: Array, y: Array) -> Array:
    return np.roll(y, 1, axis=2)


def other_padding(x: Array, y: Array) -> Array:
    block = Block()
    block.conv.padding_mode = "replicate"
    block.conv._reversed_padding_repeated_twice = [1, 1, 1, 1]
    return eager(x, block)


def one_nan(x: Array, y: Array) -> Array:
    y = y.copy()
    y.flat[-1] = np.nan
    return y


def baked_height(x: Array, y: Array) -> Array:
    # What tracing makes of code that computes with a size in Python.
    return (y * np.float32(y.shape[2] / EXAMPLE.shape[2])).astype(np.float32)


def constant(x: Array, y: Array) -> Array:
    return np.broadcast_to(y.mean(), y.shape).astype(np.float32)


def other_dtype(x: Array, y: Array) -> Array:
    return y.astype(np.float64)


FAULTS = [
    wrong_epsilon,
    swapped_axes,
    flipped_channels,
    shifted_row,
    other_padding,
    one_nan,
    baked_height,
    constant,
    other_dtype,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_caught(fault: Callable[[Array, Array], Array]) -> None:
    verification = verified(fault)
    assert not verification.ok
    with pytest.raises(ProofError) as caught:
        verification.require("the engine")
    message = str(caught.value)
    assert "the engine does not compute what the original model computes" in message
    assert "'y'" in message


def test_fault_that_shows_at_other_sizes_alone_is_caught() -> None:
    cases = {case.case: case.ok for case in verified(baked_height).cases}
    assert cases.pop("example")
    assert not all(cases.values())


def test_message_names_output_case_and_worst_element() -> None:
    def change(x: Array, y: Array) -> Array:
        y = y.copy()
        y[0, 1, 2, 3] += 100.0
        return y

    with pytest.raises(ProofError) as caught:
        verified(change).require("the engine")
    message = str(caught.value)
    assert "case 'example'" in message
    assert "output 'y'" in message
    assert "worst at [0, 1, 2, 3]" in message
    assert "x [2, 3, 10, 12]" in message
    assert "6 of 6 cases differ" in message


def test_missing_output_is_caught() -> None:
    verification = verify_cases(references(), lambda inputs: {"y": eager(inputs["x"])})
    assert not verification.ok
    assert {out.output for case in verification.cases for out in case.outputs if not out.ok} == {
        "size"
    }


def test_candidate_that_fails_is_a_result() -> None:
    def candidate(inputs: Any) -> dict[str, Array]:
        if inputs["x"].shape != EXAMPLE.shape:
            raise RunError("no such kernel", why="too tall")
        return reference(inputs)

    verification = verify_cases(references(), candidate)
    assert not verification.ok
    assert [case.ok for case in verification.cases] == [True] + [False] * 5
    assert "no such kernel" in verification.cases[1].failure
    with pytest.raises(ProofError, match="no such kernel"):
        verification.require("the engine")


def test_rounding_passes() -> None:
    rng = np.random.default_rng(1)

    def noisy(x: Array, y: Array) -> Array:
        noise = rng.uniform(-1, 1, y.shape) * 2e-6 * np.abs(y).max()
        return (y + noise).astype(np.float32)

    verification = verified(noisy)
    verification.require("the engine")
    assert verification.worst is not None
    assert 0 < verification.worst.max_rel < verification.worst.max_rel_allowed


def test_the_same_network_in_float64_passes() -> None:
    verified(lambda x, y: in_float64(x).astype(np.float32)).require("the engine")


def test_five_drawn_cases_are_run_beside_the_given_ones() -> None:
    results = references()
    assert results[0].case.name == "example"
    assert len(results) == 6
    shapes = {item.case.inputs["x"].shape for item in results[1:]}
    assert EXAMPLE.shape not in shapes
    assert len(shapes) > 2
    for item in results:
        np.testing.assert_allclose(item.outputs["y"], eager(item.case.inputs["x"]), rtol=1e-6)


def test_cases_that_the_model_refuses_are_told_and_replaced() -> None:
    def picky(inputs: Any) -> dict[str, Array]:
        if inputs["x"].shape[2] % 2:
            raise RunError("the model fails", why="odd height")
        return reference(inputs)

    results, refused = run_reference(picky, drawn())
    assert len(results) == 5
    assert all(item.case.inputs["x"].shape[2] % 2 == 0 for item in results)
    assert refused
    assert all("odd height" in text for text in refused)
    assert verify_cases(results, picky, refused=refused).refused == tuple(refused)


def test_model_that_refuses_almost_everything_is_a_proof_error() -> None:
    def stubborn(inputs: Any) -> dict[str, Array]:
        raise RunError("the model fails", why="never")

    with pytest.raises(ProofError, match="took only 0 of 40") as caught:
        run_reference(stubborn, drawn())
    assert "never" in str(caught.value)
    assert "Dim" in str(caught.value)


def test_too_few_cases_to_draw_is_a_proof_error() -> None:
    with pytest.raises(ProofError, match="took only 3 of 3"):
        run_reference(reference, itertools.islice(drawn(), 3))


def test_given_case_that_the_model_refuses_is_an_error() -> None:
    def stubborn(inputs: Any) -> dict[str, Array]:
        raise RunError("the model fails")

    with pytest.raises(RunError, match="the model fails"):
        run_reference(stubborn, drawn(), [Case("example", {"x": EXAMPLE}, "given")])


def test_worst_is_the_largest_relative_error() -> None:
    verification = verified(lambda x, y: (y * np.float32(1 + 1e-6 * x.shape[2])).astype(np.float32))
    assert verification.worst is not None
    outputs = [output for case in verification.cases for output in case.outputs]
    assert verification.worst.max_rel == max(output.max_rel for output in outputs) > 0
    assert Verification(()).worst is None


def case(name: str, x: object, y: object) -> ReferenceCase:
    inputs = {"x": np.asarray(x, np.float32)}
    return ReferenceCase(Case(name, inputs, "drawn"), {"y": np.asarray(y, np.float32)})


def test_scale_is_that_of_the_largest_usual_case() -> None:
    usual = [case("example", [1, -1], [2.0, 0]), case("drawn-0", [3, 0], [8.0, 0])]
    huge = case("probe-1", [1000, 0], [1e6, 0])
    assert output_scales([*usual, huge])["y"] == pytest.approx(8 / np.sqrt(2))
    assert output_scales([huge])["y"] == pytest.approx(1e6 / np.sqrt(2))
    assert output_scales([case("example", [1], [np.nan])]) == {"y": 0.0}


def test_error_in_a_small_case_is_measured_by_the_large_ones() -> None:
    cases = [case("example", [1], [1.0]), case("drawn-0", [2], [1e-9])]
    runs = {1.0: np.float32([1.0]), 2.0: np.float32([1.5e-8])}
    assert verify_cases(cases, lambda inputs: {"y": runs[float(inputs["x"][0])]}).ok
    runs[1.0] = np.float32([1.01])
    assert not verify_cases(cases, lambda inputs: {"y": runs[float(inputs["x"][0])]}).ok


def test_reference_in_float64_is_asked_where_a_case_differs_and_only_there() -> None:
    asked: list[float] = []

    def exact(inputs: Arrays) -> Arrays:
        asked.append(float(inputs["x"][0]))
        return {"y": np.array([1.001])}

    cases = [case("a", [1], [1.0]), case("b", [2], [1.0])]
    runs = {1.0: np.float32([1.0]), 2.0: np.float32([1.003])}
    found = verify_cases(cases, lambda inputs: {"y": runs[float(inputs["x"][0])]}, exact=exact)
    assert found.ok
    assert asked == [2.0]


def test_case_that_is_not_finite_where_the_example_is_proves_nothing() -> None:
    def reference(inputs: Arrays) -> Arrays:
        with np.errstate(invalid="ignore"):
            return {"y": np.sqrt(inputs["x"])}

    drawn = [Case(f"drawn-{i}", {"x": np.float32([(-1) ** i * i])}, "drawn") for i in range(20)]
    example = Case("example", {"x": np.float32([4])}, "given")
    kept, refused = run_reference(reference, iter(drawn), [example])
    assert [item.case.name for item in kept] == ["example", *(f"drawn-{2 * i}" for i in range(5))]
    assert "NaN or infinity alone in output 'y'" in refused[0]
    negative = Case("example", {"x": np.float32([-4])}, "given")
    kept, refused = run_reference(reference, iter(drawn), [negative])
    assert len(kept) == 6
    assert not refused


def test_file_without_an_example_may_always_give_infinity() -> None:
    drawn = (Case(f"drawn-{i}", {"x": np.float32([i])}, "drawn") for i in range(60))
    kept, refused = run_reference(lambda inputs: {"y": inputs["x"] * np.float32("inf")}, drawn)
    assert len(kept) == 5
    assert not refused


def test_evidence_is_counted_for_each_output() -> None:
    nan = float("nan")
    cases = [case(str(i), [i], [i, nan]) for i in range(3)] + [case("last", [9], [nan, nan])]
    assert count_evidence(cases) == {"y": 3}
    assert count_evidence([case("a", [1], [7, 7]), case("b", [2], [7])]) == {"y": CONSTANT}
    assert count_evidence([case("a", [1], [7, 7]), case("b", [2], [8])]) == {"y": 2}
    assert count_evidence([case("a", [1], [7]), case("b", [2], [])]) == {"y": 2}
    assert count_evidence([]) == {}


def test_elements_that_are_undefined_in_a_case_are_not_compared() -> None:
    nan = np.nan
    drawn = case("drawn-0", [2, -2], [4.0, nan])
    for example, ok in ((case("example", [1, 1], [1.0, 1]), True), (case("a", [1], [nan]), False)):
        runs = {1.0: example.outputs["y"], 2.0: np.float32([4, 0])}
        found = verify_cases(
            [example, drawn], lambda inputs, runs=runs: {"y": runs[float(inputs["x"][0])]}
        )
        assert found.ok is ok
    runs = {1.0: np.float32([1, 1]), 2.0: np.float32([nan, nan])}
    cases = [case("example", [1, 1], [1.0, 1]), drawn]
    assert not verify_cases(cases, lambda inputs: {"y": runs[float(inputs["x"][0])]}).ok
