from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelport
from modelport import BuildError, Dim, Engine, RunError, Target, UsageError
from modelport.backends import get_backend
from modelport.backends.base import Artifact
from modelport.backends.openvino.core import core
from modelport.signature import Signature
from tests.support import onnx_text

TWO = """
g (float[N, 3] a, float[N, 3] b) => (float[N, 3] total, float[N, 3] product)
{ total = Add(a, b) product = Mul(a, b) }
"""
ONNX_TYPES = {"float32": "float", "bool": "bool"} | {
    name: name
    for name in (
        *("float16", "bfloat16", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
    )
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_text(tmp_path_factory.mktemp("graph") / "two.onnx", TWO)


@pytest.fixture(scope="module")
def engine(path: Path) -> Engine:
    return modelport.load(path, "openvino")


def two(rows: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rows)
    return {name: rng.standard_normal((rows, 3)).astype(np.float32) for name in ("a", "b")}


def refusal(engine: Engine, inputs: Any) -> str:
    with pytest.raises(RunError) as caught:
        engine.run(inputs)
    return str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(0, 40))
def test_run_gives_what_numpy_gives(engine: Engine, rows: int) -> None:
    inputs = two(rows)
    came = engine.run(inputs)
    assert list(came) == ["total", "product"]
    np.testing.assert_array_equal(came["total"], inputs["a"] + inputs["b"])
    np.testing.assert_array_equal(came["product"], inputs["a"] * inputs["b"])


def test_signature_keeps_the_names_of_dimensions(engine: Engine) -> None:
    assert engine.signature.inputs[0].shape == ("N", 3)


@pytest.mark.parametrize("dtype", sorted(ONNX_TYPES))
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_dtype_that_is_offered_goes_through(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    assert dtype in get_backend("openvino").CAPABILITIES.dtypes
    dims = "" if shape == () else "[N, 3]"
    kind = ONNX_TYPES[dtype]
    body = f"g ({kind}{dims} x, bool c) => ({kind}{dims} y) {{ y = Where(c, x, x) }}"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    x = np.asarray(np.random.default_rng(0).integers(0, 100, shape)).astype(dtype)
    came = engine.run({"x": x, "c": np.asarray(True)})["y"]
    assert came.dtype == x.dtype
    assert came.shape == x.shape
    np.testing.assert_array_equal(came, x)


def test_all_that_is_offered_is_tried_above() -> None:
    assert set(get_backend("openvino").CAPABILITIES.dtypes) == set(ONNX_TYPES)


@pytest.mark.parametrize("kind", ["double", "string"])
def test_dtype_that_is_not_sound_is_refused(tmp_path: Path, kind: str) -> None:
    path = onnx_text(tmp_path / "m.onnx", f"g ({kind}[N] x) => ({kind}[N] y) {{ y = Identity(x) }}")
    with pytest.raises(BuildError, match="does not offer"):
        modelport.load(path, "openvino")


@pytest.mark.parametrize(
    ("kind", "value"), [("int64", 2**40), ("int64", -(2**40)), ("uint32", 2**31)]
)
def test_integer_that_openvino_would_narrow_is_refused(
    tmp_path: Path, kind: str, value: int
) -> None:
    body = f"g ({kind}[N] x) => ({kind}[N] y) {{ y = Add(x, x) }}"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    assert "in int32" in refusal(engine, {"x": np.array([1, value], kind)})
    np.testing.assert_array_equal(engine.run({"x": np.array([1, 5], kind)})["y"], [2, 10])


def test_computes_in_fp32_unless_told_otherwise(path: Path) -> None:
    # OpenVINO's own default is bf16 where the processor has it.
    rng = np.random.default_rng(0)
    body = "g (float[N, 512] x, float[512, 64] w) => (float[N, 64] y) { y = MatMul(x, w) }"
    engine = modelport.load(onnx_text(path.parent / "product.onnx", body), "openvino")
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((16, 512), (512, 64)))
    wanted = x.astype(np.float64) @ w.astype(np.float64)
    error = np.abs(engine.run({"x": x, "w": w})["y"] - wanted).max() / np.abs(wanted).max()
    assert error < 1e-5


def test_bf16_is_refused_where_the_processor_lacks_it(path: Path, tmp_path: Path) -> None:
    target = Target.parse("openvino:bf16")
    backend = get_backend(target)
    if "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert backend.load(path.parent, backend.compile(path.parent, path.name, target), target)
        return
    with pytest.raises(BuildError, match="no bf16 arithmetic") as caught:
        backend.load(path.parent, backend.compile(path.parent, path.name, target), target)
    assert "f32 instead" in str(caught.value)


def test_bad_inputs_are_told(engine: Engine) -> None:
    assert "missing: b" in refusal(engine, {"a": two()["a"]})
    assert "rank 1 is not 2" in refusal(engine, two() | {"a": np.zeros(3, np.float32)})
    assert "'N' is 2" in refusal(engine, {"a": two(2)["a"], "b": two(3)["b"]})
    with pytest.raises(RunError, match="no output 'sum'"):
        engine.run(two(), ["sum"])


def test_declared_range_is_held(path: Path, engine: Engine) -> None:
    signature = Signature(engine.signature.inputs, engine.signature.outputs, {"N": Dim("N", 2, 4)})
    target = Target("openvino")
    ranged = get_backend(target).load(path.parent, Artifact(path.name), target, signature)
    assert ranged.run(two(4))["total"].shape == (4, 3)
    assert "outside the range N in 2..4" in refusal(ranged, two(5))


def test_failure_inside_the_runtime_is_one_line(tmp_path: Path) -> None:
    body = "g (float[N] a, int64[2] s) => (float[P, Q] y) { y = Reshape(a, s) }"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    inputs = {"a": np.zeros(5, np.float32), "s": np.array([2, 2])}
    with pytest.raises(RunError, match="OpenVINO failed on a") as caught:
        engine.run(inputs)
    assert "conflicts with the reshape pattern" in str(caught.value.why)
    assert "\n" not in str(caught.value.why)
    # The request that failed serves the next run.
    good = {"a": np.arange(6, dtype=np.float32), "s": np.array([2, 3])}
    np.testing.assert_array_equal(engine.run(good)["y"], good["a"].reshape(2, 3))


def test_operator_that_openvino_lacks_is_a_build_error(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", "g (float[2] x) => (float[2] y) { y = mine.Special(x) }")
    with pytest.raises(BuildError, match="cannot compile") as caught:
        modelport.load(path, "openvino")
    assert "mine.Special" in str(caught.value.why)
    assert "\n" not in str(caught.value.why)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: np.asfortranarray(array),
        lambda array: np.repeat(array, 2, axis=1)[:, ::2],
        lambda array: array[::-1][::-1],
        lambda array: np.broadcast_to(array[:1], array.shape),
    ],
)
def test_inputs_need_not_be_contiguous(engine: Engine, change: Any) -> None:
    strided = {name: change(array) for name, array in two(4).items()}
    np.testing.assert_array_equal(engine.run(strided)["total"], strided["a"] + strided["b"])


def test_read_only_inputs_are_taken(engine: Engine) -> None:
    inputs = two()
    inputs["a"].flags.writeable = False
    np.testing.assert_array_equal(engine.run(inputs)["total"], inputs["a"] + inputs["b"])


def test_every_run_gives_fresh_arrays(engine: Engine, tmp_path: Path) -> None:
    first = engine.run(two())
    kept = first["total"].copy()
    second = engine.run({name: array * 2 for name, array in two().items()})
    assert not np.shares_memory(first["total"], second["total"])
    np.testing.assert_array_equal(first["total"], kept)
    path = onnx_text(tmp_path / "m.onnx", "g (float[N] x) => (float[N] y) { y = Identity(x) }")
    x = np.ones(3, np.float32)
    assert not np.shares_memory(x, modelport.load(path, "openvino").run({"x": x})["y"])


def test_input_that_nothing_depends_on_is_taken(tmp_path: Path) -> None:
    body = "g (float[N] x, float[N] unused) => (float[N] y) { y = Relu(x) }"
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    x = np.array([-1, 2], np.float32)
    np.testing.assert_array_equal(engine.run({"x": x, "unused": x})["y"], [0, 2])
    np.testing.assert_array_equal(engine.bind({"x": x, "unused": x}).run()["y"], [0, 2])


def test_input_that_is_cast_at_once_keeps_its_name(tmp_path: Path) -> None:
    body = """g (float[N] x) => (float[N] y) {
        half = Cast<to = 10>(x)
        positive = Relu(half)
        y = Cast<to = 1>(positive)
    }"""
    engine = modelport.load(onnx_text(tmp_path / "m.onnx", body), "openvino")
    x = np.array([-1, 0.5], np.float32)
    np.testing.assert_array_equal(engine.run({"x": x})["y"], [0, 0.5])
    np.testing.assert_array_equal(engine.bind({"x": x}).run()["y"], [0, 0.5])


def test_threads_may_run_one_engine(engine: Engine) -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(50):
            inputs = two(seed + 1)
            if not np.array_equal(engine.run(inputs)["total"], inputs["a"] + inputs["b"]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_binding_reads_inputs_anew_and_overwrites_outputs(engine: Engine) -> None:
    inputs = two()
    binding = engine.bind(inputs)
    total = binding.run()["total"]
    for step in range(3):
        inputs["a"][...] = step
        assert binding.run()["total"] is total
        np.testing.assert_array_equal(total, step + inputs["b"])
    mine = np.full((2, 3), np.nan, np.float32)
    assert list(engine.bind(inputs, {"product": mine}).run()) == ["product"]
    np.testing.assert_array_equal(mine, inputs["a"] * inputs["b"])


@pytest.mark.parametrize("where", ["input", "output"])
def test_binding_refuses_arrays_that_are_not_contiguous(engine: Engine, where: str) -> None:
    strided = np.zeros((2, 6), np.float32)[:, ::2]
    inputs = two() | ({"a": strided} if where == "input" else {})
    outputs = {"total": strided} if where == "output" else None
    with pytest.raises(RunError, match="not C-contiguous"):
        engine.bind(inputs, outputs)


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.zeros((9, 3), np.float32)])
def test_binding_refuses_outputs_that_do_not_fit(engine: Engine, array: np.ndarray) -> None:
    with pytest.raises(RunError):
        engine.bind(two(), {"total": array}).run()


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_hints_and_threads_are_options(path: Path, hint: str) -> None:
    engine = modelport.load(path, "openvino", hint=hint, threads=1)
    np.testing.assert_array_equal(engine.run(two())["total"], two()["a"] + two()["b"])


@pytest.mark.parametrize("options", [{"hint": "haste"}, {"thread": 1}])
def test_unknown_option_is_a_usage_error(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        modelport.load(path, "openvino", **options)
    assert caught.value.fix


@pytest.mark.parametrize("text", ["openvino:cuda", "openvino:dnnl", "openvino:sm89"])
def test_target_that_is_not_offered_is_a_usage_error(path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="does not offer"):
        modelport.load(path, text)


def test_importing_openvino_reports_nothing_home() -> None:
    program = (
        "import sys; from modelport.backends.openvino.core import import_openvino;"
        "import_openvino();"
        "from openvino.tools.ovc.telemetry_utils import tm;"
        "print(tm.__name__, [name for name in sys.modules if name.startswith('openvino_tel')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "[]"]
