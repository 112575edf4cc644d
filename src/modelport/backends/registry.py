"""The registry of backends: those that modelport ships, and those of other packages."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from modelport.backends.base import Backend
from modelport.backends.recorded_options import OptionCheck
from modelport.entry_points import installed, load_entry, package_of
from modelport.errors import UsageError
from modelport.target import Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_SHIPPED = {
    "onnxruntime": "onnxruntime.backend:OnnxRuntimeBackend",
    "openvino": "openvino.backend:OpenVinoBackend",
    "tensorrt": "tensorrt.backend:TensorRtBackend",
    "tensorrt-rtx": "tensorrt_rtx.backend:TensorRtRtxBackend",
    "torch": "torch.backend:TorchBackend",
}
"""The module and the class of each backend that modelport ships, imported on first use."""

BACKENDS = tuple(_SHIPPED)
"""Names of the backends that modelport ships."""

ENTRY_POINTS = "modelport.backends"
"""Group of the entry points by which a package adds a backend: its name, and its class."""


def backend_names() -> tuple[str, ...]:
    """Names of all backends, those of other packages included."""
    return (*BACKENDS, *(name for name in installed(ENTRY_POINTS) if name not in BACKENDS))


def get_backend(target: Target | str) -> Backend:
    """The backend of a target, imported on first use.

    Raises:
        UsageError: There is no backend of that name, or the package that brings it is broken.
    """
    return _backend(Target.parse(target).backend)


def backend_of_file(path: Path) -> Backend:
    """The first backend whose engines have the suffix of a file.

    Raises:
        UsageError: There is none.
    """
    for name in backend_names():
        backend = get_backend(name)
        if backend.engine_suffix and backend.engine_suffix == path.suffix:
            return backend
    raise UsageError(f"{path} is neither a bundle nor an ONNX file")


def recorded_options(name: str) -> Mapping[str, OptionCheck] | None:
    """Checks of the options that manifests record for a backend.

    Args:
        name: The backend.

    Returns:
        The checks, by option. None for a backend of another package: its options are numbers,
        words and names of the engine's files, also where the package is not installed.
    """
    if name not in _SHIPPED:
        return None
    package = _SHIPPED[name].partition(".")[0]
    module = importlib.import_module(f"modelport.backends.{package}.recorded_options")
    return cast(Mapping[str, OptionCheck], module.RECORDED)


@functools.cache
def _shipped(name: str) -> Backend:
    module, _, kind = _SHIPPED[name].partition(":")
    return cast(Backend, getattr(importlib.import_module(f"modelport.backends.{module}"), kind)())


def _backend(name: str) -> Backend:
    if name in _SHIPPED:
        return _shipped(name)
    if name not in installed(ENTRY_POINTS):
        raise UsageError(
            f"unknown backend {name!r}", fix=f"the backends are: {', '.join(backend_names())}"
        )
    return _load(installed(ENTRY_POINTS)[name])


def _load(entry: EntryPoint) -> Backend:
    found = load_entry(entry, "backend")
    if isinstance(found, type) and issubclass(found, Backend):
        missing: Sequence[str] = sorted(found.__abstractmethods__)
        missing = [*missing, *([] if hasattr(found, "CAPABILITIES") else ["CAPABILITIES"])]
    else:
        missing = [name for name in _OFFERED if not hasattr(found, name)]
    if missing:
        raise UsageError(
            f"the backend {entry.name!r} of {package_of(entry)} lacks {', '.join(missing)}",
            where=entry.value,
            fix="it needs what modelport.backends.Backend describes",
        )
    if isinstance(found, Backend):
        return found
    return found() if isinstance(found, type) else _of_module(found)


_OFFERED = ("CAPABILITIES", "probe", "version", "why_not_run", "compile", "load")


def _of_module(module: ModuleType) -> Backend:
    """A module of functions as a backend; what it lacks has `Backend`'s defaults."""
    members = {
        name: staticmethod(member) if callable(member) else member
        for name, member in vars(module).items()
        if (not name.startswith("_") and hasattr(Backend, name)) or name == "CAPABILITIES"
    }
    return cast(Backend, type(module.__name__, (Backend,), members)())
