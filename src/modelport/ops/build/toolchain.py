"""Compilers: where they are, and how they are called."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import OperatorError

NATIVE = Path(__file__).parents[1] / "native"
"""The C++ side that ships with the package."""

HEADER_SUFFIXES = (".h", ".hpp", ".hh", ".inc", ".cuh")
"""Files beside a kernel that count as part of it."""

CUDA_CAPABILITIES = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities that CUDA kernels are built for, as far as the compiler knows them."""

_COMMON = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
# Kernels neither read errno nor trap; rounding and NaN stay as they are written.
_KERNEL = ("-fno-math-errno", "-fno-trapping-math", "-fno-gnu-unique")
_ERROR_LINE = re.compile(r"^(\S+?)[:(](\d+)\)?.*?\berror\b:?\s*(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Level:
    """A set of processors that code is compiled for.

    Attributes:
        number: The level of x86-64; 0 for any processor of the platform.
        flags: What tells the compiler.
    """

    number: int
    flags: tuple[str, ...]


def levels() -> tuple[Level, ...]:
    """The levels that CPU kernels are compiled for here; the first is the baseline."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return (Level(0, ()),)
    wide = ("-march=x86-64-v4", "-mprefer-vector-width=512")
    return (Level(3, ("-march=x86-64-v3",)), Level(4, wide))


@functools.cache
def cxx() -> str:
    """The C++ compiler: ``$CXX``, else g++ or clang++.

    Raises:
        OperatorError: There is none.
    """
    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++")):
        found = shutil.which(name)
        if found:
            return found
    raise OperatorError(
        "operators cannot be built: there is no C++ compiler",
        why="neither $CXX, nor g++, nor clang++ was found",
        fix="install g++ (Debian and Ubuntu: apt install g++)",
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
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return f"{compiler} {done.stdout}"


@functools.cache
def capabilities(compiler: str) -> tuple[int, ...]:
    """Those of `CUDA_CAPABILITIES` that a CUDA compiler knows."""
    done = subprocess.run(
        [compiler, "--list-gpu-code"], capture_output=True, text=True, check=False
    )
    known = {int(number) for number in re.findall(r"sm_(\d+)\b", done.stdout)}
    return tuple(number for number in CUDA_CAPABILITIES if number in known)


def cpu_command(source: Path, made: Path, flags: Sequence[str]) -> list[str]:
    """The command that compiles a C++ file."""
    include = f"-I{NATIVE / 'include'}"
    return [cxx(), *_COMMON, *_KERNEL, *flags, include, "-c", str(source), "-o", str(made)]


def cuda_command(source: Path, made: Path) -> list[str]:
    """The command that compiles a CUDA file.

    Raises:
        OperatorError: There is no CUDA compiler.
    """
    compiler = nvcc()
    if compiler is None:
        raise OperatorError(
            f"{source.name} cannot be built: there is no CUDA compiler",
            fix="install the CUDA toolkit, or set NVCC or CUDA_HOME",
        )
    numbers = capabilities(compiler)
    code = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in numbers]
    # Later GPUs compile the newest intermediate form when the library is loaded.
    code.append(f"-gencode=arch=compute_{numbers[-1]},code=compute_{numbers[-1]}")
    host = ["-ccbin", cxx(), "-Xcompiler=-fPIC,-fvisibility=hidden", "--threads=0"]
    include = f"-I{NATIVE / 'include'}"
    return [
        *(compiler, "-std=c++17", "-O3", "--expt-relaxed-constexpr", "-x", "cu", *code, *host),
        *(include, "-c", str(source), "-o", str(made)),
    ]


def run(command: Sequence[str], what: str) -> None:
    """Runs a compiler.

    Args:
        command: The command.
        what: What is built, for the message.

    Raises:
        OperatorError: It failed; ``where`` is the first line at fault.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = (done.stderr + done.stdout).strip()
    first = _ERROR_LINE.search(said)
    raise OperatorError(
        f"{what} does not compile",
        where=f"{first[1]}:{first[2]}" if first else None,
        why=(first[3] + "\n\n" if first else "") + said,
        fix="mend the kernel; modelport/kernel.h says what it may use",
    )
