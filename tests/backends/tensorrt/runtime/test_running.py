"""Opening and running engines, as far as that goes without a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modelport
from modelport import BuildError, RunError, UsageError
from modelport.backends import get_backend
from modelport.backends.base import Artifact
from modelport.backends.tensorrt import device
from modelport.backends.tensorrt.runtime import dlpack
from modelport.backends.tensorrt.runtime.session import choose_profile, numpy_dtype
from tests.backends.tensorrt.build.test_compile import TARGET, convolution
from tests.conftest import RunCli

trt = pytest.importorskip("tensorrt_rtx")
pytestmark = pytest.mark.skipif(not device.why_no_gpu(), reason="there is a GPU")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine beside its record. They are not to be changed."""
    folder = tmp_path_factory.mktemp("engine")
    return modelport.compile(convolution(folder), folder / "m.engine", target=TARGET).path


@pytest.fixture
def engine(built: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    for path in (built, built.with_name(f"{built.name}.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / built.name


def test_without_a_gpu_loading_says_so(engine: Path) -> None:
    with pytest.raises(BuildError, match="cannot run here") as caught:
        modelport.load(engine)
    assert "GPU" in str(caught.value.why)


def change(engine: Path, **fields: Any) -> None:
    path = engine.with_name(f"{engine.name}.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_an_engine_of_another_version_is_refused(engine: Path) -> None:
    change(engine, version="1.2.0.54")
    with pytest.raises(BuildError, match=r"built with TensorRT for RTX 1\.2\.0\.54, and here is"):
        modelport.load(engine)


def test_a_version_compatible_one_is_not(engine: Path) -> None:
    change(engine, version="1.2.0.54", version_compatible=True)
    with pytest.raises(BuildError, match="cannot run here"):
        modelport.load(engine)


def test_an_engine_for_another_gpu_is_refused(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "modelport.backends.tensorrt.runtime.engine"
    monkeypatch.setattr(f"{module}.why_no_gpu", str)
    monkeypatch.setattr(f"{module}.compute_capability", lambda: "sm90")
    with pytest.raises(BuildError, match="for sm89, and the GPU here is sm90"):
        modelport.load(engine)
    target = modelport.Target.parse(TARGET)
    assert "sm90" in get_backend(target).why_not_run(target)
    other = modelport.Target.parse("tensorrt-rtx:sm90")
    assert get_backend(other).why_not_run(other) == ""


@pytest.mark.parametrize("damage", ["engine", "record", "missing", "older"])
def test_a_damaged_pair_is_refused(engine: Path, cli: RunCli, damage: str) -> None:
    record = engine.with_name(f"{engine.name}.json")
    if damage == "engine":
        engine.write_bytes(engine.read_bytes() + b"x")
    elif damage == "record":
        record.write_text(record.read_text()[:100])
    elif damage == "missing":
        record.unlink()
    else:
        change(engine, format=0)
    with pytest.raises((BuildError, UsageError), match=r"record|written for"):
        modelport.load(engine)
    assert cli("run", engine).code in (1, 2)


def test_wrong_use_is_refused(engine: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        modelport.load(engine.with_name("other.engine"))
    with pytest.raises(UsageError, match="is an engine for"):
        modelport.load(engine, "tensorrt-rtx:fp16:sm89")
    with pytest.raises(UsageError, match="no option threads"):
        modelport.load(engine, threads=2)
    target = modelport.Target.parse(TARGET)
    with pytest.raises(UsageError, match=r"model\.onnx is no engine"):
        get_backend(target).load(engine.parent, Artifact("model.onnx"), target)


PROFILES = [
    {"x": ([1, 3, 16, 16], [1, 3, 32, 32], [1, 3, 64, 64])},
    {"x": ([1, 3, 16, 16], [8, 3, 64, 64], [16, 3, 64, 64])},
]


@pytest.mark.parametrize(
    ("shape", "place"), [((1, 3, 20, 20), 0), ((1, 3, 64, 64), 0), ((9, 3, 16, 16), 1)]
)
def test_the_nearest_profile_that_fits_is_taken(shape: tuple[int, ...], place: int) -> None:
    assert choose_profile(PROFILES, {"x": shape}) == place
    assert choose_profile([], {"x": shape}) == 0


def test_shapes_outside_of_all_profiles_are_refused() -> None:
    with pytest.raises(RunError, match=r"takes x \[17, 3, 16, 16\]") as caught:
        choose_profile(PROFILES, {"x": (17, 3, 16, 16)})
    assert "[16, 3, 64, 64]" in str(caught.value.why)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
)
def test_foreign_tensors_are_read_without_a_copy(dtype: torch.dtype) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(dtype)[1:]
    read = dlpack.read_foreign("x", tensor)
    assert (read.shape, read.kind) == ((1, 3), dlpack.CPU)
    assert read.address == tensor.data_ptr()
    assert numpy_dtype(read.dtype).itemsize == tensor.element_size()
    assert read.dtype == str(dtype).removeprefix("torch.")
    with pytest.raises(RunError, match="not contiguous"):
        dlpack.read_foreign("x", torch.zeros(4, 6).to(dtype).T)
    assert dlpack.is_foreign(tensor)
    assert not dlpack.is_foreign(np.zeros(3))


def test_what_running_calls_is_there() -> None:
    """The running layer was not run yet; at least its names are those of the library."""
    used = {
        trt.Runtime: ("deserialize_cuda_engine",),
        trt.ICudaEngine: (
            *("create_execution_context", "create_runtime_config", "create_engine_inspector"),
            *("get_tensor_dtype", "get_tensor_location"),
        ),
        trt.IExecutionContext: (
            *("set_optimization_profile_async", "set_input_shape", "set_tensor_address"),
            *("get_tensor_shape", "set_output_allocator", "execute_async_v3", "profiler"),
            "enqueue_emits_profile",
        ),
        trt.IRuntimeConfig: ("create_runtime_cache", "set_runtime_cache"),
        trt.IRuntimeCache: ("serialize", "deserialize"),
        trt.Refitter: ("refit_cuda_engine", "get_missing_weights"),
        trt.OnnxParserRefitter: ("refit_from_file",),
        trt.TensorLocation: ("HOST",),
    }
    missing = [
        f"{owner}.{name}"
        for owner, names in used.items()
        for name in names
        if not hasattr(owner, name)
    ]
    assert not missing
    runtime = device.cuda_runtime()
    for name in ("cudaMalloc", "cudaFree", "cudaMemcpyAsync", "cudaStreamCreate"):
        assert callable(getattr(runtime, name))
    assert hasattr(runtime.cudaMemcpyKind, "cudaMemcpyHostToDevice")
