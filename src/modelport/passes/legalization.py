"""Preparation: what a backend does not take, and standard ONNX can say otherwise, is rewritten."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from modelport.findings import Finding
from modelport.model import Model
from modelport.passes.registry import EVERY_BACKEND, passes_of, prepared_by_others
from modelport.target import Target


def _for_openvino(model: Model, target: Target, plugins: Collection[str]) -> list[Finding]:
    from modelport.passes.openvino import prepare_for_openvino

    return prepare_for_openvino(model, target)


def _for_tensorrt(model: Model, target: Target, plugins: Collection[str]) -> list[Finding]:
    from modelport.passes.tensorrt import prepare_for_tensorrt

    return prepare_for_tensorrt(model, target, plugins)


PREPARATIONS: Mapping[str, Callable[[Model, Target, Collection[str]], list[Finding]]] = {
    "openvino": _for_openvino,
    "tensorrt": _for_tensorrt,
    "tensorrt-rtx": _for_tensorrt,
}
"""What is done for a backend: changes the model in place and says what it changed."""


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
    rewrite = PREPARATIONS.get(target.backend)
    if rewrite is None and not passes_of(target.backend, EVERY_BACKEND):
        return model
    copy = model.copy()
    changes = prepared_by_others(copy, target.backend)
    if rewrite is not None:
        changes += rewrite(copy, target, plugins)
    if not changes:
        return model
    copy.findings += changes
    return copy
