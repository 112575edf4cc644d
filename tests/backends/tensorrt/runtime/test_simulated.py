"""What modelport does around an engine, with a simulated library; see `simulation`."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modelport import Model, RunError, Target
from modelport.backends.tensorrt import device
from modelport.backends.tensorrt.engine_metadata import BuildRecord, record_of
from modelport.backends.tensorrt.runtime import dlpack, layer_times
from modelport.backends.tensorrt.runtime.engine import TensorRtEngine
from modelport.backends.tensorrt.runtime.session import Session
from modelport.files.trusted_code import TrustedCode
from tests.backends.tensorrt.runtime.simulation import Cuda, Library
from tests.support import onnx_text

GRAPH = """
g (float[N,2] x, int64[N,2] n) => (float[N,2] y, int64[2,K] z)
{ f = Cast<to=1>(n)
  y = Add(x, f)
  z = NonZero(x) }
"""
PROFILES = [
    {name: ([1, 2], [2, 2], [4, 2]) for name in ("x", "n")},
    {name: ([1, 2], [8, 2], [16, 2]) for name in ("x", "n")},
]
TARGET = Target.parse("tensorrt-rtx:sm89")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    cuda = Cuda()
    for module in ("device", "runtime.session"):
        monkeypatch.setattr(f"modelport.backends.tensorrt.{module}.cuda_runtime", lambda: cuda)
    return cuda


@pytest.fixture
def library() -> Library:
    return Library(flexible=("z",))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return onnx_text(tmp_path / "m.onnx", GRAPH)


def open_engine(library: Library, graph: Path, **options: Any) -> TensorRtEngine:
    session = Session(library, TrustedCode.of_user(graph), PROFILES, **options)
    return TensorRtEngine(session, TARGET, Model.load(graph).signature)


@pytest.fixture
def engine(cuda: Cuda, library: Library, graph: Path) -> TensorRtEngine:
    return open_engine(library, graph)


def arrays(n: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2)).astype(np.float32)
    x[rng.random((n, 2)) < 0.5] = 0
    return {"x": x, "n": rng.integers(-5, 5, (n, 2))}


@pytest.mark.parametrize("n", [1, 4, 9, 2])
def test_run_copies_in_and_out(engine: TensorRtEngine, n: int) -> None:
    for seed in range(3):
        inputs = arrays(n, seed)
        given = {name: np.asfortranarray(array) for name, array in inputs.items()}
        outputs = engine.run(given)
        np.testing.assert_array_equal(outputs["y"], inputs["x"] + inputs["n"].astype(np.float32))
        np.testing.assert_array_equal(outputs["z"], np.array(np.nonzero(inputs["x"])))


def test_fresh_arrays_come_back_and_memory_is_kept(cuda: Cuda, engine: TensorRtEngine) -> None:
    first = engine.run(arrays(4))["y"].copy()
    kept = engine.run(arrays(4))["y"]
    held = len(cuda.memory)
    engine.run(arrays(3, seed=5))
    np.testing.assert_array_equal(kept, first)
    assert len(cuda.memory) == held


def test_outputs_can_be_chosen(engine: TensorRtEngine) -> None:
    assert list(engine.run(arrays(2), ["z"])) == ["z"]
    with pytest.raises(RunError, match="no output 'w'"):
        engine.run(arrays(2), ["w"])


def test_the_profile_follows_the_shapes(engine: TensorRtEngine, library: Library) -> None:
    for n, place in ((2, 0), (9, 1), (3, 0)):
        engine.run(arrays(n))
        assert library.contexts[0].profile == place
    with pytest.raises(RunError, match="no optimization profile"):
        engine.run(arrays(17))


def test_wrong_inputs_are_refused(engine: TensorRtEngine) -> None:
    inputs = arrays(2)
    with pytest.raises(RunError, match="dtype"):
        engine.run({**inputs, "x": inputs["x"].astype(np.float64)})
    with pytest.raises(RunError, match="missing: n"):
        engine.run({"x": inputs["x"]})
    with pytest.raises(RunError, match="CPU's memory"):
        engine.run({**inputs, "x": torch.zeros(2, 2)})  # type: ignore[dict-item]


def test_a_bound_call_reads_and_writes_its_buffers(engine: TensorRtEngine) -> None:
    inputs = arrays(4)
    inputs["x"][:] = 1
    call = engine.bind(inputs)
    for value in (2, 3):
        call.inputs["n"][:] = value
        outputs = call.run()
        assert outputs is call.outputs
        assert set(outputs["y"].ravel()) == {1.0 + value}
    with pytest.raises(RunError, match="not C-contiguous"):
        engine.bind({**inputs, "x": np.zeros((2, 4), np.float32).T})
    with pytest.raises(RunError, match="no buffer is given for the output z"):
        engine.bind(inputs, {"y": np.zeros((4, 2), np.float32)})


class OnGpu:
    """A tensor that says of itself that it lies on the GPU."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor
        self.streams: list[int] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, 0

    def __dlpack__(self, stream: int) -> Any:
        self.streams.append(stream)
        capsule = self.tensor.__dlpack__()
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        # The device's kind follows the address.
        ctypes.c_int32.from_address(get(capsule, b"dltensor") + 8).value = dlpack.CUDA
        return capsule


def test_tensors_on_the_gpu_are_used_where_they_lie(cuda: Cuda, graph: Path) -> None:
    path = onnx_text(graph, "g (float[N,2] x) => (float[N,2] y) { y = Neg(x) }")
    session = Session(Library(), TrustedCode.of_user(path), [{"x": PROFILES[0]["x"]}], stream=42)
    engine = TensorRtEngine(session, TARGET, Model.load(path).signature)
    x, y = OnGpu(torch.ones(3, 2)), OnGpu(torch.zeros(3, 2))
    call = engine.bind({"x": x}, {"y": y})  # type: ignore[dict-item]
    call.run()
    assert (y.tensor == -1).all()
    x.tensor[:] = 5
    call.run()
    assert (y.tensor == -5).all()
    assert (cuda.copies, cuda.waits) == (0, 0)
    assert set(x.streams) == {42}
    (result,) = engine.run({"x": x}).values()  # type: ignore[dict-item]
    np.testing.assert_array_equal(result, np.full((3, 2), -5, np.float32))
    with pytest.raises(RunError, match=r"buffer of the output 'y' is \[2, 2\]"):
        engine.bind({"x": x}, {"y": OnGpu(torch.zeros(2, 2))}).run()  # type: ignore[dict-item]
    with pytest.raises(RunError, match="rank"):
        engine.run({"x": OnGpu(torch.zeros(3))})  # type: ignore[dict-item]


def test_weights_are_put_in(cuda: Cuda, library: Library, tmp_path: Path) -> None:
    body = "g (float[1] x) => (float[1] y) <float[1] w = {%d}> { y = Mul(x, w) }"
    old, new = (onnx_text(tmp_path / f"{value}.onnx", body % value) for value in (2, 3))
    for weights, expected in ((None, 2), (new, 3)):
        session = Session(Library(), TrustedCode.of_user(old), [], weights=weights)
        engine = TensorRtEngine(session, TARGET, Model.load(old).signature)
        assert engine.run({"x": np.ones(1, np.float32)})["y"] == expected


def test_what_running_compiled_is_kept(cuda: Cuda, library: Library, graph: Path) -> None:
    cache = graph.with_name("kernels.cache")
    engine = open_engine(library, graph, cache=cache)
    assert not cache.exists()
    engine.run(arrays(2))
    assert cache.read_bytes() == b"kernels"


def test_layers_are_timed(engine: TensorRtEngine) -> None:
    assert engine.layer_times(arrays(2)) == {"only": 0.002}


def test_layers_of_a_file_are_timed(
    engine: TensorRtEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.engine"
    path.write_bytes(b"an engine")
    signature = engine.signature
    record = BuildRecord(
        *("tensorrt-rtx", "1.7", TARGET, ("sm89",), False, "", False, False, signature, ()),
        *(tuple(PROFILES), (), (), 9),
    )
    record.write(record_of(path), path)
    monkeypatch.setattr(layer_times, "why_not_run", lambda target: "there is no GPU")
    with pytest.raises(RunError, match=r"the layers of m\.engine are not timed: there is no GPU"):
        layer_times.time_layers(path)
    given = []
    real = engine.layer_times
    monkeypatch.setattr(engine, "layer_times", lambda inputs: given.append(inputs) or real(inputs))
    monkeypatch.setattr(layer_times, "why_not_run", lambda target: "")
    monkeypatch.setattr(layer_times, "open_engine", lambda folder, artifact, target: engine)
    assert layer_times.time_layers(path) == {"only": 0.002}
    (inputs,) = given
    assert {name: (array.dtype.name, array.shape) for name, array in inputs.items()} == {
        "x": ("float32", (2, 2)),
        "n": ("int64", (2, 2)),
    }


def test_memory_is_freed(cuda: Cuda) -> None:
    memory = device.Memory()
    first = memory.reserve(10)
    assert memory.reserve(5) == first
    memory.reserve(100)
    assert len(cuda.memory) == 1
    memory.close()
    assert not cuda.memory
