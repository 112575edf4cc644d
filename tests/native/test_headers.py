"""Public headers: what they make global, and kernels written with those names and without."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from modelport.ops.build import build_library
from modelport.ops.build.toolchain import NATIVE
from modelport.ops.scaffold import load_folder
from modelport.ops.torch_extension import write_extension
from tests.surface.headers import declarations

KERNEL_HEADERS = ("kernel.h", "types.h", "table.h")
GLOBAL = (
    *("bfloat16", "check", "Context", "float16", "HostIn", "HostOpt", "In", "List", "Opt", "Out"),
    *("Shape", "Span"),
)
DECLARATION = """
import modelport
from torch import Tensor


@modelport.operator(
    "{name}::{name}", kernels=["kernel.cpp"], dtypes=["float32", "float16", "bfloat16"]
)
def {name}(x: Tensor, *, factor: float = 2.0) -> Tensor:
    return x * factor
"""
WITH_GLOBAL_NAMES = """#include <modelport/kernel.h>

template <class T>
void {name}(Context&, In<T> x, Out<T> output, double factor) {{
  check(factor > 0, "the factor is ", factor);
  T* to = output.alloc(x.shape());
  const auto by = static_cast<float>(factor);
  for (int64_t i = 0; i < x.size(); ++i) to[i] = T(static_cast<float>(x[i]) * by);
}}
"""
WITHOUT = """#define MODELPORT_NO_GLOBAL_NAMES
#include <modelport/kernel.h>

// Names of a library that this kernel may use.
struct Shape {{
  int sides = 3;
}};
struct Context {{}};
struct float16 {{}};
template <class T>
struct Span {{}};
inline void check() {{}}

template <class T>
void {name}(modelport::Context&, modelport::In<T> x, modelport::Out<T> output, double factor) {{
  modelport::check(factor > 0, "the factor is ", factor);
  check();
  T* to = output.alloc(x.shape());
  const auto by = static_cast<float>(factor);
  for (int64_t i = 0; i < x.size(); ++i) to[i] = T(static_cast<float>(x[i]) * by);
}}
"""


@pytest.mark.parametrize(
    ("name", "kernel"),
    [("with_global_names", WITH_GLOBAL_NAMES), ("without_global_names", WITHOUT)],
)
def test_a_kernel(name: str, kernel: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "op.py").write_text(DECLARATION.format(name=name))
    (folder / "kernel.cpp").write_text(kernel.format(name=name))
    operators = load_folder(folder)
    assert build_library(operators).is_file()
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.arange(5).to(dtype)
        made = getattr(getattr(torch.ops, name), name)(x, factor=3.0)
        np.testing.assert_array_equal(made.float(), 3.0 * x.float())
    # The same file, in an extension of PyTorch.
    csrc = write_extension(operators, tmp_path / "extension") / "csrc"
    syntax = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    source = csrc / f"{name}_kernels.cpp"
    command = [*syntax, f"-I{csrc}", f"-I{csrc / 'include'}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("header", KERNEL_HEADERS)
def test_nothing_is_global_without_global_names(header: str) -> None:
    # Every name that is global by default is another thing here.
    others = "\n".join(f"struct {name} {{}};" for name in (*GLOBAL, "Error", "View", "text"))
    source = f"#define MODELPORT_NO_GLOBAL_NAMES\n#include <modelport/{header}>\n{others}\n"
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Werror", f"-I{NATIVE / 'include'}"]
    done = subprocess.run(
        [*command, "-x", "c++", "-"], input=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "header",
    [
        *(NATIVE / "include" / "modelport" / name for name in KERNEL_HEADERS),
        *(
            NATIVE / "bundle" / "include" / "modelport" / name
            for name in ("modelport.h", "modelport.hpp")
        ),
    ],
    ids=lambda path: path.name,
)
def test_what_is_global_bears_the_name_of_the_project(header: Path) -> None:
    found = list(declarations(header.read_text(encoding="utf-8")))
    assert len(found) > 5
    for line in found:
        scope, colon, _ = line.partition(": ")
        if colon and scope.startswith("modelport"):
            continue
        if line.startswith("using "):
            assert line.removeprefix("using modelport::") in GLOBAL
        else:
            assert "modelport_" in line or line.startswith("#define MODELPORT_"), line
