"""Proving finds the faults that are planted, each in the place where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelport import Operator, ProofError, UsageError
from modelport.conformance import prove_kernels_sanitized, prove_operator
from modelport.ops.scaffold import load_folder, write_folder

Trial = dict[str, Operator]


@pytest.mark.parametrize(
    ("name", "exports"),
    [("blend", 1), ("pick", 1), ("echo", 0), ("joined", 0), ("positive", 0), ("twice", 0)],
)
def test_operators_without_faults(trial: Trial, name: str, exports: int) -> None:
    heard: list[str] = []
    found = prove_operator(trial[name], cases=4, exports=exports, done=heard.append)
    found.require()
    assert len(heard) == 4
    counts = found.counts()
    for way in ("kernel", "kernel, strided", "shape rule"):
        assert counts[way] == (4, 0, 0)
    # What could not be tried is only what cannot be: no array has 16 bits and 8 of exponent.
    assert {check.detail for check in found.checks if check.ok is None} <= {
        "engines take no bfloat16 yet",
        "torch cannot trace a list of texts",
        "opcheck cannot copy a tensor with several dimensions of 0",
    }
    if exports:
        assert (counts["dynamo"], counts["trace"]) == ((1, 0, 0), (1, 0, 0))
        assert counts["opcheck"][1] == 0
    if trial[name].gradient is not None:
        assert counts["gradient"][0] > 0
    if trial[name].decomposition is not None:
        assert counts["body"][0] == 4


@pytest.fixture
def blend(trial: Trial) -> Iterator[Operator]:
    """An operator without faults, whose declarations may be replaced."""
    operator = trial["blend"]
    rule, gradient, body = operator.shape_rule, operator.gradient, operator.decomposition
    assert rule is not None
    assert gradient is not None
    yield operator
    operator.shapes(rule)
    operator.backward(gradient)
    operator.onnx(body)


def ways_that_fail(operator: Operator, exports: int = 0) -> set[str]:
    found = prove_operator(operator, cases=6, exports=exports)
    assert not found.ok
    with pytest.raises(ProofError):
        found.require()
    return {check.way for check in found.failures}


def test_wrong_shape_rule(blend: Operator) -> None:
    blend.shapes(lambda a, b, *, share: a.like([*a.shape, 1]))
    assert {"shape rule", "kernel"} <= ways_that_fail(blend)


def test_wrong_dtype_in_the_shape_rule(blend: Operator) -> None:
    blend.shapes(lambda a, b, *, share: a.like(dtype="float32"))
    assert {"shape rule", "kernel"} <= ways_that_fail(blend)


def test_wrong_gradient(blend: Operator) -> None:
    blend.backward(lambda gradient, a, b, *, share: (gradient * b * share, gradient * a * share))
    assert ways_that_fail(blend) == {"gradient"}


def test_gradient_of_too_few_inputs(blend: Operator) -> None:
    blend.backward(lambda gradient, a, b, *, share: gradient * b * share)
    assert ways_that_fail(blend) == {"gradient"}


def test_wrong_decomposition(blend: Operator) -> None:
    blend.onnx(lambda op, a, b, *, share: op.Add(op.Mul(a, b), b))
    assert ways_that_fail(blend) == {"body"}


def test_wrong_kernel(trial: Trial) -> None:
    # It adds 1, its body 2, its reference 100.
    marked = trial["marked"]
    marked.cases(lambda draw: ((draw.tensor([draw.size(1)]),), {"factor": draw.real(-1, 1)}))
    assert ways_that_fail(marked) == {"kernel", "kernel, strided", "onnxruntime", "body"}


def test_operator_that_does_not_say_how_to_draw(trial: Trial) -> None:
    with pytest.raises(UsageError, match="does not say how its inputs are drawn"):
        prove_operator(trial["workers"])


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Writes a new operator with a fault in its kernel."""

    def write(name: str, old: str, new: str) -> Path:
        folder = write_folder(name, tmp_path)
        change(folder / "kernel.cpp", old, new)
        return folder

    return write


def test_kernel_that_is_wrong_at_the_end(changed: Callable[..., Path]) -> None:
    folder = changed("faulty::last", "i < end; ++i)", "i < end - (end > 3); ++i)")
    (operator,) = load_folder(folder)
    found = prove_operator(operator, cases=12, exports=0)
    assert {"kernel", "onnxruntime"} <= {check.way for check in found.failures}
    assert "body" not in {check.way for check in found.failures}


def test_kernel_that_allocates_no_output(changed: Callable[..., Path]) -> None:
    early = "if (x.size() == 0) return;\n  T* to = output.alloc"
    (operator,) = load_folder(changed("faulty::early", "T* to = output.alloc", early))
    found = prove_operator(operator, cases=12, exports=0)
    failed = [check for check in found.failures if check.way in ("kernel", "onnxruntime")]
    assert failed
    assert all("allocated 0 of its 1 outputs" in check.detail for check in failed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("outside", "i < end; ++i)", "i < end + 1; ++i)", "heap-buffer-overflow"),
        (
            "overflow",
            "const T by = static_cast<T>(factor);",
            "const T by = static_cast<T>(factor);\n  int big = 2147483647;\n"
            "  big += static_cast<int>(x.rank() + 1);\n  if (big == 7) return;",
            "signed integer overflow",
        ),
    ],
)
def test_sanitizers(
    name: str, old: str, new: str, said: str, changed: Callable[..., Path], cli: Any
) -> None:
    folder = changed(f"sanitized::{name}", old, new)
    (found,) = prove_kernels_sanitized(folder, cases=12)
    (check,) = found.failures
    assert check.way == "sanitizer"
    assert said in check.detail
    assert "kernel.cpp" in check.detail
    ran = cli("ops", "test", folder, "--sanitize", "--cases", 12)
    assert ran.code == 1
    assert said in ran.out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["echo", "joined", "pick", "positive", "twice"])
def test_more_cases_and_exports(trial: Trial, name: str) -> None:
    prove_operator(trial[name], cases=30, exports=3, seed=1).require()


@pytest.mark.slow
@pytest.mark.usefixtures("trial")
def test_nothing_for_sanitizers_to_say() -> None:
    folder = Path(__file__).parent.parent / "operators"
    for found in prove_kernels_sanitized(folder / "twice", cases=20):
        found.require()
        assert len(found.checks) == 60
