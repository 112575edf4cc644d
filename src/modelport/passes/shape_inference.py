"""Types and shapes of every value, by ONNX's inference."""

from __future__ import annotations

import onnx_ir as ir

from modelport.ir.shape_inference import infer_shapes
from modelport.passes.base import Rewrite

_PREFIX = "inferred_"


class InferShapes(Rewrite):
    """Notes types and shapes of values, subgraphs included, with names carried along."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infers; a model on which ONNX's inference fails stays as it is."""
        self._calls += 1
        prefix = f"{_PREFIX}{self._calls}_"
        return ir.passes.PassResult(model, infer_shapes(model, overwrite=True, prefix=prefix))


def forget_inferred_names(model: ir.Model) -> None:
    """Takes the names off the sizes that inference named: they mean nothing to anyone else."""
    for graph in model.graphs():
        for node in graph:
            for value in node.outputs:
                if value.shape is not None and any(_is_inferred(dim) for dim in value.shape):
                    kept = [None if _is_inferred(dim) else dim for dim in value.shape]
                    value.shape = ir.Shape(kept)


def _is_inferred(dim: int | ir.SymbolicDim) -> bool:
    return isinstance(dim, ir.SymbolicDim) and (dim.value or "").startswith(_PREFIX)
