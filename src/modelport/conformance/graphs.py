"""A case as ONNX: a graph of one node, a model to export, and an engine for either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx_ir
import torch
from onnx_ir import tensor_adapters

from modelport.backends import REFERENCE_RUNTIME
from modelport.backends import open_engine as open_artifact
from modelport.backends.base import Artifact, Engine
from modelport.capture.custom_operators import attribute_values
from modelport.conformance.tensors import Item, map_item
from modelport.errors import ModelportError
from modelport.model import Model
from modelport.ops.declaration import Operator
from modelport.ops.library_store import collect_libraries

OPSET = 20
"""The opset of the graphs made here: old enough for the old exporter."""


class NotPossibleError(Exception):
    """Unsupported execution path, which is skipped: the operator is not at fault."""


class OperatorModule(torch.nn.Module):
    """The operator as a model whose inputs are its tensors."""

    def __init__(
        self, operator: Operator, inputs: Sequence[Item], attributes: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self._operator = operator
        self._pattern = [map_item(item, lambda _: True) for item in inputs]
        self._attributes = attributes

    def forward(self, *tensors: torch.Tensor) -> Any:
        """Calls the operator."""
        remaining = iter(tensors)
        inputs = [map_item(item, lambda _: next(remaining)) for item in self._pattern]
        return self._operator(*inputs, **self._attributes)


def open_engine(model: Model, folder: Path, *, with_kernels: bool) -> Engine:
    """Opens a graph in ONNX Runtime.

    Args:
        model: The graph.
        folder: A folder for its files.
        with_kernels: Whether the libraries of its operators are loaded; else their bodies run.

    Raises:
        NotPossibleError: ONNX Runtime itself lacks what the graph needs.
        BuildError: It refuses the graph.
    """
    libraries = collect_libraries(model.operators(), folder) if with_kernels else []
    path = model.save(folder / "model.onnx")
    artifact = Artifact(path.name, options={"libraries": libraries})
    try:
        return open_artifact(folder, artifact, REFERENCE_RUNTIME, model.signature)
    except ModelportError as error:
        if not with_kernels and "NOT_IMPLEMENTED" in str(error):
            raise NotPossibleError(
                f"ONNX Runtime lacks a kernel of the body: {error.why}"
            ) from error
        raise


def _value(name: str, tensor: torch.Tensor) -> Any:
    dtype = tensor_adapters.from_torch_dtype(tensor.dtype)
    return onnx_ir.Value(
        name=name,
        type=onnx_ir.TensorType(dtype),
        shape=onnx_ir.Shape([f"{name}_{axis}" for axis in range(tensor.ndim)]),
    )


def node_inputs(
    operator: Operator, inputs: Sequence[Item], attributes: Mapping[str, Any]
) -> list[Item]:
    """The inputs of an operator's node: its tensors, and attributes that are passed as tensors."""
    names = [item.name for item in operator.schema.inputs]
    tensors = dict(zip(names, inputs, strict=True))
    values = {**operator.schema.defaults, **attributes}
    return [
        tensors[name] if name in tensors else torch.tensor(values[name])
        for name in operator.node_inputs
    ]


def node_model(
    operator: Operator,
    inputs: Sequence[Item],
    attributes: Mapping[str, Any],
    outputs: Sequence[torch.Tensor],
) -> Model:
    """A graph of one node.

    Args:
        operator: The node's operator.
        inputs: Result of `node_inputs`.
        attributes: Values of the operator's attributes.
        outputs: Tensors of the outputs' dtypes and ranks.
    """
    values = []
    for name, item in zip(operator.node_inputs, inputs, strict=True):
        for index, tensor in enumerate(item if isinstance(item, list | tuple) else [item]):
            values.append(None if tensor is None else _value(f"{name}_{index}", tensor))
    while values and values[-1] is None:
        values.pop()
    node = onnx_ir.node(
        operator.schema.name,
        values,
        {
            name: value
            for name, value in attribute_values(operator, attributes).items()
            if name not in operator.node_inputs
        },
        domain=operator.schema.domain,
        num_outputs=len(outputs),
    )
    for index, (output, tensor) in enumerate(zip(node.outputs, outputs, strict=True)):
        made = _value(f"output_{index}", tensor)
        output.name, output.type, output.shape = made.name, made.type, made.shape
    graph = onnx_ir.Graph(
        [value for value in values if value is not None],
        node.outputs,
        nodes=[node],
        name=operator.schema.name,
        opset_imports={"": OPSET, operator.schema.domain: 1},
    )
    return Model(onnx_ir.Model(graph, ir_version=9))
