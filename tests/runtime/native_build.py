"""Builds the C++ side as its users do: CMake, an installed package, a program that finds it."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "modelport" / "native"
HEADERS = {
    "nlohmann/json.hpp": "nlohmann-json3-dev",
    "zip.h": "libzip-dev",
    "openssl/evp.h": "libssl-dev",
    "png.h": "libpng-dev",
}
QUICK = "-O1 -g1"


@dataclass(frozen=True)
class Variant:
    """One way to build it.

    Attributes:
        compiler: The C++ compiler.
        flags: What it is told.
        environment: What its programs are run with.
    """

    compiler: str
    flags: str
    environment: dict[str, str]


VARIANTS = {
    "release": Variant("g++", "-O2", {}),
    # Memory that ONNX Runtime keeps for the life of the process is no leak of ours.
    "address": Variant(
        "g++",
        f"-fsanitize=address,undefined -fno-sanitize-recover=undefined {QUICK}",
        {
            "ASAN_OPTIONS": "detect_leaks=1",
            "LSAN_OPTIONS": f"suppressions={Path(__file__).parent / 'leaks.supp'}",
        },
    ),
    # What ONNX Runtime does between its threads, and how it locks, is only half seen: it is not
    # instrumented.
    "thread": Variant(
        "g++",
        f"-fsanitize=thread {QUICK}",
        {
            "TSAN_OPTIONS": f"suppressions={Path(__file__).parent / 'races.supp'} "
            "report_mutex_bugs=0 exitcode=66"
        },
    ),
    "clang": Variant("clang++", "-O1", {}),
}


@functools.cache
def why_not_built() -> str:
    """Why the C++ side cannot be built on this machine; empty where it can."""
    lacking = [tool for tool in ("cmake", "g++") if shutil.which(tool) is None]
    if not lacking:
        lacking = [package for header, package in HEADERS.items() if not _has(header)]
    if not lacking:
        return ""
    return f"the C++ runtime cannot be built here: apt install {' '.join(lacking)}"


def require_buildable(compiler: str = "g++") -> None:
    """Skips the test where the C++ side cannot be built on this machine, and says why."""
    why = why_not_built()
    if not why and shutil.which(compiler) is None:
        why = f"there is no {compiler}"
    if why:
        pytest.skip(why)


def onnxruntime_library() -> Path:
    """The shared library inside the Python package: the same engine on both sides."""
    (path,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    return path


def environment(variant: str = "release") -> dict[str, str]:
    """What the programs of a variant are run with."""
    library = {"MODELPORT_ONNXRUNTIME": str(onnxruntime_library())}
    return {**os.environ, **library, **VARIANTS[variant].environment}


def sdk(variant: str) -> Path:
    """The folder of an installed C++ side, built where it is out of date."""
    require_buildable(VARIANTS[variant].compiler)
    folder = ROOT / "build" / "native" / variant
    with _locked(folder):
        _cmake(
            SOURCE,
            folder / "library",
            variant,
            f"-DCMAKE_INSTALL_PREFIX={folder / 'sdk'}",
            "-DCMAKE_INSTALL_LIBDIR=lib",
            f"-DMODELPORT_EXAMPLES={'ON' if variant == 'release' else 'OFF'}",
        )
        _run("cmake", "--install", folder / "library")
    return folder / "sdk"


def build_library(folder: Path, variant: str, *options: str) -> Path:
    """The folder of a library that is built with other options."""
    require_buildable(VARIANTS[variant].compiler)
    with _locked(folder):
        _cmake(SOURCE, folder / "library", variant, *options)
    return folder / "library"


def program(variant: str) -> Path:
    """The tests' program."""
    installed = sdk(variant)
    folder = ROOT / "build" / "native" / variant
    with _locked(folder):
        source = Path(__file__).parent
        _cmake(source, folder / "program", variant, f"-DCMAKE_PREFIX_PATH={installed}")
    return folder / "program" / "program"


def _cmake(source: Path, build: Path, variant: str, *options: str) -> None:
    chosen = VARIANTS[variant]
    if not (build / "CMakeCache.txt").is_file():
        # Makefiles of older CMakes build one file at a time.
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        compiler = f"-DCMAKE_CXX_COMPILER={chosen.compiler}"
        flags = [compiler, "-DCMAKE_BUILD_TYPE=Tests", f"-DCMAKE_CXX_FLAGS={chosen.flags} -Werror"]
        _run("cmake", "-S", source, "-B", build, *generator, *flags, *options)
    _run("cmake", "--build", build)


def _run(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"


def _has(header: str) -> bool:
    command = ["g++", "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
    text = f'#if !__has_include("{header}")\n#error missing\n#endif\n'
    return subprocess.run(command, input=text, capture_output=True, text=True).returncode == 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other processes that run tests from building the same."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
