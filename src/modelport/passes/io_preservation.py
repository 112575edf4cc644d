"""What a simplified model keeps as it was: its inputs and outputs, and what callers override."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx_ir as ir
from onnx_ir.passes import common

from modelport.errors import PassError

_OVERRIDABLE_SINCE = 4
"""Version of the format from which on an input with an initializer is one with a default."""


@contextmanager
def interface_kept(model: ir.Model) -> Iterator[None]:
    """Keeps names, types, shapes and defaults of inputs and outputs while passes run.

    An initializer that is an input too is a default that a caller may override, so that passes
    must not take it for a constant. Before version 4 of the format all initializers had to be
    inputs: there they are taken off the inputs, as runtimes do.

    Args:
        model: The model, changed in place.

    Raises:
        PassError: The names are no longer the same.
    """
    graph = model.graph
    if model.ir_version < _OVERRIDABLE_SINCE:
        common.RemoveInitializersFromInputsPass()(model)
        model.ir_version = _OVERRIDABLE_SINCE
    names = _names(graph)
    declared = [(value.type, value.shape) for value in (*graph.inputs, *graph.outputs)]
    defaults = {value: value.const_value for value in graph.inputs if value.is_initializer()}
    for value in defaults:
        value.const_value = None
    try:
        yield
    finally:
        for value, tensor in defaults.items():
            value.const_value = tensor
            graph.register_initializer(value)
    if _names(graph) != names:
        raise PassError(
            "simplifying changed the names of inputs or outputs",
            why=f"they were {names}, they are {_names(graph)}",
        )
    for value, (kind, shape) in zip((*graph.inputs, *graph.outputs), declared, strict=True):
        if kind is not None:
            value.type = kind
        if shape is not None:
            value.shape = shape


def _names(graph: ir.Graph) -> list[list[str | None]]:
    return [[value.name for value in values] for values in (graph.inputs, graph.outputs)]
