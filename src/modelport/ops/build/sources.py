"""A library's sources in a folder, from which it is built where neither PyTorch nor they are."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelport.errors import OperatorError
from modelport.ops.build import toolchain
from modelport.ops.build.builder import EXPORTS, RUNTIME_SOURCES
from modelport.ops.build.cache import kept, key_of
from modelport.ops.build.generated_sources import Table, kernel_source, library_source
from modelport.ops.build.parts import RUNTIME, STATIC, link_command, seal
from modelport.ops.build.toolchain import NATIVE, Level
from modelport.ops.ctypes_library import NativeLibrary
from modelport.ops.declaration import Operator

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_MACHINES = ("x86_64", "other")
"""Kinds of processors that differ in their levels: 64-bit x86, and any other."""
_SYMBOL = "MODELPORT_TABLE"
"""What the table of kernels is called in a generated file, before its level is known."""


def write_sources(operators: Sequence[Operator], folder: Path) -> None:
    """Writes all that a library is built from: kernels, what they include, and modelport's part.

    Args:
        operators: All operators of one domain that have kernels.
        folder: A folder to be made.

    Raises:
        OperatorError: A kernel's file includes one that is in no folder beside it.
    """
    shutil.copytree(NATIVE / "include", folder / "include")
    # The names of what every version builds; they do not follow those of the package.
    shutil.copytree(RUNTIME, folder / "runtime", ignore=shutil.ignore_patterns(EXPORTS.name))
    shutil.copyfile(EXPORTS, folder / EXPORTS.name)
    (folder / "generated").mkdir()
    for operator in operators:
        for device, source in operator.kernels.items():
            copied = _copy_kernel(source, folder / "kernels" / operator.schema.name)
            text = kernel_source(operator, Path("..") / copied.relative_to(folder), _SYMBOL)
            place = folder / "generated" / f"{operator.schema.name}.{device}{source.suffix}"
            place.write_text(text, encoding="utf-8")
    devices = sorted({device for operator in operators for device in operator.kernels})
    for machine in _MACHINES:
        for cuda in (False, True) if "cuda" in devices else (False,):
            place = folder / "generated" / _description(machine, cuda)
            place.write_text(_describe(operators, machine, cuda), encoding="utf-8")


def build_sources(folder: Path, domain: str, *, cuda: bool = False) -> Path:
    """Builds a library from what `write_sources` wrote.

    What was built before from the same content comes from the cache at once.

    Args:
        folder: The folder.
        domain: The operators' domain.
        cuda: Whether the CUDA kernels are in it.

    Returns:
        The library, in the cache: ``<domain>.so``.

    Raises:
        OperatorError: There is no compiler, or it refuses.
    """
    machine = _MACHINES[0] if len(toolchain.levels()) > 1 else _MACHINES[1]
    described = folder / "generated" / _description(machine, cuda)
    if not described.is_file():
        raise OperatorError(
            f"the sources of {domain} have no kernels to build",
            where=str(folder),
            fix="deploy again, with the operators declared",
        )
    units = [*_kernel_units(folder, cuda), *_runtime_units(folder, described)]

    def make(path: Path) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compile_unit = functools.partial(
                _Unit.compile, folder=folder, work=path.parent, cuda=cuda
            )
            objects = list(pool.map(compile_unit, units))
        link = link_command(folder / "exports.map", STATIC, cuda=cuda)
        toolchain.run([*link, "-o", str(path), *map(str, objects)], domain)
        NativeLibrary(path)

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    compilers = [toolchain.cxx(), *([toolchain.require_nvcc(domain)] if cuda else [])]
    key = key_of([*map(toolchain.identity, compilers), platform.machine(), *names, *files])
    return kept(f"operators/{key}/{domain}.so", make)


class _Unit:
    """One object file to be."""

    def __init__(
        self, source: Path, flags: Sequence[str] = (), table: tuple[str, Level] | None = None
    ) -> None:
        self._source = source
        self._flags = flags
        self._table = table

    def compile(self, folder: Path, work: Path, cuda: bool) -> Path:
        """Makes the object file."""
        include = f"-I{folder / 'include'}"
        if self._table is None:
            made = work / f"{self._source.stem}.o"
            on_cuda = cuda and self._source.stem == "cuda_memory"
            toolchain.run(self._command(self._source, made, include, on_cuda), self._source.name)
            return made
        symbol, level = self._table
        wrapped = work / f"{symbol}{self._source.suffix}"
        wrapped.write_text(f'#define {_SYMBOL} {symbol}\n#include "{self._source.resolve()}"\n')
        loose, made = work / f"{symbol}.loose.o", work / f"{symbol}.o"
        on_cuda = self._source.suffix == ".cu"
        command = self._command(wrapped, loose, include, on_cuda, level.flags)
        toolchain.run(command, self._source.name)
        if on_cuda:
            return loose
        seal(loose, made, symbol)
        return made

    def _command(
        self, source: Path, made: Path, include: str, on_cuda: bool, flags: Sequence[str] = ()
    ) -> list[str]:
        if on_cuda:
            compiler, *rest = toolchain.cuda_command(source, made)
            # Before the headers of this installation, which may be others.
            return [compiler, include, *rest]
        return toolchain.cpu_command(source, made, [include, *self._flags, *flags])


def _kernel_units(folder: Path, cuda: bool) -> Iterator[_Unit]:
    for source in sorted((folder / "generated").glob("*.cpu.cpp")):
        for level in toolchain.levels():
            name = source.name.partition(".")[0]
            yield _Unit(source, table=(_symbol(name, "cpu", level.number), level))
    for source in sorted((folder / "generated").glob("*.cuda.cu")) if cuda else ():
        name = source.name.partition(".")[0]
        yield _Unit(source, table=(_symbol(name, "cuda", 0), Level(0, ())))


def _runtime_units(folder: Path, described: Path) -> Iterator[_Unit]:
    flags = ["-O2", f"-I{folder / 'runtime'}"]
    own = [folder / "runtime" / name for name in (*RUNTIME_SOURCES, "cuda_memory.cpp")]
    for source in (*own, described):
        yield _Unit(source, flags)


def _describe(operators: Sequence[Operator], machine: str, cuda: bool) -> str:
    used = [item for item in operators if "cpu" in item.kernels or cuda]
    numbers = [level.number for level in toolchain.levels(machine)]
    tables = [
        Table(index, device, number, _symbol(operator.schema.name, device, number))
        for index, operator in enumerate(used)
        for device in sorted(operator.kernels)
        for number in (numbers if device == "cpu" else [0])
        if device == "cpu" or cuda
    ]
    return library_source(operators[0].schema.domain, used, tables, numbers[0])


def _description(machine: str, cuda: bool) -> str:
    return f"library-{machine}-{'cuda' if cuda else 'cpu'}.cpp"


def _symbol(operator: str, device: str, level: int) -> str:
    return f"modelport_kernels_{operator}_{device}_{level}"


def _copy_kernel(source: Path, folder: Path) -> Path:
    """Copies a file and what it includes by quotes, as they lie to one another."""
    files = [source.resolve()]
    for file in files:
        for name in _INCLUDE.findall(file.read_bytes()):
            included = (file.parent / os.fsdecode(name)).resolve()
            if included.is_file() and included not in files:
                files.append(included)
    root = Path(os.path.commonpath([file.parent for file in files]))
    for file in files:
        place = folder / file.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return folder / files[0].relative_to(root)
