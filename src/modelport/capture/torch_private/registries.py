"""torch's tables of translations and operators: made once, and asked which opset has one."""

from __future__ import annotations

import functools
import importlib
import logging
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from modelport.capture.torch_private.access import resolve
from modelport.capture.torch_private.lookups import TranslationLookup
from modelport.capture.torch_private.operators import (
    sources_unparsed,
    target_name,
    torchlib_entries,
    torchlib_opset,
)
from modelport.garbage_collection import collection_paused


@functools.cache
def load_exporter() -> None:
    """Imports what an export imports, and reads its tables."""
    with collection_paused():
        for name in ("torch.onnx._internal.exporter._core", "torch.export._trace"):
            importlib.import_module(name)
        resolve("symbolic files")()
        registry_for(torchlib_opset(), {})


@contextmanager
def reused(opset: int) -> Iterator[TranslationLookup]:
    """Within, exports at an opset share the tables that torch makes for each of them.

    They are more than half of a small model's export. Each export gets a copy of the table of
    translations, so that a translation of one's own stays with the export that it was meant for.
    """
    registry, lookup = resolve("translations"), TranslationLookup(opset)
    made = registry_for(opset, {})

    def copied(cls: Any, opset_version: int = made.opset_version) -> Any:
        if opset_version == made.opset_version:
            return _noting(copy_registry(made), lookup)
        return _reading()(cls, opset_version)

    with ExitStack() as undo:
        _replace(registry, "from_torchlib", lambda _: classmethod(copied), undo)
        # torch creates the objects of all composite operators for each of thirty namespaces, twice
        # an export. Those that a model declares meanwhile have theirs: who calls one looks it up.
        composites = importlib.import_module("torch._export.utils")
        _replace(composites, "_materialize_cpp_cia_ops", functools.cache, undo)
        # It writes this name into annotations of a function that it makes 10,000 times an export;
        # typing's remembers its subscripts.
        _replace(torch._ops, "Callable", lambda _: typing.Callable, undo)
        yield lookup


def _noting(registry: Any, lookup: TranslationLookup) -> Any:
    """The same table, which notes what it is asked for."""
    find = registry.get_decomps

    def noted(target: Any) -> Any:
        lookup.operator = target_name(target)
        return find(target)

    registry.get_decomps = noted
    return registry


def _replace(owner: Any, name: str, replacement: Callable[[Any], Any], undo: ExitStack) -> None:
    """Puts something in the place of an attribute; where this torch has none, nothing is done."""
    before = vars(owner).get(name)
    if before is not None:
        undo.callback(setattr, owner, name, before)
        setattr(owner, name, replacement(before))


def registry_for(opset: int, extra: Mapping[Any, Any]) -> Any:
    """The new exporter's registry for an opset, with further functions registered.

    Args:
        opset: The opset; below the lowest that torch implements, the lowest is taken.
        extra: A function or several by overload, as in ``custom_translation_table``.
    """
    registry = copy_registry(_shared_registry(max(opset, torchlib_opset()), _present_operators()))
    for target, functions in extra.items():
        for function in functions if isinstance(functions, list | tuple) else (functions,):
            registry.register_op(target, function)
    return registry


def copy_registry(registry: Any) -> Any:
    """A registry with the same functions, to which others can be added."""
    made = resolve("translations")()
    made._opset_version = registry.opset_version
    made.functions = {target: list(metas) for target, metas in registry.functions.items()}
    return made


@functools.cache
def _shared_registry(opset: int, operators: frozenset[str]) -> Any:
    registry = copy_registry(_whole_registry(operators))
    registry._opset_version = opset
    registry._cleanup_registry_based_on_opset_version()
    return registry


@functools.cache
def _whole_registry(operators: frozenset[str]) -> Any:
    """The registry with the functions of all opsets.

    Reading it takes a good part of a second. It is read again where an operator that torch has
    functions for has been declared since.
    """

    class Whole(resolve("translations")):  # type: ignore[misc]
        def _cleanup_registry_based_on_opset_version(self) -> None:
            """Keeps the functions of other opsets."""

    with _quiet(), sources_unparsed(), collection_paused():
        return _reading()(Whole)


@functools.cache
def _reading() -> Callable[..., Any]:
    """torch's own function that reads a registry, whatever replaces it later."""
    build: Callable[..., Any] = vars(resolve("translations"))["from_torchlib"].__func__
    return build


def _present_operators() -> frozenset[str]:
    """The names of the declared operators that torch has functions for.

    A library may declare some operators of a namespace and later others.
    """
    return _translated_names().intersection(resolve("operator names")())


@functools.cache
def _translated_names() -> frozenset[str]:
    return frozenset(entry.name.removesuffix(".default") for entry in torchlib_entries())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines on torchvision's operators where torchvision is not installed."""
    logger: logging.Logger = importlib.import_module(resolve("translations").__module__).logger
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
