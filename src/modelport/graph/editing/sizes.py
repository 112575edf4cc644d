"""Other sizes: dimensions of inputs, and targets of Reshape nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelport.errors import UsageError
from modelport.graph.copies import AnyModel, changed
from modelport.graph.lookup import Tensors, did_you_mean, free_name
from modelport.graph.tensors import read_array
from modelport.ir.constants import tensor_of
from modelport.ir.shape_inference import infer_shapes_anew
from modelport.ir.values import input_of

if TYPE_CHECKING:
    import onnx_ir

ReshapeRule = Callable[[str, tuple[int, ...] | None], Sequence[int] | None]
"""Takes a Reshape's name and its target (None where it is computed); returns a new target."""


def set_dims(model: AnyModel, dims: Mapping[str, Mapping[int, int | str]]) -> AnyModel:
    """Makes dimensions of inputs fixed or dynamic.

    What is between is inferred anew. A dimension that a constant inside of the graph relies on
    (the target of a Reshape) does not become dynamic by this alone; `reshape_targets` helps.

    Args:
        model: The model; it stays as it is.
        dims: For each input and axis, a size or the name of a dynamic dimension. If the dimension
            had a name before, the dimensions of that name change in all inputs.

    Raises:
        UsageError: There is no such input or axis, or a size is negative.
    """

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        inputs = {value.name or "": value for value in ir.graph.inputs}
        for name, axes in dims.items():
            if name not in inputs:
                raise UsageError(f"the model has no input {name!r}", fix=did_you_mean(name, inputs))
            for axis, size in axes.items():
                shape = inputs[name].shape
                if shape is None or not -len(shape) <= axis < len(shape):
                    raise UsageError(f"the input {name!r} has no axis {axis}: its shape is {shape}")
                if size == "" or (isinstance(size, int) and size < 0):
                    raise UsageError(f"{size!r} is neither a size nor the name of a dimension")
                old = shape[axis]
                for value in ir.graph.inputs:
                    if value is inputs[name] or (
                        value.shape is not None and not isinstance(old, int) and old.value
                    ):
                        value.shape = onnx_ir.Shape(
                            [
                                size
                                if (value is inputs[name] and index == axis % len(shape))
                                or (not isinstance(old, int) and old.value and dim == old)
                                else dim
                                for index, dim in enumerate(value.shape or ())
                            ]
                        )
        infer_shapes_anew(ir)

    return changed(model, apply)


def reshape_targets(model: AnyModel, rule: ReshapeRule) -> AnyModel:
    """Changes the targets of Reshape nodes by a rule on their names.

        reshape_targets(model, lambda name, shape: [-1, 25] if name == "view" else None)

    Args:
        model: The model; it stays as it is.
        rule: Called for every Reshape with its name and its target, None where that is computed;
            what it returns becomes the target, None leaves it.

    Raises:
        UsageError: The rule returns something else than integers from -1 up, at most one -1.
    """

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        known = Tensors(ir.graph)
        for node in list(ir.graph.all_nodes()):
            if node.op_type != "Reshape" or node.domain:
                continue
            old = tensor_of(input_of(node, 1), default=True)
            name = node.name or node.outputs[0].name or ""
            was = None if old is None else tuple(map(int, read_array(name, old)))
            new = rule(name, was)
            if new is None or tuple(new) == was:
                continue
            target = list(new)
            if any(type(size) is not int or size < -1 for size in target) or target.count(-1) > 1:
                raise UsageError(
                    f"the rule returns the target {target} for the Reshape {name!r}",
                    fix="a target is a list of sizes, of which one may be -1",
                )
            assert node.graph is not None
            tensor = onnx_ir.tensor(
                np.array(target, np.int64), name=free_name(known, f"{name}_target")
            )
            value = onnx_ir.Value(
                name=tensor.name, const_value=tensor, type=onnx_ir.TensorType(tensor.dtype)
            )
            value.shape = onnx_ir.Shape([len(target)])
            ir.graph.register_initializer(value)
            node.replace_input_with(1, value)
        infer_shapes_anew(ir)

    return changed(model, apply)
