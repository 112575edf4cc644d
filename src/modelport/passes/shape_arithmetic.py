"""Shape arithmetic: what the declared ranges decide becomes a constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import add_constant, constant
from modelport.ir.domains import is_onnx
from modelport.ir.values import replace_value
from modelport.model import Model
from modelport.passes.base import Rewrite
from modelport.passes.shape_values import Contents, Elements
from modelport.passes.symbolic_size import Size
from modelport.signature import Dim


class FoldShapes(Rewrite):
    """Computes on the sizes of tensors as far as names and declared ranges go.

    An integer that can be but one becomes a constant. The target of a `Reshape` that is known up
    to the sizes that it copies from its input and one more becomes a constant with 0 and -1 for
    them, so that the arithmetic that computed it is dead. An `Expand` need not name the sizes that
    its input has already. Values must have shapes; run `onnx_ir`'s shape inference first.

    Args:
        dims: Declared ranges of dimensions, by name.
    """

    def __init__(self, dims: Mapping[str, Dim]) -> None:
        super().__init__()
        self._dims = dims

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds shapes in the main graph."""
        contents = Contents(model.graph, self._dims)
        modified = False
        for node in list(model.graph):
            if is_onnx(node, "Reshape") and len(node.inputs) > 1:
                settled = _settle_reshape(model.graph, node, contents)
                modified |= self._noted(node, "a constant target", settled)
            elif is_onnx(node, "Expand"):
                settled = _settle_expand(model.graph, node, contents)
                modified |= self._noted(node, "a constant target", settled)
            elements = contents.follow(node)
            if elements is not None:
                settled = _settle(model.graph, node, elements)
                modified |= self._noted(node, "a constant in its place", settled)
        return ir.passes.PassResult(model, modified)

    def _noted(self, node: ir.Node, rule: str, settled: bool) -> bool:
        why = "" if settled else "it is constant already, or the declared ranges do not decide it"
        self.decided(node, rule, refused=why)
        return settled

    @classmethod
    def of(cls, model: Model) -> Self:
        """The pass with a model's declared ranges."""
        return cls(model.dims)


def _settle(graph: ir.Graph, node: ir.Node, elements: Elements) -> bool:
    """Puts a constant in place of what can be but one."""
    output = node.outputs[0]
    numbers = [None if size is None else size.number for size in elements]
    if None in numbers or output.shape is None or output.dtype is None or not output.uses():
        return False
    if output.is_graph_output() or is_onnx(node, "Constant"):
        return False
    array = np.array(numbers, output.dtype.numpy())
    shape = () if len(output.shape) == 0 else (len(numbers),)
    return replace_value(output, add_constant(graph, f"{output.name}_static", array.reshape(shape)))


def _settle_reshape(graph: ir.Graph, node: ir.Node, contents: Contents) -> bool:
    elements = contents.of(node.inputs[1])
    if elements is None:
        return False
    source = contents.shape(node.inputs[0]) or []
    keeps_zero = node.attributes.get_int("allowzero", 0) == 1
    _tell_shape(node, elements, source, keeps_zero)
    if constant(node.inputs[1]) is not None:
        return False
    target = _target(elements, source, keeps_zero)
    if target is None:
        return False
    name = f"{node.outputs[0].name}_shape"
    node.replace_input_with(1, add_constant(graph, name, np.array(target, np.int64)))
    return True


def _target(elements: Elements, source: Elements, keeps_zero: bool) -> list[int] | None:
    """A constant that means what the elements mean; None where there is none."""
    numbers = [None if size is None else size.number for size in elements]
    unknown = [place for place, number in enumerate(numbers) if number is None]
    if 0 in numbers and unknown:
        return None
    free = numbers.count(-1)
    if len(unknown) + free > 1 and not keeps_zero:
        for place in unknown[:]:
            size = elements[place]
            same = source[place] if place < len(source) else None
            # Where a copied size may be 0, nothing could be told from -1.
            if size is not None and same is not None and size.key == same.key and size.low > 0:
                numbers[place] = 0
                unknown.remove(place)
    if unknown and (len(unknown) + free > 1 or not _positive(elements[unknown[0]])):
        return None
    for place in unknown:
        numbers[place] = -1
    return [number for number in numbers if number is not None]


def _positive(size: Size | None) -> bool:
    return size is not None and size.low >= 0


def _tell_shape(node: ir.Node, elements: Elements, source: Elements, keeps_zero: bool) -> None:
    """Notes the names of a Reshape's sizes, which shape inference does not follow everywhere."""
    output = node.outputs[0]
    if output.shape is not None and len(output.shape) != len(elements):
        return
    known = output.shape.dims if output.shape is not None else (None,) * len(elements)
    dims: list[int | str | None] = []
    for place, (size, old) in enumerate(zip(elements, known, strict=True)):
        if isinstance(old, int):
            dims.append(old)
            continue
        if size is not None and size.number == 0 and not keeps_zero:
            size = source[place] if place < len(source) else None
        if size is not None and size.low >= 0:
            name = size.key if size.key.isidentifier() else None
            dims.append(name if size.number is None else size.number)
        else:
            dims.append(old.value if isinstance(old, ir.SymbolicDim) else None)
    output.shape = ir.Shape(dims)


def _settle_expand(graph: ir.Graph, node: ir.Node, contents: Contents) -> bool:
    elements, source = contents.of(node.inputs[1]), contents.shape(node.inputs[0])
    if elements is None or source is None or constant(node.inputs[1]) is not None:
        return False
    offset = len(elements) - len(source)
    target = []
    for place, size in enumerate(elements):
        own = source[place - offset] if place >= offset and place - offset >= 0 else None
        if size is not None and own is not None and size.key == own.key:
            target.append(1)
        elif size is not None and size.number is not None:
            target.append(size.number)
        else:
            return False
    name = f"{node.outputs[0].name}_shape"
    node.replace_input_with(1, add_constant(graph, name, np.array(target, np.int64)))
    return True
