"""The libraries of declared operators: which a graph needs, and where they are."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from modelport.files.replacement import replacing
from modelport.files.trusted_code import TrustedCode
from modelport.ops import registry
from modelport.ops.build import BuildOptions, build_library, write_sources
from modelport.ops.ctypes_library import NativeLibrary
from modelport.ops.elf_check import FOLDER, SOURCES, platform_name
from modelport.ops.onnxruntime_extensions import DOMAIN, extensions_library, keep_loaded

SANITIZE = "MODELPORT_SANITIZE"
"""Environment variable: libraries are built to check their own use of memory, for tests."""

_opened: dict[Path, NativeLibrary] = {}
_lock = threading.Lock()


def library_path(domain: str, *, cuda: bool = False) -> Path:
    """The library of a domain's operators as declared so far, built where it is not yet.

    Args:
        domain: The domain.
        cuda: Whether the CUDA kernels must be in it.

    Returns:
        A file that ONNX Runtime takes as a library of custom operators, in the cache.

    Raises:
        OperatorError: It cannot be built.
    """
    operators = [item for item in registry.declared(domain) if item.kernels]
    sanitize = os.environ.get(SANITIZE) == "1"
    return build_library(operators, BuildOptions(cuda=cuda, sanitize=sanitize))


def open_library(domain: str, *, cuda: bool = False) -> NativeLibrary:
    """The same, opened in this process."""
    path = library_path(domain, cuda=cuda)
    with _lock:
        if path not in _opened:
            _opened[path] = NativeLibrary(path)
        return _opened[path]


def collect_libraries(
    nodes: Iterable[tuple[str, str]], folder: Path, *, cuda: bool = False
) -> list[str]:
    """Puts the libraries that a graph needs beside it.

    Args:
        nodes: The domain and the operator of the graph's nodes.
        folder: Where the graph lies.
        cuda: Whether the CUDA kernels must be in them.

    Returns:
        The libraries, relative to the folder, one for each domain.

    Raises:
        OperatorError: One cannot be built.
    """
    nodes = list(nodes)
    libraries = [library_path(domain, cuda=cuda) for domain in _domains(nodes)]
    if any(domain == DOMAIN for domain, _ in nodes):
        libraries.append(extensions_library())
    collected = []
    for path in libraries:
        own = f"{FOLDER}/{platform_name()}"
        (folder / own).mkdir(parents=True, exist_ok=True)
        keep_loaded(TrustedCode.of_user(place_library(path, folder / own)))
        collected.append(f"{own}/{path.name}")
    return collected


def collect_sources(nodes: Iterable[tuple[str, str]], folder: Path) -> None:
    """Puts what the libraries that a graph needs are built from beside it.

    Args:
        nodes: The domain and the operator of the graph's nodes.
        folder: Where the graph lies.
    """
    for domain in _domains(nodes):
        operators = [item for item in registry.declared(domain) if item.kernels]
        own = folder / SOURCES / domain
        shutil.rmtree(own, ignore_errors=True)
        write_sources(operators, own)


def _domains(nodes: Iterable[tuple[str, str]]) -> list[str]:
    """The domains of the operators with kernels among nodes."""
    found = {(domain, registry.find(f"{domain}::{name}")) for domain, name in nodes}
    return sorted({domain for domain, operator in found if operator and operator.kernels})


def place_library(library: Path, folder: Path) -> Path:
    """Copies a library into a folder.

    An older one there is replaced, never written over: it may be in use, and a process that runs
    it would crash.

    Args:
        library: The library.
        folder: Where to put it.

    Returns:
        The copy.
    """
    with replacing(folder / library.name) as made:
        shutil.copyfile(library, made)
    return folder / library.name
