"""Other values for weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelport.arrays import Array
from modelport.errors import UsageError
from modelport.graph.copies import AnyModel, changed
from modelport.graph.lookup import did_you_mean
from modelport.graph.tensors import initializers
from modelport.ir.shape_inference import infer_shapes_anew

if TYPE_CHECKING:
    import onnx_ir


def replace_initializer(model: AnyModel, name: str, array: Array) -> AnyModel:
    """Gives a weight other values, of any shape.

    Args:
        model: The model; it stays as it is.
        name: The initializer's name.
        array: The new values; they must have the dtype of the old ones.

    Raises:
        UsageError: There is no such initializer, or the dtype differs.
    """

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        found = [value for value in initializers(ir) if value.name == name]
        if not found:
            there = [value.name or "" for value in initializers(ir)]
            raise UsageError(
                f"the model has no initializer {name!r}", fix=did_you_mean(name, there)
            )
        for value in found:
            tensor = onnx_ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
            old = value.dtype if value.const_value is None else value.const_value.dtype
            if tensor.dtype is not old:
                raise UsageError(
                    f"the initializer {name!r} is {old}, the new values are {tensor.dtype}",
                    fix="convert them with array.astype",
                )
            value.const_value = tensor
            value.shape = onnx_ir.Shape(list(array.shape))
            value.type = onnx_ir.TensorType(tensor.dtype)
        infer_shapes_anew(ir)

    return changed(model, apply)
