"""Forms of older ONNX files, brought into today's form when a file is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx
    import onnx_ir

_LARGEST = 1 << 31
"""Bytes up to which a sparse initializer becomes a dense one."""

_DEFAULTS = 4
"""Version of the format from which an initializer need not be an input."""


def expand_sparse_initializers(proto: onnx.ModelProto) -> None:
    """Makes sparse initializers dense: no runtime but ONNX Runtime reads them.

    Args:
        proto: The model; changed in place.

    Raises:
        ValueError: One of them is not what ONNX allows, or too large when it is dense.
    """
    for graph in _graphs(proto.graph):
        for sparse in graph.sparse_initializer:
            graph.initializer.append(_dense(sparse))
        del graph.sparse_initializer[:]


def use_current_forms(model: onnx_ir.Model) -> None:
    """Makes initializers no inputs, and negative sizes unknown.

    Before version 4 of the format all initializers are inputs as well, and compilers take those
    for inputs that a caller feeds; later it means a default that a caller may override. Some
    converters write -1 for a size that is not known. ONNX Runtime takes 0 for a size, so that it
    stays one.

    Args:
        model: The model; changed in place.
    """
    import onnx_ir

    graph = model.graph
    if model.ir_version < _DEFAULTS:
        graph.inputs[:] = [v for v in graph.inputs if v.name not in graph.initializers]
        model.ir_version = _DEFAULTS
    for part in model.graphs():
        for value in (*part.inputs, *(value for node in part for value in node.outputs)):
            if value.shape is not None and any(_is_negative(dim) for dim in value.shape):
                value.shape = onnx_ir.Shape(
                    [None if _is_negative(dim) else dim for dim in value.shape]
                )


def _is_negative(dim: int | onnx_ir.SymbolicDim) -> bool:
    return isinstance(dim, int) and dim < 0


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.sparse_initializer:
                    yield from _graphs(inner)


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    import numpy as np
    import onnx

    name, dims = sparse.values.name, list(sparse.dims)
    if onnx.external_data_helper.uses_external_data(sparse.values):
        raise ValueError(f"the sparse initializer {name!r} has its values in another file")
    values = onnx.numpy_helper.to_array(sparse.values)
    indices = onnx.numpy_helper.to_array(sparse.indices)
    count = math.prod(dims)
    if min(dims, default=0) < 1 or count * values.itemsize > _LARGEST:
        raise ValueError(f"the sparse initializer {name!r} has the shape {dims}")
    if indices.ndim == 2:
        if indices.shape[1] != len(dims):
            raise ValueError(f"the indices of {name!r} do not fit its shape {dims}")
        indices = np.ravel_multi_index(tuple(indices.T), dims)
    if indices.shape != values.shape or (
        indices.size and not 0 <= indices.min() <= indices.max() < count
    ):
        raise ValueError(f"the indices of {name!r} do not fit its shape {dims}")
    dense = np.zeros(count, values.dtype)
    dense[indices] = values
    made = onnx.numpy_helper.from_array(dense.reshape(dims), name)
    made.data_type = sparse.values.data_type
    return made
