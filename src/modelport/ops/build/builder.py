"""`build_library`: all operators of a domain become one library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import OperatorError
from modelport.ops.build import toolchain
from modelport.ops.build.cache import kept, key_of
from modelport.ops.build.generated_sources import library_source
from modelport.ops.build.parts import (
    RUNTIME,
    STATIC,
    Part,
    compile_parts,
    cpu_kernels,
    cuda_kernels,
    generated_part,
    link_command,
    source_part,
)
from modelport.ops.ctypes_library import NativeLibrary, require_declared
from modelport.ops.declaration import Operator

RUNTIME_SOURCES = ("library.cpp", "onnxruntime.cpp", "host.cpp", "pool.cpp")
EXPORTS = RUNTIME / "exports.map"


@dataclass(frozen=True)
class BuildOptions:
    """How a library is built.

    Attributes:
        cuda: Whether the CUDA kernels are in it.
        sanitize: Whether it checks memory and undefined behaviour while it runs (for tests; the
            process that loads it must have AddressSanitizer loaded).
        capabilities: The compute capabilities that CUDA kernels are compiled for, such as 86;
            all that the compiler knows where there is none.
    """

    cuda: bool = False
    sanitize: bool = False
    capabilities: tuple[int, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the C++ compiler and the linker."""
        if not self.sanitize:
            return ()
        # One a flag: nvcc takes a comma for the end of one.
        checks = ("-fsanitize=address", "-fsanitize=undefined", "-fno-sanitize-recover=all")
        return (*checks, "-g", "-O1")

    def cuda_command(self, source: Path, made: Path) -> list[str]:
        """The command that compiles a CUDA file."""
        return toolchain.cuda_command(source, made, self.capabilities, self.flags)


def build_library(
    operators: Sequence[Operator],
    options: BuildOptions | None = None,
    done: Callable[[str], None] = lambda what: None,
) -> Path:
    """Builds the kernels of a domain's operators into one library.

    What was built before from the same content comes from the cache at once.

    Args:
        operators: All operators of the domain that have kernels.
        options: How to build.
        done: Told of every finished part.

    Returns:
        The library, in the cache: ``<domain>.so``.

    Raises:
        OperatorError: There is no compiler, a kernel does not compile, or its C++ signature
            differs from the declaration. Nothing of it stays in the cache.
    """
    options = options or BuildOptions()
    operators = [item for item in operators if "cpu" in item.kernels or options.cuda]
    operators = [item for item in operators if item.kernels]
    domain = domain_of(operators)
    parts = list(cpu_kernels(operators, options.flags))
    if options.cuda:
        parts += cuda_kernels(operators, options.cuda_command)
    tables = [part.table for part in parts if part.table]
    described = library_source(domain, operators, tables, toolchain.levels()[0].number)
    parts += _runtime_parts(described, options)
    link = link_command(EXPORTS, options.flags or STATIC, cuda=options.cuda)
    key = key_of([*(part.key for part in parts), *link, EXPORTS])

    def make(path: Path) -> None:
        toolchain.run([*link, "-o", str(path), *compile_parts(parts, done)], domain)
        # A library that needs AddressSanitizer cannot be opened by just any process.
        if not options.sanitize:
            require_declared(NativeLibrary(path), operators)

    return kept(f"operators/{key}/{domain}.so", make)


def domain_of(operators: Sequence[Operator]) -> str:
    """The one domain of operators with kernels.

    Raises:
        OperatorError: They have several domains, or there is none of them.
    """
    domains = {operator.schema.domain for operator in operators}
    if len(domains) != 1:
        raise OperatorError(
            "a library holds the operators of one domain",
            why=f"there are kernels in {', '.join(sorted(domains)) or 'none'}",
            fix="a runtime takes one library for each domain",
        )
    return domains.pop()


def _runtime_parts(described: str, options: BuildOptions) -> Iterator[Part]:
    flags = ["-O2", f"-I{RUNTIME}", *options.flags]

    def command(source: Path, made: Path) -> list[str]:
        return toolchain.cpu_command(source, made, flags)

    for name in RUNTIME_SOURCES:
        yield source_part(RUNTIME / name, command)
    cuda_memory = RUNTIME / "cuda_memory.cpp"
    yield source_part(cuda_memory, options.cuda_command if options.cuda else command)
    yield generated_part(described, "described", "the library's description", command)
