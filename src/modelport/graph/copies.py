"""Working on a copy: what the functions of this package take and give."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from modelport.model import Model

if TYPE_CHECKING:
    import onnx_ir

AnyModel = TypeVar("AnyModel", "Model", "onnx_ir.Model")


def ir_of(model: Model | onnx_ir.Model) -> onnx_ir.Model:
    """The graph of a model, whichever way it was given."""
    return model.ir if isinstance(model, Model) else model


def changed(model: AnyModel, change: Callable[[onnx_ir.Model], None]) -> AnyModel:
    """A copy of a model with a change; weights are shared, not copied.

    Args:
        model: A model, which stays as it is.
        change: What to do to the graph of the copy.

    Returns:
        The copy. Declared ranges, findings and provenance of a `Model` go along; a range whose
        dimension is gone does not.
    """
    ir = ir_of(model).clone()
    change(ir)
    if not isinstance(model, Model):
        return ir
    copy: Model = dataclasses.replace(
        model, ir=ir, findings=list(model.findings), provenance=dict(model.provenance)
    )
    used = {
        str(dim)
        for spec in (*copy.signature.inputs, *copy.signature.outputs)
        for dim in spec.shape or ()
    }
    copy.dims = {name: dim for name, dim in model.dims.items() if name in used}
    return copy  # type: ignore[return-value]  # mypy checks it for both kinds
