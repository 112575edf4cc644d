"""What compilers warn of in the C and C++ of the repository, kernels and generated files too."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from modelport import Operator, OperatorError
from modelport.backends.tensorrt.plugins import find_headers
from modelport.backends.tensorrt.plugins.builder import plugins_source
from modelport.backends.tensorrt.plugins.library import NOT_IN_TENSORRT
from modelport.backends.tensorrt.plugins.shape_rules import trace_shapes
from modelport.ops.build import toolchain
from modelport.ops.build.generated_sources import Table, kernel_source, library_source
from modelport.ops.build.toolchain import NATIVE
from modelport.ops.scaffold import load_folder
from modelport.ops.torch_extension import write_extension

ROOT = Path(__file__).parents[2]
COMPILER = "g++"
STRICT = ("-Wall", "-Wextra", "-Werror", "-fsyntax-only")
OPERATORS = (NATIVE.parent / "ops" / "library", ROOT / "tests", ROOT / "examples")
TENSORRT_HEADERS = ROOT / "build" / "tensorrt-headers"

INCLUDE, RUNTIME, PLUGINS = NATIVE / "include", NATIVE / "operators", NATIVE / "tensorrt"
BUNDLE, BUNDLE_SOURCES = NATIVE / "bundle" / "include", NATIVE / "bundle" / "src"


@dataclass(frozen=True)
class Unit:
    """A file that is compiled, and how.

    Attributes:
        source: The file.
        command: The command that compiles it.
    """

    source: Path
    command: Sequence[str]


@dataclass(frozen=True)
class Group:
    """Files that are compiled in the same way.

    Attributes:
        sources: The files.
        folders: Where their headers are.
        needs: Headers of others; where one of them is missing the files are left out.
        foreign: Where the headers of others are.
        standard: The version of the language.
    """

    sources: Sequence[Path]
    folders: Sequence[Path]
    needs: Sequence[str] = ()
    foreign: Sequence[Path] = ()
    standard: str = "c++17"

    def command(self) -> list[str]:
        """The command that compiles one of them."""
        own = [*STRICT, *(f"-I{folder}" for folder in self.folders)]
        others = [word for folder in self.foreign for word in ("-isystem", str(folder))]
        return [COMPILER, f"-std={self.standard}", *own, *others]

    def missing(self) -> list[str]:
        """Those headers of others that are not there."""
        return [header for header in self.needs if not self._has(header)]

    def _has(self, header: str) -> bool:
        text = f"#if !__has_include(<{header}>)\n#error missing\n#endif\n"
        command = [*self.command(), "-x", "c++", "-"]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        return done.returncode == 0


def units(folder: Path) -> tuple[list[Unit], list[str]]:
    """All that is compiled, and what is left out on this machine, with the reason.

    Args:
        folder: Where to write what is generated.
    """
    declared = [item for place in OPERATORS for item in _declared(place)]
    found = list(_kernels(declared, folder))
    left_out = []
    if nvcc := toolchain.nvcc():
        found += _cuda_kernels(declared, folder, nvcc)
    else:
        left_out.append("CUDA kernels are left out: there is no nvcc")
    for group in (*_groups(folder), _extension(folder)):
        if lacking := group.missing():
            names = ", ".join(source.name for source in group.sources)
            left_out.append(f"{names} are left out: there is no {', '.join(lacking)}")
        else:
            found += [Unit(source, group.command()) for source in group.sources]
    return found, left_out


def warned(found: Sequence[Unit]) -> list[str]:
    """What the compiler says of each file that it warns of."""

    def compile_unit(unit: Unit) -> str:
        done = subprocess.run(
            [*unit.command, str(unit.source)], capture_output=True, text=True, check=False
        )
        return done.stderr if done.returncode else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(filter(None, pool.map(compile_unit, found)))


def _declared(place: Path) -> list[Operator]:
    folders = [path.parent for path in sorted(place.rglob("op.py"))]
    return [operator for folder in folders for operator in load_folder(folder)]


def _kernels(operators: Sequence[Operator], folder: Path) -> Iterator[Unit]:
    """Every kernel for the CPU in all its instances, as libraries of operators have it."""
    for operator in operators:
        if "cpu" in operator.kernels:
            source = _instances(operator, "cpu", folder)
            command = toolchain.cpu_command(source, source, toolchain.levels()[0].flags)
            yield Unit(source, [COMPILER, *STRICT, *command[1 : command.index("-c")]])


def _cuda_kernels(operators: Sequence[Operator], folder: Path, nvcc: str) -> Iterator[Unit]:
    """Every kernel for the GPU, for one compute capability and without machine code."""
    flags = ["-std=c++17", "--expt-relaxed-constexpr", "-arch=compute_80", f"-I{INCLUDE}"]
    strict = ["-Werror=all-warnings", "-Xcompiler=-Wall,-Wextra", "-cuda"]
    for operator in operators:
        if "cuda" in operator.kernels:
            source = _instances(operator, "cuda", folder)
            yield Unit(source, [nvcc, *flags, *strict, "-o", str(source.with_suffix(".ii"))])


def _instances(operator: Operator, device: str, folder: Path) -> Path:
    """The generated file with all instances of an operator's kernel."""
    name = f"{operator.qualified_name.replace('::', '_')}_{device}"
    source = folder / f"{name}{operator.kernels[device].suffix}"
    text = kernel_source(operator, operator.kernels[device], name)
    source.write_text(text, encoding="utf-8")
    return source


def _groups(folder: Path) -> Iterator[Group]:
    described, rules = _generated(folder)
    yield Group([*RUNTIME.glob("*.cpp"), described], (INCLUDE, RUNTIME))
    plugins = ("NvInferRuntime.h", "cuda_runtime_api.h")
    foreign = (_tensorrt(), *_cuda())
    yield Group(
        [*PLUGINS.glob("*.cpp"), rules, *(NATIVE / "conformance").glob("*.cpp")],
        (INCLUDE, RUNTIME, PLUGINS),
        plugins,
        foreign,
    )
    bundle, system = (BUNDLE, RUNTIME), ("nlohmann/json.hpp", "zip.h", "openssl/evp.h")
    engines = set(BUNDLE_SOURCES.glob("tensorrt*.cpp"))
    yield Group(sorted({*BUNDLE_SOURCES.glob("*.cpp")} - engines), bundle, system)
    yield Group(sorted(engines), bundle, (*system, *plugins), foreign)
    yield Group(sorted((NATIVE / "bundle" / "examples").glob("*.cpp")), bundle, ("png.h",))
    yield Group([ROOT / "benchmarks" / "native" / "bench.cpp"], (*bundle, BUNDLE_SOURCES))
    programs = [*(ROOT / "tests" / "native").glob("*.cpp"), ROOT / "tests/runtime/program.cpp"]
    yield Group(sorted(programs), (BUNDLE, INCLUDE, RUNTIME))


def _generated(folder: Path) -> tuple[Path, Path]:
    """The files that describe the shipped operators to a library, and to one of plugins."""
    operators = [item for item in _declared(OPERATORS[0]) if "cuda" in item.kernels]
    plugins = [item for item in operators if item.instances(NOT_IN_TENSORRT)]
    domain = operators[0].schema.domain
    tables = [Table(index, "cuda", 0, f"table_{index}") for index in range(len(operators))]
    texts = {
        "described.cpp": library_source(domain, operators, tables, 0),
        "rules.cpp": plugins_source(domain, list(map(trace_shapes, plugins))),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "described.cpp", folder / "rules.cpp"


def _extension(folder: Path) -> Group:
    """The shipped operators as an extension of PyTorch."""
    from torch.utils.cpp_extension import include_paths

    source = write_extension(_declared(OPERATORS[0]), folder / "extension") / "csrc"
    foreign = [*map(Path, include_paths()), Path(sysconfig.get_paths()["include"])]
    files = [source / "torch_extension.cpp"]
    return Group(files, (source, source / "include"), ("torch/library.h",), foreign, "c++20")


def _tensorrt() -> Path:
    try:
        return find_headers().folder
    except OperatorError:
        return TENSORRT_HEADERS


def _cuda() -> Iterator[Path]:
    """Where CUDA's headers may be: beside its compiler, and where it is usually."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    yield Path(home) / "include"
    yield from sorted(Path("/usr/local").glob("cuda-*/include"))
