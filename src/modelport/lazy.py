"""Packages whose public names are imported on first use.

Importing a package costs nothing then but what is used of it: a bundle is run without the code
that captures, draws or builds.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelport.garbage_collection import collection_paused


def public_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package that imports its modules on first use.

    Args:
        package: The package's name.
        homes: The public names of each of its modules.

    Returns:
        Both functions, to be assigned in the package's ``__init__``.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in homes:
            return importlib.import_module(f"{package}.{name}")
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with collection_paused():
            value = getattr(importlib.import_module(f"{package}.{home_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted(vars(sys.modules[package])["__all__"])

    return get, names
