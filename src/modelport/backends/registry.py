"""The backends that there are: those that come along, and those that others install."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from modelport.backends.interface import Backend
from modelport.entry_points import installed, load_entry, package_of
from modelport.errors import UsageError
from modelport.target import Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BACKENDS = ("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx", "torch")
"""Those that come along."""

ENTRY_POINTS = "modelport.backends"
"""Group of the entry points by which a package brings a backend: its name, and its module."""


def backend_names() -> tuple[str, ...]:
    """Names of all backends, those of other packages included."""
    return (*BACKENDS, *(name for name in installed(ENTRY_POINTS) if name not in BACKENDS))


def get_backend(target: Target | str) -> Backend:
    """The backend of a target, imported on first use.

    Raises:
        UsageError: There is no backend of that name, or the package that brings it is broken.
    """
    name = Target.parse(target).backend
    if name in BACKENDS:
        module = f"modelport.backends.{name.replace('-', '_')}"
        return cast(Backend, importlib.import_module(module))
    if name not in installed(ENTRY_POINTS):
        raise UsageError(
            f"unknown backend {name!r}", fix=f"the backends are: {', '.join(backend_names())}"
        )
    return _load(installed(ENTRY_POINTS)[name])


def _load(entry: EntryPoint) -> Backend:
    backend = load_entry(entry, "backend")
    missing = [name for name in _OFFERED if not hasattr(backend, name)]
    if missing:
        raise UsageError(
            f"the backend {entry.name!r} of {package_of(entry)} lacks {', '.join(missing)}",
            where=entry.value,
            fix="it needs what modelport.backends.Backend describes",
        )
    return cast(Backend, backend)


_OFFERED = ("CAPABILITIES", "probe", "version", "why_not_run", "compile", "load")
