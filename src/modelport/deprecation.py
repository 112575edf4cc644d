"""Old names of public modules: they work for one release and warn."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any


def renamed_module(old: str, new: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that was renamed.

    Args:
        old: The module's old dotted name.
        new: The dotted name of the module that holds the names now.

    Returns:
        A function that looks a name up in the new module, with a DeprecationWarning.
    """

    def get(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(new), name)
        warnings.warn(
            f"{old} was renamed: import {name} from {new}",
            DeprecationWarning,
            stacklevel=2,
        )
        return value

    return get
