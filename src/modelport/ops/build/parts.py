"""The object files that a library of operators is linked from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from modelport.ops.build import toolchain
from modelport.ops.build.cache import kept, key_of
from modelport.ops.build.generated_sources import Table, kernel_source
from modelport.ops.build.toolchain import NATIVE, Level
from modelport.ops.declaration import Operator

RUNTIME = NATIVE / "operators"

Command = Callable[[Path, Path], list[str]]


@dataclass(frozen=True)
class Part:
    """One object file to be.

    Attributes:
        what: What it is, for people.
        name: The name of its file.
        key: Stands for all that it is made of.
        compile: Makes it at a path.
        table: The kernels in it, if it has any.
    """

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


def compile_parts(parts: Sequence[Part], done: Callable[[str], None]) -> list[str]:
    """The object files of parts, compiled side by side."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda part: str(part.object(done)), parts))


def cpu_kernels(operators: Sequence[Operator], flags: Sequence[str]) -> Iterator[Part]:
    """The CPU kernels of operators, each for every level of processors."""
    for index, operator in enumerate(operators):
        if "cpu" not in operator.kernels:
            continue
        for level in toolchain.levels():
            yield _kernels(index, operator, "cpu", level, _cpu_command((*level.flags, *flags)), ())


def cuda_kernels(
    operators: Sequence[Operator], command: Command, without: Collection[str] = ()
) -> Iterator[Part]:
    """The CUDA kernels of operators.

    Args:
        operators: The operators.
        command: The command that compiles them.
        without: Element types that are left out.
    """
    for index, operator in enumerate(operators):
        if "cuda" in operator.kernels:
            yield _kernels(index, operator, "cuda", Level(0, ()), command, without)


def _cpu_command(flags: Sequence[str]) -> Command:
    return lambda source, made: toolchain.cpu_command(source, made, flags)


def _kernels(
    index: int,
    operator: Operator,
    device: str,
    level: Level,
    command: Command,
    without: Collection[str],
) -> Part:
    name, source = operator.schema.name, operator.kernels[device]
    symbol = f"modelport_kernels_{name}_{device}_{level.number}"
    text = kernel_source(operator, source, symbol, without)
    what = f"{operator.qualified_name} ({source.name})"
    suffix = ".cu" if device == "cuda" else ".cpp"

    def compile_part(path: Path) -> None:
        generated = path.with_suffix(suffix)
        generated.write_text(text, encoding="utf-8")
        if device == "cuda":
            toolchain.run(command(generated, path), what, source, name)
            return
        loose = path.with_suffix(".loose.o")
        toolchain.run(command(generated, loose), what, source, name)
        seal(loose, path, symbol)

    probe = command(Path("source"), Path("source"))
    files = [source, *headers(source.parent), *OWN_HEADERS]
    key = key_of([*probe, toolchain.identity(probe[0]), text, *files])
    table = Table(index, device, level.number, symbol)
    return Part(f"{what}, level {level.number}", name, key, compile_part, table)


def seal(loose: Path, sealed: Path, symbol: str) -> None:
    """Makes all of an object's symbols its own but one.

    Code of the same template, compiled for several levels, would otherwise be merged by the
    linker, and an old processor could be given instructions that it does not have.
    """
    merged = loose.with_suffix(".merged.o")
    tools = [shutil.which(name) or name for name in ("ld", "objcopy")]
    toolchain.run([tools[0], "-r", "--force-group-allocation", "-o", str(merged), str(loose)], "ld")
    toolchain.run([tools[1], f"--keep-global-symbol={symbol}", str(merged), str(sealed)], "objcopy")


def source_part(source: Path, command: Command, included: Sequence[Path] = ()) -> Part:
    """A C++ file of the package.

    Args:
        source: The file.
        command: The command that compiles it.
        included: Headers that it includes beside those of kernels and of its own folder.
    """
    probe = command(source, Path("made"))
    files = [source, *OWN_HEADERS, *headers(RUNTIME), *headers(source.parent), *included]
    return Part(
        source.name,
        source.stem,
        key_of([*probe, toolchain.identity(probe[0]), *files]),
        lambda path: toolchain.run(command(source, path), source.name),
    )


def generated_part(
    text: str, name: str, what: str, command: Command, included: Sequence[Path] = ()
) -> Part:
    """A C++ file that was generated.

    Args:
        text: Its content.
        name: Its name, without suffix.
        what: What it is, for people.
        command: The command that compiles it.
        included: Headers that it includes beside those of kernels and of the runtime.
    """

    def compile_generated(path: Path) -> None:
        source = path.with_suffix(".cpp")
        source.write_text(text, encoding="utf-8")
        toolchain.run(command(source, path), what)

    probe = command(Path("source"), Path("made"))
    files = [*OWN_HEADERS, *headers(RUNTIME), *included]
    key = key_of([*probe, toolchain.identity(probe[0]), text, *files])
    return Part(what, name, key, compile_generated)


def headers(folder: Path) -> list[Path]:
    """The headers in a folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix in toolchain.HEADER_SUFFIXES)


OWN_HEADERS = tuple(headers(NATIVE / "include"))


def link_command(exports: Path, flags: Sequence[str], *, cuda: bool) -> list[str]:
    """The command that links a library, without its output and its object files.

    Args:
        exports: The linker script that says which symbols the library shows.
        flags: Flags of the C++ compiler.
        cuda: Whether there is CUDA code in it.
    """
    linker = [f"--version-script={exports}", "--exclude-libs=ALL"]
    if cuda:
        # It knows where its own libraries are, and links the CUDA runtime statically.
        return [
            *(toolchain.require_nvcc("the library"), "-shared", "-ccbin", toolchain.cxx()),
            *(f"-Xcompiler={flag}" for flag in [*flags, "-pthread"]),
            *(f"-Xlinker={flag}" for flag in linker),
        ]
    return [toolchain.cxx(), "-shared", *flags, "-pthread", *(f"-Wl,{flag}" for flag in linker)]


STATIC = ("-static-libstdc++", "-static-libgcc")
"""Flags for a library that brings the C++ runtime along."""
