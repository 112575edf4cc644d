"""Nothing that is thrown leaves a C function: the process lives, and the interface says why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from modelport import OperatorError, TensorInfo
from modelport.ops.build import build_library
from modelport.ops.build.toolchain import NATIVE
from modelport.ops.ctypes_library import BoundKernel, NativeKernel, NativeLibrary, pack_shapes
from modelport.ops.scaffold import load_folder
from tests.runtime.native_build import environment, require_buildable, sdk

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-rdynamic")
DECLARATION = """
import modelport
from torch import Tensor


@modelport.operator("throws::throws", kernels=["kernel.cpp"])
def throws(
    x: Tensor, *, kind: int = 0, name: str = "", sizes: list[int] = ()
) -> Tensor:
    return x.clone()
"""
KERNEL = """#include <modelport/kernel.h>

void throws(Context& ctx, In<float> x, Out<float> output, int64_t kind, std::string_view,
            Span<int64_t>) {
  if (kind == 1) throw std::bad_alloc();
  if (kind == 2) throw std::runtime_error("the words of the kernel");
  if (kind == 3) throw 3;
  ctx.scratch<char>(kind == 4 ? int64_t{1} << 60 : 16);
  float* to = output.alloc(x.shape());
  ctx.parallel_for(x.size(), 1, [&](int64_t begin, int64_t end) {
    if (kind == 5) throw std::bad_alloc();
    for (int64_t i = begin; i < end; ++i) to[i] = x[i];
  });
}
"""
KINDS = {
    1: "out of memory",
    2: "the words of the kernel",
    3: "something was thrown that is no std::exception",
    4: "out of memory",
    5: "out of memory",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operators") / "throws"
    folder.mkdir()
    (folder / "op.py").write_text(DECLARATION)
    (folder / "kernel.cpp").write_text(KERNEL)
    return build_library(load_folder(folder))


def compiled(name: str, folder: Path, *flags: object) -> Path:
    """A program of this folder."""
    program = folder / name
    command = ["g++", *FLAGS, HERE / f"{name}.cpp", "-o", program, *flags, "-ldl"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def counts(*command: object) -> dict[str, int]:
    """How many errors each function gave, as a program says that let every allocation fail."""
    words = list(map(str, command))
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    found = (line.rpartition(": ") for line in done.stdout.splitlines())
    return {name: int(count) for name, _, count in found}


@pytest.mark.parametrize("how", ["once", "for_good"])
def test_a_library_of_operators_without_memory(library: Path, how: str, tmp_path: Path) -> None:
    abi = (f"-I{NATIVE / 'include'}", f"-I{NATIVE / 'operators'}")
    found = counts(compiled("operators", tmp_path, *abi), library, how)
    assert len(found) == 5
    assert all(count > 0 for count in found.values())


@pytest.mark.parametrize("how", ["once", "for_good"])
def test_the_c_api_of_bundles_without_memory(rows: Path, how: str, tmp_path: Path) -> None:
    require_buildable()
    folder = sdk("release")
    link = (f"-I{folder / 'include'}", f"-L{folder / 'lib'}", f"-Wl,-rpath,{folder / 'lib'}")
    found = counts(compiled("bundle", tmp_path, *link, "-lmodelport"), rows, how)
    assert len(found) == 4
    assert all(count > 0 for count in found.values())


@pytest.mark.parametrize(("kind", "why"), KINDS.items())
def test_a_kernel_throws_in_pytorch(library: Path, kind: int, why: str) -> None:
    with pytest.raises(OperatorError) as raised:
        torch.ops.throws.throws(torch.ones(8), kind=kind)
    assert raised.value.why == why


@pytest.mark.parametrize(("kind", "why"), KINDS.items())
def test_a_kernel_throws_in_onnxruntime(library: Path, kind: int, why: str) -> None:
    node = helper.make_node("throws", ["x"], ["y"], "the_node", domain="throws", kind=kind)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in "xy"]
    graph = helper.make_graph([node], "g", tensors[:1], tensors[1:])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("throws", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(library))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    with pytest.raises(Exception, match=why) as raised:
        session.run(None, {"x": np.ones(8, np.float32)})
    assert "throws::throws (node 'the_node')" in str(raised.value)


def test_a_kernel_that_is_not_there(library: Path) -> None:
    opened = NativeLibrary(library)
    assert opened.functions.modelport_bind(99) is None
    assert opened.error() == "there is no kernel 99"
    assert opened.functions.modelport_bind(-1) is None


@pytest.mark.parametrize("name", ["set_ints", "set_floats", "set_str", "set_strs"])
def test_an_attribute_that_is_too_large(library: Path, name: str) -> None:
    opened = NativeLibrary(library)
    bound = BoundKernel(opened, opened.kernels[0], [])
    # More than any process can have; nothing of it is read.
    getattr(opened.functions, f"modelport_{name}")(bound.handle, 1, bytes(8), 1 << 56)
    info = TensorInfo((1,), "float32")
    shapes = pack_shapes([info], [info])
    assert opened.functions.modelport_call(bound.handle, 1, None, shapes, bytes(16), None) == 1
    assert opened.error() == "an attribute could not be set: out of memory"


def test_an_attribute_that_is_not_there(library: Path) -> None:
    opened = NativeLibrary(library)
    bound = BoundKernel(opened, opened.kernels[0], [])
    opened.functions.modelport_set_int(bound.handle, 9, 1)
    info = TensorInfo((1,), "float32")
    shapes = pack_shapes([info], [info])
    assert opened.functions.modelport_call(bound.handle, 1, None, shapes, bytes(16), None) == 1
    assert opened.error() == "an attribute could not be set: there is no attribute 9"


def test_a_kernel_that_cannot_be_bound_is_an_error(library: Path) -> None:
    opened = NativeLibrary(library)
    absent = NativeKernel(99, "throws", "cpu", 0, ())
    with pytest.raises(OperatorError, match="cannot be bound") as raised:
        BoundKernel(opened, absent, [])
    assert raised.value.why == "there is no kernel 99"
