"""`build_library`: all operators of a domain become one library."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import OperatorError
from modelport.ops.build import toolchain
from modelport.ops.build.cache import kept, key_of
from modelport.ops.build.generated import Table, kernel_source, library_source
from modelport.ops.build.toolchain import NATIVE, Level
from modelport.ops.declaration import Operator
from modelport.ops.native_library import NativeLibrary, require_declared

_RUNTIME = ("library.cpp", "onnxruntime.cpp", "host.cpp", "pool.cpp", "cuda_memory.cpp")


@dataclass(frozen=True)
class BuildOptions:
    """How a library is built.

    Attributes:
        cuda: Whether the CUDA kernels are in it.
        sanitize: Whether it checks memory and undefined behaviour while it runs (for tests; the
            process that loads it must have AddressSanitizer loaded).
    """

    cuda: bool = False
    sanitize: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the C++ compiler and the linker."""
        if not self.sanitize:
            return ()
        return ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")


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
    domains = {operator.schema.domain for operator in operators}
    if len(domains) != 1:
        raise OperatorError(
            "a library holds the operators of one domain",
            why=f"there are kernels in {', '.join(sorted(domains)) or 'none'}",
            fix="a runtime takes one library for each domain",
        )
    domain = domains.pop()
    parts = list(_kernel_parts(operators, options))
    tables = [part.table for part in parts if part.table]
    described = library_source(domain, operators, tables, toolchain.levels()[0].number)
    parts += _runtime_parts(described, options)
    link = _link_command(options)
    key = key_of([*(part.key for part in parts), *link, _EXPORTS])

    def make(path: Path) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda part: part.object(done), parts))
        toolchain.run([*link, "-o", str(path), *map(str, objects)], domain)
        # A library that needs AddressSanitizer cannot be opened by just any process.
        if not options.sanitize:
            require_declared(NativeLibrary(path), operators)

    return kept(f"operators/{key}/{domain}.so", make)


_EXPORTS = NATIVE / "exports.map"


@dataclass(frozen=True)
class _Part:
    """One object file to be."""

    what: str
    name: str
    key: str
    compile: Callable[[Path], None]
    table: Table | None = None

    def object(self, done: Callable[[str], None]) -> Path:
        """The object file, from the cache where it is there."""
        made = kept(f"objects/{self.key}/{self.name}.o", self.compile)
        done(self.what)
        return made


def _kernel_parts(operators: Sequence[Operator], options: BuildOptions) -> Iterator[_Part]:
    for index, operator in enumerate(operators):
        for device, source in sorted(operator.kernels.items()):
            if device == "cuda" and not options.cuda:
                continue
            for level in toolchain.levels() if device == "cpu" else (Level(0, ()),):
                yield _kernel_part(index, operator, source, device, level, options)


def _kernel_part(
    index: int, operator: Operator, source: Path, device: str, level: Level, options: BuildOptions
) -> _Part:
    name = operator.schema.name
    symbol = f"modelport_kernels_{name}_{device}_{level.number}"
    text = kernel_source(operator, source, symbol)
    what = f"{operator.qualified_name} ({source.name})"
    flags = (*level.flags, *options.flags)
    suffix = ".cu" if device == "cuda" else ".cpp"
    compiler = toolchain.cxx() if device == "cpu" else toolchain.nvcc() or ""
    probe = Path("source")
    command = (
        toolchain.cuda_command(probe, probe)
        if device == "cuda"
        else toolchain.cpu_command(probe, probe, flags)
    )

    def compile_part(path: Path) -> None:
        generated = path.with_suffix(suffix)
        generated.write_text(text, encoding="utf-8")
        loose = path.with_suffix(".loose.o")
        if device == "cuda":
            toolchain.run(toolchain.cuda_command(generated, path), what, source, name)
            return
        toolchain.run(toolchain.cpu_command(generated, loose, flags), what, source, name)
        _seal(loose, path, symbol)

    key = key_of(
        [
            *command,
            toolchain.identity(compiler),
            text,
            source,
            *_headers(source.parent),
            *_OWN_HEADERS,
        ]
    )
    table = Table(index, device, level.number, symbol)
    return _Part(f"{what}, level {level.number}", name, key, compile_part, table)


def _seal(loose: Path, sealed: Path, symbol: str) -> None:
    """Makes all of an object's symbols its own but one.

    Code of the same template, compiled for several levels, would otherwise be merged by the
    linker, and an old processor could be given instructions that it does not have.
    """
    merged = loose.with_suffix(".merged.o")
    tools = [shutil.which(name) or name for name in ("ld", "objcopy")]
    toolchain.run([tools[0], "-r", "--force-group-allocation", "-o", str(merged), str(loose)], "ld")
    toolchain.run([tools[1], f"--keep-global-symbol={symbol}", str(merged), str(sealed)], "objcopy")


def _runtime_parts(described: str, options: BuildOptions) -> Iterator[_Part]:
    runtime = NATIVE / "runtime"
    headers = [*_OWN_HEADERS, *_headers(runtime)]
    flags = ["-O2", f"-I{runtime}", *options.flags]
    identity = toolchain.identity(toolchain.cxx())
    for name in _RUNTIME:
        source = runtime / name

        def compile_runtime(path: Path, source: Path = source) -> None:
            if options.cuda and source.stem == "cuda_memory":
                toolchain.run(toolchain.cuda_command(source, path), source.name)
            else:
                toolchain.run(toolchain.cpu_command(source, path, flags), source.name)

        with_cuda = str(options.cuda and source.stem == "cuda_memory")
        yield _Part(
            name,
            source.stem,
            key_of([identity, *flags, with_cuda, source, *headers]),
            compile_runtime,
        )

    def compile_described(path: Path) -> None:
        source = path.with_suffix(".cpp")
        source.write_text(described, encoding="utf-8")
        toolchain.run(toolchain.cpu_command(source, path, flags), "the library's description")

    key = key_of([identity, *flags, described, *headers])
    yield _Part("the library's description", "described", key, compile_described)


def _headers(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in toolchain.HEADER_SUFFIXES)


_OWN_HEADERS = tuple(_headers(NATIVE / "include"))


def _link_command(options: BuildOptions) -> list[str]:
    static = [] if options.sanitize else ["-static-libstdc++", "-static-libgcc"]
    linker = [f"--version-script={_EXPORTS}", "--exclude-libs=ALL"]
    if options.cuda:
        # It knows where its own libraries are, and links the CUDA runtime statically.
        return [
            *(toolchain.nvcc() or "", "-shared", "-ccbin", toolchain.cxx()),
            *(f"-Xcompiler={flag}" for flag in [*static, *options.flags, "-pthread"]),
            *(f"-Xlinker={flag}" for flag in linker),
        ]
    return [
        *(toolchain.cxx(), "-shared", *static, *options.flags, "-pthread"),
        *(f"-Wl,{flag}" for flag in linker),
    ]
