"""`build_plugins`: the operators of a domain become a library of TensorRT plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from modelport.backends.tensorrt.plugins.headers import TensorRTHeaders, find_headers
from modelport.backends.tensorrt.plugins.library import NOT_IN_TENSORRT, PluginLibrary
from modelport.backends.tensorrt.plugins.rule_program import ShapeProgram
from modelport.backends.tensorrt.plugins.shape_rules import trace_shapes
from modelport.errors import OperatorError
from modelport.ops.build import toolchain
from modelport.ops.build.builder import BuildOptions, domain_of
from modelport.ops.build.cache import kept, key_of
from modelport.ops.build.generated_sources import library_source, literal
from modelport.ops.build.parts import (
    RUNTIME,
    STATIC,
    Part,
    compile_parts,
    cuda_kernels,
    generated_part,
    headers,
    link_command,
    source_part,
)
from modelport.ops.build.toolchain import NATIVE
from modelport.ops.ctypes_library import require_declared
from modelport.ops.declaration import Operator
from modelport.ops.templates import render

_RUNTIME = ("library.cpp", "host.cpp", "pool.cpp")
_SOURCES = NATIVE / "tensorrt"
_EXPORTS = _SOURCES / "exports.map"


def build_plugins(
    operators: Sequence[Operator],
    options: BuildOptions | None = None,
    found: TensorRTHeaders | None = None,
    done: Callable[[str], None] = lambda what: None,
) -> Path:
    """Builds the CUDA kernels of a domain's operators into a library of TensorRT plugins.

    Each operator becomes an ``IPluginV3`` with its creator; the plugin's name is the operator's,
    its namespace the domain, its version 1. The library is for one major version of TensorRT.

    Args:
        operators: Operators of one domain; those without a CUDA kernel are left out. Where some
            have no kernel of types that plugins have, the others are plugins; see
            `PluginLibrary.plugins`.
        options: How to build.
        found: TensorRT's headers; they are looked for by default.
        done: Told of every finished part.

    Returns:
        The library, in the cache: ``<domain>.trt<major>.so``.

    Raises:
        OperatorError: The headers or a compiler are missing; a shape rule cannot be said in
            expressions of dimensions; no kernel has element types that plugins have; or a kernel
            does not compile.
    """
    options = options or BuildOptions()
    operators = [item for item in operators if "cuda" in item.kernels]
    domain = domain_of(operators)
    usable = [item for item in operators if item.instances(NOT_IN_TENSORRT)]
    if not usable:
        types = sorted({item for one in operators[0].dtypes for item in one})
        raise _no_types(operators[0], ", ".join(types))
    operators = usable
    programs = list(map(trace_shapes, operators))
    found = found or find_headers()
    parts = list(cuda_kernels(operators, options.cuda_command, NOT_IN_TENSORRT))
    tables = [part.table for part in parts if part.table]
    described = library_source(domain, operators, tables, 0)
    parts += _runtime_parts(described, plugins_source(domain, programs), found, options)
    link = link_command(_EXPORTS, options.flags or STATIC, cuda=True)
    key = key_of([*(part.key for part in parts), *link, _EXPORTS])

    def make(path: Path) -> None:
        toolchain.run([*link, "-o", str(path), *compile_parts(parts, done)], domain)
        # A library that needs AddressSanitizer cannot be opened by just any process.
        if not options.sanitize:
            library = PluginLibrary(path)
            require_declared(library, operators)
            _require_plugins(library, operators)

    return kept(f"plugins/{key}/{domain}.trt{found.major}.so", make)


def plugins_source(domain: str, programs: Sequence[ShapeProgram]) -> str:
    """The file that describes the shape rules of a library of plugins."""
    return render("plugins.cpp.jinja", domain=domain, programs=list(map(_described, programs)))


def _described(program: ShapeProgram) -> dict[str, Any]:
    return {
        "steps": [
            {
                "kind": step.kind,
                "first": step.first,
                "second": step.second,
                "number": literal(step.number),
                "text": literal(step.text),
            }
            for step in program.steps
        ],
        "ways": [
            {
                "conditions": [
                    {"step": item.step, "holds": literal(item.holds)} for item in way.conditions
                ],
                "outputs": [
                    {
                        "place": place,
                        "like": output.like,
                        "dimensions": [
                            {"step": dim.step, "is_bound": literal(dim.is_bound)}
                            for dim in output.dimensions
                        ],
                    }
                    for place, output in enumerate(way.outputs)
                ],
                "refusal": literal(way.refusal) if way.refusal else "nullptr",
            }
            for way in program.ways
        ],
        "sizes": program.sizes,
    }


def _runtime_parts(
    described: str, rules: str, found: TensorRTHeaders, options: BuildOptions
) -> Iterator[Part]:
    flags = [f"-I{RUNTIME}", f"-I{_SOURCES}", *options.flags]
    included = headers(found.folder)

    def plain(source: Path, made: Path) -> list[str]:
        return toolchain.cpu_command(source, made, ["-O2", *flags])

    def with_tensorrt(source: Path, made: Path) -> list[str]:
        return toolchain.cuda_host_command(source, made, [found.folder], flags)

    for name in _RUNTIME:
        yield source_part(RUNTIME / name, plain)
    yield source_part(RUNTIME / "cuda_memory.cpp", options.cuda_command)
    for source in sorted(_SOURCES.glob("*.cpp")):
        yield source_part(source, with_tensorrt, included)
    yield generated_part(described, "described", "the library's description", plain)
    own = headers(_SOURCES)
    yield generated_part(rules, "plugins", "the shape rules", with_tensorrt, own)


def _require_plugins(library: PluginLibrary, operators: Sequence[Operator]) -> None:
    """Raises `OperatorError` where no operator has a kernel of types that plugins have."""
    if not library.plugins:
        kernels = [{*item.dtypes, *item.output_dtypes} for item in library.kernels]
        types = sorted({name for found in kernels for name in found})
        raise _no_types(operators[0], ", ".join(types))


def _no_types(operator: Operator, types: str) -> OperatorError:
    return OperatorError(
        f"{operator.qualified_name} cannot be a TensorRT plugin: its kernels are for {types}",
        where=str(operator.kernels["cuda"]),
        why=f"tensors of plugins are none of {', '.join(NOT_IN_TENSORRT)}",
        fix="declare a kernel for float32, float16, bfloat16, int8, int32 or int64; what is bool "
        "or uint8 in the graph is cast to int8 or int32 before the node, and back after it",
    )
