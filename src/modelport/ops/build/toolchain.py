"""Compilers: where they are, and how they are called."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelport import child_process
from modelport.errors import OperatorError

NATIVE = Path(__file__).parents[2] / "native"
"""All C and C++ that ships with the package."""

HEADER_SUFFIXES = (".h", ".hpp", ".hh", ".inc", ".cuh")
"""Files beside a kernel that count as part of it."""

CUDA_CAPABILITIES = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities that CUDA kernels are built for, as far as the compiler knows them."""

_COMMON = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
# Kernels neither read errno nor trap; rounding and NaN stay as they are written.
_KERNEL = ("-fno-math-errno", "-fno-trapping-math", "-fno-gnu-unique")
# What compilers say is read here, and shown to who may search for it.
_ENGLISH = {**os.environ, "LC_ALL": "C"}
_LIMITS = child_process.Limits(3600.0)
_ERROR_LINE = re.compile(r"^(\S+?)[:(](\d+)\)?.*?\berror\b:?\s*(.*)$", re.MULTILINE)
# Where a compiler says that code was led to an error elsewhere, by a template or a macro.
_LED_TO = re.compile(
    r"^(/[^\s:(]+)[:(](\d+)\b.*(?:required from|in instantiation|in expansion)", re.MULTILINE
)


@dataclass(frozen=True)
class Level:
    """A set of processors that code is compiled for.

    Attributes:
        number: The level of x86-64; 0 for any processor of the platform.
        flags: What tells the compiler.
    """

    number: int
    flags: tuple[str, ...]


def levels(machine: str = platform.machine()) -> tuple[Level, ...]:
    """The levels that CPU kernels are compiled for; the first is the baseline.

    Args:
        machine: The kind of processor, as Python's `platform.machine` calls it; by default the
            one here.
    """
    if machine not in ("x86_64", "AMD64"):
        return (Level(0, ()),)
    wide = ("-march=x86-64-v4", "-mprefer-vector-width=512")
    return (Level(3, ("-march=x86-64-v3",)), Level(4, wide))


@functools.cache
def cxx() -> str:
    """The C++ compiler: ``$CXX``, else g++ or clang++.

    Raises:
        OperatorError: There is none.
    """
    chosen = os.environ.get("CXX")
    for name in [chosen] if chosen else ["g++", "clang++"]:
        found = shutil.which(name)
        if found:
            return found
    raise OperatorError(
        "operators cannot be built: there is no C++ compiler",
        why=f"$CXX is {chosen}, which was not found"
        if chosen
        else "neither $CXX, nor g++, nor clang++ was found",
        fix="install g++ (Debian and Ubuntu: apt install g++), or set CXX",
    )


@functools.cache
def nvcc() -> str | None:
    """The CUDA compiler, or None: ``$NVCC``, else nvcc on the path or under ``$CUDA_HOME``."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    for name in filter(None, (os.environ.get("NVCC"), "nvcc", f"{home}/bin/nvcc")):
        found = shutil.which(name)
        if found:
            return found
    return None


@functools.cache
def identity(compiler: str) -> str:
    """A compiler's own words about its version, for the key of what it makes."""
    return f"{compiler} {child_process.run([compiler, '--version'], _LIMITS).output}"


@functools.cache
def capabilities(compiler: str) -> tuple[int, ...]:
    """Those of `CUDA_CAPABILITIES` that a CUDA compiler knows."""
    done = child_process.run([compiler, "--list-gpu-code"], _LIMITS)
    known = {int(number) for number in re.findall(r"sm_(\d+)\b", done.output)}
    return tuple(number for number in CUDA_CAPABILITIES if number in known)


def cpu_command(source: Path, made: Path, flags: Sequence[str]) -> list[str]:
    """The command that compiles a C++ file."""
    include = f"-I{NATIVE / 'include'}"
    return [cxx(), *_COMMON, *_KERNEL, *flags, include, "-c", str(source), "-o", str(made)]


def require_nvcc(what: str) -> str:
    """The CUDA compiler.

    Raises:
        OperatorError: There is none, so that something cannot be built.
    """
    compiler = nvcc()
    if compiler is None:
        raise OperatorError(
            f"{what} cannot be built: there is no CUDA compiler",
            fix="install the CUDA toolkit, or set NVCC or CUDA_HOME",
        )
    return compiler


def cuda_command(
    source: Path, made: Path, chosen: Sequence[int] = (), flags: Sequence[str] = ()
) -> list[str]:
    """The command that compiles a CUDA file.

    Args:
        source: The file.
        made: The object file.
        chosen: The compute capabilities to compile for; all that are known by default.
        flags: Flags of the C++ compiler.

    Raises:
        OperatorError: There is no CUDA compiler, or it does not know a compute capability.
    """
    compiler = require_nvcc(source.name)
    known = capabilities(compiler)
    unknown = [str(number) for number in chosen if number not in known]
    if unknown:
        raise OperatorError(
            f"{compiler} does not compile for the compute capability {', '.join(unknown)}",
            fix=f"choose of {', '.join(map(str, known))}",
        )
    numbers = tuple(sorted(chosen)) or known
    code = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in numbers]
    # Later GPUs compile the newest intermediate form when the library is loaded.
    code.append(f"-gencode=arch=compute_{numbers[-1]},code=compute_{numbers[-1]}")
    host = ["-ccbin", cxx(), "-Xcompiler=-fPIC,-fvisibility=hidden", "--threads=0"]
    include = f"-I{NATIVE / 'include'}"
    return [
        *(compiler, "-std=c++17", "-O3", "--expt-relaxed-constexpr", "-x", "cu", *code, *host),
        *(f"-Xcompiler={flag}" for flag in flags),
        *(include, "-c", str(source), "-o", str(made)),
    ]


def ptx_command(source: Path, made: Path, capability: int) -> list[str]:
    """The command that compiles a CUDA file to the intermediate form of a compute capability.

    Raises:
        OperatorError: There is no CUDA compiler.
    """
    compiler = require_nvcc(source.name)
    flags = ["-std=c++17", "-O3", "--expt-relaxed-constexpr", f"-arch=compute_{capability}"]
    include = f"-I{NATIVE / 'include'}"
    return [compiler, *flags, "-ccbin", cxx(), "-ptx", include, str(source), "-o", str(made)]


def cuda_host_command(
    source: Path, made: Path, includes: Sequence[Path], flags: Sequence[str] = ()
) -> list[str]:
    """The command that compiles a C++ file which uses the CUDA runtime.

    Args:
        source: The file.
        made: The object file.
        includes: Folders of headers, of which warnings are not wanted.
        flags: Flags of the C++ compiler.

    Raises:
        OperatorError: There is no CUDA compiler, which knows where the runtime is.
    """
    compiler = require_nvcc(source.name)
    host = ["-ccbin", cxx(), "-Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra"]
    folders = [item for folder in includes for item in ("-isystem", str(folder))]
    return [
        *(compiler, "-std=c++17", "-O2", "-x", "c++", *host, f"-I{NATIVE / 'include'}", *folders),
        *(f"-Xcompiler={flag}" for flag in flags),
        *("-c", str(source), "-o", str(made)),
    ]


def run(command: Sequence[str], what: str, source: Path | None = None, function: str = "") -> None:
    """Runs a compiler.

    Args:
        command: The command.
        what: What is built, for the message.
        source: The author's file in it.
        function: The function that it must have.

    Raises:
        OperatorError: It failed; ``where`` is the first line of the author's that is at fault.
    """
    try:
        done = child_process.run(command, _LIMITS, _ENGLISH)
    except OSError as error:
        raise OperatorError(
            f"operators cannot be built: {command[0]} cannot be run",
            why=error.strerror,
            fix="install the compiler and its tools (Debian and Ubuntu: apt install g++)",
        ) from error
    if done.code == 0:
        return
    said = (done.errors + done.output + done.exceeded).strip()
    place, reason = _fault(said, source, function)
    raise OperatorError(
        f"{what} does not compile",
        where=place,
        why="\n\n".join(filter(None, (reason, said))),
        fix="mend the kernel; modelport/kernel.h says what it may use",
    )


def _fault(said: str, source: Path | None, function: str) -> tuple[str | None, str]:
    """The line at fault and what is wrong there, from what a compiler said.

    An error in a header is the author's where a line of theirs led to it, or else where their
    function begins: nothing else of it is theirs.
    """
    errors = list(_ERROR_LINE.finditer(said))
    if not errors:
        return None, ""
    if source is None:
        return f"{errors[0][1]}:{errors[0][2]}", errors[0][3]
    for error in errors:
        if Path(error[1]).is_relative_to(source.parent):
            return f"{error[1]}:{error[2]}", error[3]
    for led in _LED_TO.finditer(said):
        if Path(led[1]).is_relative_to(source.parent):
            return f"{led[1]}:{led[2]}", errors[0][3]
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
        if re.search(rf"\b{function}\s*\(", line):
            return f"{source}:{number}", errors[0][3]
    return str(source), errors[0][3]
