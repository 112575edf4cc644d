"""The operators that ship: one folder each, all in the domain ``modelport``."""

from __future__ import annotations

import importlib
import pkgutil

from modelport.ops.declaration import Operator

__all__ = ["DOMAIN", "load"]

DOMAIN = "modelport"


def load() -> dict[str, Operator]:
    """Declares all operators that ship.

    Returns:
        The operators by their names.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: getattr(importlib.import_module(f"{__name__}.{name}.op"), name) for name in names}
