"""``int()`` of a size stays a size while ``torch.export`` runs a model's code.

Python's own ``int`` must give a number, so torch bakes in the example's, without a word: the batch
of ``int(windows.shape[0] / (height * width / 64))``, say, as window attention is often written.
"""

from __future__ import annotations

import builtins
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_ELSEWHERE = ("torch", "builtins", "modelport")
"""Packages whose code is left alone."""


@contextmanager
def sizes_stay_whole(model: Any) -> Iterator[bool]:
    """Within, ``int`` in the modules that define a model's classes keeps sizes symbolic.

    Anything but a symbolic size gets Python's ``int``. A module that has an ``int`` of its own is
    left alone, and so is what is no ``torch.nn.Module``.

    Args:
        model: What is exported.

    Yields:
        Whether any of its code calls ``int``.
    """
    namespaces = [vars(module) for module in _modules(model) if _calls_int(module)]
    whole = _whole()
    for names in namespaces:
        names["int"] = whole
    try:
        yield bool(namespaces)
    finally:
        for names in namespaces:
            del names["int"]


def _modules(model: Any) -> list[ModuleType]:
    """The Python modules that define the model's classes, and those beside them."""
    import torch

    if not isinstance(model, torch.nn.Module):
        return []
    classes = {base for part in model.modules() for base in type(part).__mro__}
    homes = {cls.__module__ for cls in classes}
    homes = {name for name in homes if name.partition(".")[0] not in _ELSEWHERE}
    packages = {name.rpartition(".")[0] for name in homes} - {""}
    return [
        module
        for name, module in list(sys.modules.items())
        if module is not None and (name in homes or name.rpartition(".")[0] in packages)
    ]


def _calls_int(module: ModuleType) -> bool:
    if "int" in vars(module):
        return False
    try:
        return "int(" in inspect.getsource(module)
    except (OSError, TypeError):
        return False


def _whole() -> type:
    import torch

    class Meta(type):
        """To code that asks, what it makes is ``int``."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, builtins.int)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, builtins.int)

        def __eq__(cls, other: object) -> bool:
            return other is builtins.int or other is cls

        def __hash__(cls) -> builtins.int:
            return hash(builtins.int)

    class Whole(builtins.int, metaclass=Meta):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            if len(args) == 1 and isinstance(args[0], torch.SymInt | torch.SymFloat):
                return torch.sym_int(args[0])  # type: ignore[no-untyped-call]
            return builtins.int(*args, **kwargs)

    Whole.__name__ = Whole.__qualname__ = "int"
    return Whole
