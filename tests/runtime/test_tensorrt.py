"""TensorRT's engines in C++: a host of the tests' own plays TensorRT's part, and CUDA's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from modelport import Dim, Target
from modelport.backends.base import Artifact
from modelport.bundle import BundleWriter, Manifest
from modelport.signature import Signature, TensorSpec
from tests.runtime.driver import Driver, Refused
from tests.runtime.native_build import ROOT, build_library
from tests.support import onnx_text

pytestmark = pytest.mark.slow
VARIANT = "address"
FOLDER = ROOT / "build" / "native" / "tensorrt"
CUDA = Path("/usr/local/cuda/include")


def stubs(headers: Path) -> str:
    """Classes that trap in place of every function that TensorRT's interfaces leave open."""
    text = (headers / "NvInferImpl.h").read_text()
    text = re.sub(r"#if ENABLE_FEATURE.*?#endif[^\n]*", "", text, flags=re.S)
    made = ["#pragma once", "using namespace nvinfer1;"]
    for name in ("VRuntime", "VCudaEngine", "VExecutionContext"):
        (body,) = re.findall(rf"^class {name} .*?^}};", text, re.M | re.S)
        methods = re.findall(r"virtual ([^;{]*?) = 0;", body, re.S)
        overrides = (f"  {method} override {{ __builtin_trap(); }}" for method in methods)
        made += [f"struct Stub{name} : apiv::{name} {{", *overrides, "};"]
    return "\n".join(made) + "\n"


@pytest.fixture(scope="module")
def host(tensorrt_headers: Path) -> Path:
    """The library that plays TensorRT and CUDA."""
    if not (CUDA / "cuda_runtime_api.h").is_file():
        pytest.skip("CUDA's headers are not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "stubs.h").write_text(stubs(tensorrt_headers))
    source, made = Path(__file__).parent / "tensorrt_host.cpp", FOLDER / "libhost.so"
    # The interfaces' empty bodies have parameters that they do not use.
    words = ["g++", "-std=c++17", "-shared", "-fPIC", "-O1", source, "-o", made, f"-I{FOLDER}"]
    includes = ["-isystem", tensorrt_headers, "-isystem", CUDA]
    done = subprocess.run([*words, *includes], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return made


@pytest.fixture(scope="module")
def library(host: Path, tensorrt_headers: Path) -> Path:
    """A folder with libmodelport, built with TensorRT; it finds the one of a test at run time."""
    options = [
        "-DMODELPORT_TENSORRT=ON",
        f"-DTENSORRT_INCLUDE={tensorrt_headers}",
        f"-DMODELPORT_CUDART={host}",
    ]
    return build_library(FOLDER, VARIANT, *options)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """y = 2x for up to 8 rows of 3."""
    path = tmp_path / "twice.port"
    graph = "twice (float[n, 3] x) => (float[n, 3] y) { y = Add(x, x) }"
    dims = {"n": Dim("n", 1, 64)}
    specs = [TensorSpec(name, "float32", ("n", 3)) for name in ("x", "y")]
    with BundleWriter(path) as writer:
        for name in ("graphs", "engines"):
            (writer.folder / name).mkdir()
        onnx_text(writer.folder / "graphs" / "model.onnx", graph)
        (writer.folder / "engines" / "twice.engine").write_bytes(b"twice")
        engine = "engines/twice.engine"
        artifact = Artifact("graphs/model.onnx", (engine,), {"engine": engine})
        signature = Signature((specs[0],), (specs[1],), dims)
        writer.commit(Manifest("twice", signature, {Target.parse("tensorrt"): artifact}))
    return path


def open_driver(tmp_path: Path, library: Path, host: Path, **more: str) -> Driver:
    folder = tmp_path / "driver"
    folder.mkdir()
    variables = {"LD_LIBRARY_PATH": str(library), "MODELPORT_TENSORRT": str(host)}
    return Driver(VARIANT, folder, **variables, **more)


def test_engines_run(bundle: Path, library: Path, host: Path, tmp_path: Path) -> None:
    with open_driver(tmp_path, library, host) as driver:
        assert driver.load(bundle).startswith("tensorrt:cuda:fp32")
        for count in (1, 8, 3):
            x = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
            np.testing.assert_array_equal(driver.run({"x": x})["y"], 2 * x)


def test_failures_are_told(bundle: Path, library: Path, host: Path, tmp_path: Path) -> None:
    with open_driver(tmp_path, library, host) as driver:
        driver.load(bundle)
        with pytest.raises(
            Refused, match=r"no optimization profile of the engine takes x \[9, 3\]"
        ):
            driver.run({"x": np.zeros((9, 3), np.float32)})
        with pytest.raises(Refused, match="TensorRT failed: enqueueV3"):
            driver.run({"x": np.full((2, 3), 13, np.float32)})
        x = np.ones((2, 3), np.float32)
        np.testing.assert_array_equal(driver.run({"x": x})["y"], 2 * x)


def test_foreign_engines_and_libraries_are_told(
    bundle: Path, library: Path, host: Path, tmp_path: Path
) -> None:
    with (
        open_driver(tmp_path, library, host, HOST_IS_NEWER="1") as driver,
        pytest.raises(Refused, match=r"was built for TensorRT \d+, this is \d+\.7") as caught,
    ):
        driver.load(bundle)
    assert caught.value.kind == "BuildError"
    (tmp_path / "driver").rmdir()
    with (
        open_driver(tmp_path, library, tmp_path / "none.so") as driver,
        pytest.raises(Refused, match="TensorRT cannot be opened"),
    ):
        driver.load(bundle)


def test_without_tensorrt_the_way_out_is_told(bundle: Path, tmp_path: Path) -> None:
    with (
        Driver(VARIANT, tmp_path) as driver,
        pytest.raises(Refused, match="cmake -DMODELPORT_TENSORRT=ON"),
    ):
        driver.load(bundle)
