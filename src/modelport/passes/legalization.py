"""Preparation: what a backend does not take, and standard ONNX can say otherwise, is rewritten."""

from __future__ import annotations

from collections.abc import Collection

from modelport.backends import get_backend
from modelport.model import Model
from modelport.passes.registry import EVERY_BACKEND, passes_of, prepared_by_others
from modelport.target import Target


def prepare(model: Model, target: Target, plugins: Collection[str] = ()) -> Model:
    """The graph as a target's backend takes it.

    Args:
        model: The model; it stays as it is.
        target: What is to run it.
        plugins: Operators, ``domain::name``, that are plugins of the backend though they have
            bodies of standard operators.

    Returns:
        The model itself where nothing is to be changed, else a copy with a note for each change
        among its findings.

    Raises:
        PassError: The backend cannot take the graph, and no rewrite is known.
    """
    backend = get_backend(target)
    if not backend.legalizes and not passes_of(target.backend, EVERY_BACKEND):
        return model
    copy = model.copy()
    changes = prepared_by_others(copy, target.backend)
    changes += backend.legalize(copy, target, plugins)
    if not changes:
        return model
    copy.findings += changes
    return copy
