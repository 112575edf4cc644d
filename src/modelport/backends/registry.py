"""The backends that there are."""

from __future__ import annotations

import importlib
from typing import cast

from modelport.backends.interface import Backend
from modelport.errors import UsageError
from modelport.target import Target

BACKENDS = ("onnxruntime", "tensorrt", "tensorrt-rtx")


def get_backend(target: Target | str) -> Backend:
    """The backend of a target, imported on first use.

    Raises:
        UsageError: There is no backend of that name.
    """
    name = Target.parse(target).backend
    if name not in BACKENDS:
        raise UsageError(
            f"unknown backend {name!r}", fix=f"the backends are: {', '.join(BACKENDS)}"
        )
    return cast(Backend, importlib.import_module(f"modelport.backends.{name.replace('-', '_')}"))
