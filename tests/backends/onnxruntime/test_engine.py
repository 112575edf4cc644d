from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelport
from modelport import BuildError, Dim, Engine, RunError, Target, UsageError
from modelport.backends import get_backend
from modelport.backends.base import Artifact
from modelport.backends.onnxruntime.session import open_session
from modelport.signature import Signature
from tests.support import onnx_text

TWO = """
g (float[N, 3] a, float[N, 3] b) => (float[N, 3] total, float[N, 3] product)
{ total = Add(a, b) product = Mul(a, b) }
"""
ONNX_TYPES = {
    "float32": "float",
    "float64": "double",
    "float16": "float16",
    "bool": "bool",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_text(tmp_path_factory.mktemp("graph") / "two.onnx", TWO)


@pytest.fixture(scope="module")
def engine(path: Path) -> Engine:
    return modelport.load(path)


def two(rows: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rows)
    return {name: rng.standard_normal((rows, 3)).astype(np.float32) for name in ("a", "b")}


def refusal(engine: Engine, inputs: Any) -> str:
    with pytest.raises(RunError) as caught:
        engine.run(inputs)
    return str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(0, 40))
def test_run_gives_what_a_bare_session_gives(engine: Engine, path: Path, rows: int) -> None:
    inputs = two(rows)
    came = engine.run(inputs)
    bare = onnxruntime.InferenceSession(path).run(None, inputs)
    assert list(came) == ["total", "product"]
    for array, wanted in zip(came.values(), bare, strict=True):
        np.testing.assert_array_equal(array, wanted)
    np.testing.assert_array_equal(came["total"], inputs["a"] + inputs["b"])


@pytest.mark.parametrize("dtype", sorted(ONNX_TYPES))
def test_every_dtype_goes_through(tmp_path: Path, dtype: str) -> None:
    kind = ONNX_TYPES[dtype]
    body = f"g ({kind}[N] x) => ({kind}[N] y) {{ y = Identity(x) }}"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body))
    assert engine.signature.inputs[0].dtype == dtype
    x = np.array([0, 1, 1, 0]).astype(dtype)
    y = engine.run({"x": x})["y"]
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)
    other = "float64" if dtype == "float32" else "float32"
    assert f"expected {dtype}" in refusal(engine, {"x": np.zeros(2, other)})


def test_strings_go_through(tmp_path: Path) -> None:
    body = "g (string[N] x) => (string[N] y) { y = Identity(x) }"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body))
    for x in (np.array(["one", "two"]), np.array(["one", "twö"], object)):
        assert engine.run({"x": x})["y"].tolist() == x.tolist()


@pytest.mark.parametrize("shape", [(3, 5), (0, 5), (1, 5)])
def test_bfloat16_goes_through(tmp_path: Path, shape: tuple[int, ...]) -> None:
    # ONNX Runtime's plain call takes no bfloat16 arrays.
    body = """g (bfloat16[N, 5] x, float[N, 5] w, bfloat16 s) => (bfloat16[N, 5] y, float[N, 5] z) {
        wide = Cast <to = 1> (x)
        scale = Cast <to = 1> (s)
        product = Mul(wide, w)
        z = Mul(product, scale)
        y = Cast <to = 16> (z)
    }"""
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body))
    bfloat16 = np.dtype("bfloat16")
    rng = np.random.default_rng(0)
    # Every other column: not contiguous.
    x = rng.standard_normal((shape[0], 10)).astype(bfloat16)[:, ::2]
    inputs = {"x": x, "w": rng.random(shape, np.float32), "s": np.asarray(3, bfloat16)}
    wanted = x.astype(np.float32) * inputs["w"] * np.float32(3)
    for _ in range(2):
        came = engine.run(inputs)
        assert came["y"].dtype == bfloat16
        np.testing.assert_array_equal(came["z"], wanted)
        np.testing.assert_array_equal(came["y"], wanted.astype(bfloat16))
    (only,) = engine.run(inputs, ["y"]).values()
    np.testing.assert_array_equal(only, wanted.astype(bfloat16))
    assert "expected bfloat16" in refusal(engine, inputs | {"x": x.astype(np.float32)})
    bound = engine.bind({name: np.asarray(array, order="C") for name, array in inputs.items()})
    bound.inputs["w"][...] = 1
    wanted = (x.astype(np.float32) * np.float32(3)).astype(bfloat16)
    np.testing.assert_array_equal(bound.run()["y"], wanted)


def test_bfloat16_without_a_kernel_is_told(tmp_path: Path) -> None:
    body = "g (bfloat16[N] x) => (bfloat16[N] y) { y = Add(x, x) }"
    with pytest.raises(modelport.BuildError, match="no kernel for this operator") as caught:
        modelport.load(onnx_text(tmp_path / "m.onnx", body))
    assert "Add" in str(caught.value)


def test_missing_and_unknown_inputs_are_told(engine: Engine) -> None:
    message = refusal(engine, {"a": two()["a"], "c": two()["b"]})
    assert "missing: b" in message
    assert "unknown: c" in message
    assert "a: float32[N, 3]" in message
    assert "unknown: c" in refusal(engine, two() | {"c": two()["a"]})


def test_wrong_rank_and_fixed_dimension_are_told(engine: Engine) -> None:
    assert "rank 1 is not 2" in refusal(engine, two() | {"a": np.zeros(3, np.float32)})
    message = refusal(engine, two() | {"b": np.zeros((2, 4), np.float32)})
    assert "'b' has shape [2, 4]" in message
    assert "axis 1 is 4, not 3" in message


def test_dimensions_of_one_name_must_agree(engine: Engine) -> None:
    assert "'N' is 2" in refusal(engine, {"a": two(2)["a"], "b": two(3)["b"]})


def test_declared_range_is_held(path: Path, engine: Engine) -> None:
    signature = Signature(engine.signature.inputs, engine.signature.outputs, {"N": Dim("N", 2, 4)})
    target = Target("onnxruntime")
    ranged = get_backend(target).load(path.parent, Artifact(path.name), target, signature)
    assert ranged.run(two(4))["total"].shape == (4, 3)
    for rows in (1, 5):
        assert f"axis 0 is {rows}, outside the range N in 2..4" in refusal(ranged, two(rows))


def test_bad_inputs_are_told_after_good_ones_too(engine: Engine) -> None:
    for _ in range(3):
        engine.run(two())
    assert "<f8" in refusal(engine, two() | {"a": np.zeros((2, 3))})
    assert "list" in refusal(engine, two() | {"a": [[1.0] * 3] * 2})
    assert "a: float32[N, 3]" in refusal(engine, two()["a"])


def test_failure_inside_the_runtime_is_a_run_error(tmp_path: Path) -> None:
    body = "g (float[N] a, int64[2] s) => (float[P, Q] y) { y = Reshape(a, s) }"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body))
    inputs = {"a": np.zeros(5, np.float32), "s": np.array([2, 2])}
    message = refusal(engine, inputs)
    assert "ONNX Runtime failed on a [5], s [2]" in message
    assert "Reshape" in message or "reshape" in message
    with pytest.raises(RunError, match="ONNX Runtime failed"):
        engine.bind(inputs)


def test_outputs_come_as_asked(engine: Engine) -> None:
    assert list(engine.run(two(), ["product"])) == ["product"]
    swapped = engine.run(two(), ["product", "total"])
    assert list(swapped) == ["product", "total"]
    np.testing.assert_array_equal(swapped["total"], two()["a"] + two()["b"])


def test_unknown_output_is_told(engine: Engine) -> None:
    with pytest.raises(RunError, match="no output 'sum'") as caught:
        engine.run(two(), ["sum"])
    assert "total, product" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: np.asfortranarray(array),
        lambda array: np.repeat(array, 2, axis=1)[:, ::2],
        lambda array: array[::-1][::-1],
        lambda array: np.concatenate([array, array])[::2][: len(array)],
    ],
)
def test_inputs_need_not_be_contiguous(engine: Engine, change: Any) -> None:
    inputs = two(4)
    strided = {name: change(array) for name, array in inputs.items()}
    came = engine.run(strided)
    np.testing.assert_array_equal(came["total"], strided["a"] + strided["b"])


def test_broadcast_and_read_only_inputs_are_taken(engine: Engine) -> None:
    row = np.broadcast_to(np.arange(3, dtype=np.float32), (5, 3))
    np.testing.assert_array_equal(engine.run({"a": row, "b": row})["total"], row + row)


def test_every_run_gives_fresh_arrays(engine: Engine, tmp_path: Path) -> None:
    first = engine.run(two())
    kept = first["total"].copy()
    second = engine.run({name: array * 2 for name, array in two().items()})
    assert not np.shares_memory(first["total"], second["total"])
    np.testing.assert_array_equal(first["total"], kept)
    # A graph that passes its input on must not give out the caller's own array.
    body = "g (float[N] x) => (float[N] y) { y = Identity(x) }"
    x = np.ones(3, np.float32)
    y = modelport.load(onnx_text(tmp_path / "m.onnx", body)).run({"x": x})["y"]
    assert not np.shares_memory(x, y)


def test_binding_reads_inputs_anew_and_overwrites_outputs(engine: Engine) -> None:
    inputs = two()
    binding = engine.bind(inputs)
    outputs = binding.run()
    assert outputs is binding.outputs
    total = outputs["total"]
    for step in range(3):
        inputs["a"][...] = step
        assert binding.run()["total"] is total
        np.testing.assert_array_equal(total, step + inputs["b"])
        np.testing.assert_array_equal(binding.outputs["product"], step * inputs["b"])


def test_binding_writes_into_the_callers_arrays(engine: Engine) -> None:
    mine = np.full((2, 3), np.nan, np.float32)
    binding = engine.bind(two(), {"product": mine})
    assert list(binding.run()) == ["product"]
    np.testing.assert_array_equal(mine, two()["a"] * two()["b"])


def test_binding_examines_its_inputs(engine: Engine) -> None:
    with pytest.raises(RunError, match="missing: b"):
        engine.bind({"a": two()["a"]})
    with pytest.raises(RunError, match="no output 'sum'"):
        engine.bind(two(), {"sum": np.zeros((2, 3), np.float32)})


@pytest.mark.parametrize("where", ["input", "output"])
def test_binding_refuses_arrays_that_are_not_contiguous(engine: Engine, where: str) -> None:
    strided = np.zeros((2, 6), np.float32)[:, ::2]
    inputs = two() | ({"a": strided} if where == "input" else {})
    outputs = {"total": strided} if where == "output" else None
    with pytest.raises(RunError, match="not C-contiguous") as caught:
        engine.bind(inputs, outputs)
    assert "ascontiguousarray" in str(caught.value)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3)), np.zeros((2, 2), np.float32), np.zeros((9, 3), np.float32)]
)
def test_binding_refuses_outputs_of_the_wrong_dtype_or_shape(
    engine: Engine, array: np.ndarray
) -> None:
    with pytest.raises(RunError):
        engine.bind(two(), {"total": array}).run()


@pytest.mark.parametrize(
    "text",
    ["onnxruntime:fp16", "onnxruntime:dnnl", "onnxruntime:sm89", "onnxruntime:cuda", "nothing"],
)
def test_target_that_is_not_offered_is_a_usage_error(path: Path, text: str) -> None:
    if text.endswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has it")
    with pytest.raises(UsageError) as caught:
        modelport.load(path, text)
    assert caught.value.fix


def test_invalid_graph_is_a_build_error(tmp_path: Path) -> None:
    body = "g (float[2] x) => (float[2] y) { y = mine.Special(x) }"
    path = onnx_text(tmp_path / "m.onnx", body)
    with pytest.raises(BuildError, match="cannot load") as caught:
        modelport.load(path)
    assert "Special" in str(caught.value)


def test_compile_gives_the_graph_as_the_artifact(path: Path) -> None:
    artifact = get_backend("onnxruntime").compile(path.parent, path.name, Target("onnxruntime"))
    assert artifact.graph == path.name
    assert artifact.files == ()


def test_sequence_as_an_input_is_a_build_error(tmp_path: Path) -> None:
    body = "g (seq(float[N]) s, int64 i) => (float[N] y) { y = SequenceAt(s, i) }"
    with pytest.raises(BuildError, match="'s' is a seq"):
        modelport.load(onnx_text(tmp_path / "m.onnx", body))


@pytest.mark.parametrize("level", ["none", "basic", "extended", "all"])
def test_graph_optimizations_and_threads_are_options(path: Path, level: str) -> None:
    engine = modelport.load(path, graph_optimization=level, threads=1)
    np.testing.assert_array_equal(engine.run(two())["total"], two()["a"] + two()["b"])


@pytest.mark.parametrize("options", [{"graph_optimization": "most"}, {"thread": 1}])
def test_unknown_option_is_a_usage_error(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        modelport.load(path, **options)


def test_session_has_no_fallback(path: Path) -> None:
    session = open_session(path, Target("onnxruntime"))
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert not session._enable_fallback


def test_inputs_that_the_model_lacks_are_left_out_when_shared(engine: Engine) -> None:
    came = engine.run_shared(two() | {"vanished": np.zeros(1)})
    np.testing.assert_array_equal(came["total"], two()["a"] + two()["b"])


def test_input_without_a_name_for_a_dimension_gets_one(tmp_path: Path) -> None:
    body = "g (float[?, 3] x) => (float[?, 3] y) { y = Relu(x) }"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body))
    assert engine.signature.inputs[0].shape == ("x_0", 3)
