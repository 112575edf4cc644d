"""The rewrites that come with modelport: what torch's exporters refuse or get wrong.

One operator a file; docs/rewrites.md has the measurements behind each of them.
"""

from __future__ import annotations

import importlib
import pkgutil

__all__ = ["load"]

_loaded = False


def load() -> None:
    """Registers the rewrites, once."""
    global _loaded
    if _loaded:
        return
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}")
    _loaded = True
