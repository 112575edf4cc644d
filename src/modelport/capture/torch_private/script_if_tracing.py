"""Functions that are compiled where they are traced (``torch.jit.script_if_tracing``)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from modelport.capture.torch_private.access import PRIVATE, resolve


class Around(Protocol):
    """Opens what a function is compiled within."""

    def __call__(self) -> AbstractContextManager[None]:
        """A context for one function."""


@contextmanager
def compiling_within(around: Around) -> Iterator[None]:
    """Inside, the compiler of functions met while tracing runs within a context.

    Args:
        around: Gives the context.
    """
    resolve("script if tracing")
    name, attribute = PRIVATE["script if tracing"]
    module = importlib.import_module(name)
    compile_function = getattr(module, attribute)

    def compile_within(*args: Any, **kwargs: Any) -> Any:
        with around():
            return compile_function(*args, **kwargs)

    setattr(module, attribute, compile_within)
    try:
        yield
    finally:
        setattr(module, attribute, compile_function)
