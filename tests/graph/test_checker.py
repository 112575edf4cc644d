from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from modelport import UsageError, check
from modelport.graph import CheckResult
from tests.support import onnx_text

VALID = "g (float[N, 3] x) => (float[N, 3] y) { y = Relu(x) }"


def checked(path: Path, body: str, opset: int = 18) -> CheckResult:
    return check(onnx_text(path / "model.onnx", body, opset))


def sources(result: CheckResult) -> set[str]:
    return {problem.source for problem in result.problems}


def test_valid_model_has_no_problems(tmp_path: Path) -> None:
    result = checked(tmp_path, VALID)
    assert result.ok
    assert result.problems == ()
    assert result.path == tmp_path / "model.onnx"


def test_deployed_graph_is_valid(onnx_file: Path) -> None:
    assert check(str(onnx_file)).ok


def test_unknown_operator_is_named(tmp_path: Path) -> None:
    result = checked(tmp_path, "g (float[2] x) => (float[2] y) { y = Frobnicate(x) }")
    assert not result.ok
    assert "checker" in sources(result)
    assert any("Frobnicate" in str(problem) for problem in result.problems)


def test_operator_newer_than_the_opset_is_a_problem(tmp_path: Path) -> None:
    result = checked(tmp_path, "g (float[2] x) => (float[2] y) { y = Gelu(x) }", opset=18)
    assert any("Gelu" in str(problem) for problem in result.problems)
    assert checked(tmp_path, "g (float[2] x) => (float[2] y) { y = Gelu(x) }", opset=20).ok


def test_wrong_types_are_a_problem(tmp_path: Path) -> None:
    result = checked(tmp_path, "g (float[2] x, int64[2] i) => (float[2] y) { y = Add(x, i) }")
    assert "shapes" in sources(result)
    assert any("Add" in str(problem) for problem in result.problems)


def test_output_declared_with_another_type_is_a_problem(tmp_path: Path) -> None:
    assert not checked(tmp_path, "g (float[2] x) => (int64[2] y) { y = Relu(x) }").ok


def test_shapes_that_do_not_fit_are_a_problem(tmp_path: Path) -> None:
    body = "g (float[2, 3] x, float[4, 5] w) => (float[2, 5] y) { y = MatMul(x, w) }"
    result = checked(tmp_path, body)
    assert "shapes" in sources(result)


def test_output_declared_with_another_shape_is_a_problem(tmp_path: Path) -> None:
    result = checked(tmp_path, "g (float[2, 3] x) => (float[2, 4] y) { y = Relu(x) }")
    assert "shapes" in sources(result)


def test_input_that_nothing_gives_is_a_problem(tmp_path: Path) -> None:
    result = checked(tmp_path, "g (float[2] x) => (float[2] y) { y = Add(x, nowhere) }")
    assert any("nowhere" in str(problem) for problem in result.problems)


BROKEN = {
    "attribute": ("Concat", "g (float[2] x) => (float[2] y) { y = Concat(x, x) }"),
    "type": ("Add", "g (float[2] x, int64[2] i) => (float[2] y) { y = Add(x, i) }"),
    "shape": ("MatMul", "g (float[2, 3] x, float[4] w) => (float[2] y) { y = MatMul(x, w) }"),
    "operator": ("Frobnicate", "g (float[2] x) => (float[2] y) { y = Frobnicate(x) }"),
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_every_problem_says_where(tmp_path: Path, kind: str) -> None:
    operator, body = BROKEN[kind]
    path = onnx_text(tmp_path / "m.onnx", body)
    problems = check(path).problems
    assert operator in {problem.where for problem in problems}
    model = onnx.load(path)
    model.graph.node[0].name = "the_joint"
    onnx.save(model, path)
    named = check(path).problems
    assert [problem.where for problem in named] == ["the_joint"] * len(problems)


def test_operator_that_the_runtime_lacks_is_its_problem_alone(tmp_path: Path) -> None:
    # Valid by the standard: nothing is known of the domain.
    body = "g (float[2] x) => (float[2] y) { y = mine.Special(x) }"
    result = checked(tmp_path, body)
    assert sources(result) == {"onnxruntime"}
    assert "Special" in result.problems[0].where


def test_weights_missing_beside_the_file_are_a_problem(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((40, 40), np.float32), "w")
    body = "g (float[2, 40] x, float[40, 40] w) => (float[2, 40] y) { y = MatMul(x, w) }"
    model = onnx.load(onnx_text(tmp_path / "m.onnx", body))
    del model.graph.input[1]
    model.graph.initializer.append(weight)
    external = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    onnx.save(model, tmp_path / "m.onnx", **external)
    assert check(tmp_path / "m.onnx").ok
    (tmp_path / "w.bin").unlink()
    assert not check(tmp_path / "m.onnx").ok


@pytest.mark.parametrize("keep", [0, 1, 10, 0.5, -1])
def test_truncated_file_is_unreadable_or_invalid(tmp_path: Path, keep: float) -> None:
    path = onnx_text(tmp_path / "model.onnx", VALID)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    try:
        message = "" if check(path).ok else "invalid"
    except UsageError as error:
        message = str(error)
    assert message == "invalid" or "not a readable ONNX model" in message


def test_random_bytes_are_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "noise.onnx"
    rng = np.random.default_rng(0)
    for _ in range(50):
        path.write_bytes(rng.bytes(int(rng.integers(1, 300))))
        with pytest.raises(UsageError, match="not a readable ONNX model"):
            check(path)


def test_missing_file_and_folder_are_usage_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(UsageError, match="no such file"):
            check(path)
