"""State of the whole process that a test changes and that must not reach the next one.

Tests run in random order on several workers, so that each begins with what was there when its
module was imported and its shared fixtures were made.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch.onnx._internal.torchscript_exporter import registration

from modelport.capture.rewriters import registry as rewriters
from modelport.ops import registry as operators
from modelport.ops.torch_op import EagerOperator

SHIPPED = ("modelport", "modelport_symbolic")
"""Namespaces that the product itself declares, once in a process and always the same way."""


@contextmanager
def restored() -> Iterator[None]:
    """Runs a block and restores registries, the environment and the settings of libraries."""
    with ExitStack() as stack:
        for restore in (
            _registries(),
            _symbolic_functions(),
            _torch_settings(),
            _random_numbers(),
            _process(),
        ):
            stack.callback(restore)
        with _torch_libraries():
            yield


def _registries() -> Callable[[], None]:
    """Operators and rewriters of modelport."""
    declared, known = dict(operators._declared), dict(EagerOperator._known)
    entries, classes = list(rewriters._entries), dict(rewriters._classes)

    def restore() -> None:
        _set(operators._declared, declared | _shipped(operators._declared))
        _set(EagerOperator._known, known | _shipped(EagerOperator._known))
        for operator in operators._declared.values():
            # PyTorch's operator runs what was declared last; a test may have read a folder again.
            if operator.eager is not None and operator.eager._operator is not operator:
                EagerOperator.of(operator)
        # Those that ship are registered at the first export.
        own = [entry for entry in rewriters._entries if entry.shipped and entry not in entries]
        rewriters._entries[:] = entries + own
        kept = {entry.serial for entry in rewriters._entries}
        later = {key: item for key, item in rewriters._classes.items() if key in kept}
        _set(rewriters._classes, classes | later)

    return restore


def _shipped(registry: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in registry.items() if name.split("::")[0] in SHIPPED}


def _symbolic_functions() -> Callable[[], None]:
    """Symbolic functions that users registered with PyTorch."""
    groups = registration.registry._registry
    before = {name: dict(group._functions._overrides) for name, group in groups.items()}

    def restore() -> None:
        for name in [key for key in groups if key.split("::")[0] not in SHIPPED]:
            functions, kept = groups[name]._functions, before.get(name, {})
            for opset in functions._overrides.keys() - kept.keys():
                functions.remove_override(opset)
            for opset, function in kept.items():
                functions.override(opset, function)
            if not functions:
                del groups[name]

    return restore


def _torch_settings() -> Callable[[], None]:
    dtype, enabled, threads = (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
    )

    def restore() -> None:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(enabled)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

    return restore


def _random_numbers() -> Callable[[], None]:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()

    def restore() -> None:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])

    return restore


def _process() -> Callable[[], None]:
    environment, folder, path = dict(os.environ), os.getcwd(), list(sys.path)
    disabled, level = logging.root.manager.disable, logging.root.level

    def restore() -> None:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        # pytest itself keeps the name of the running phase there.
        current = os.environ.get("PYTEST_CURRENT_TEST")
        os.environ.update(environment)
        if current is not None:
            os.environ["PYTEST_CURRENT_TEST"] = current
        os.chdir(folder)
        sys.path[:] = path
        logging.disable(disabled)
        logging.root.setLevel(level)

    return restore


@contextmanager
def _torch_libraries() -> Iterator[None]:
    """Removes what was declared to PyTorch within the block."""
    made: list[Any] = []
    begin = torch.library.Library.__init__

    def noted(self: Any, ns: str, *args: Any, **kwargs: Any) -> None:
        begin(self, ns, *args, **kwargs)
        if ns not in SHIPPED and not _is_import_of_torch():
            made.append(self)

    torch.library.Library.__init__ = noted  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.library.Library.__init__ = begin  # type: ignore[method-assign]
        for library in reversed(made):
            library._destroy()


def _is_import_of_torch() -> bool:
    """Whether a module of torch is being imported, which declares what torch itself needs."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"].startswith("torch."):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _set(registry: dict[Any, Any], content: dict[Any, Any]) -> None:
    registry.clear()
    registry.update(content)
