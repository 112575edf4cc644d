"""What small integer tensors of a graph hold, as sizes: shape arithmetic, done on names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from modelport.ir.constants import constant
from modelport.ir.domains import is_onnx
from modelport.passes import symbolic_size
from modelport.passes.symbolic_size import Size, exactly
from modelport.signature import Dim

_MOST = 64
Elements = list[Size | None]
"""Elements of a scalar or of a vector; None is one that nothing is known of."""


class Contents:
    """Follows shape arithmetic through the main graph.

    Args:
        graph: The main graph.
        dims: Declared ranges of dimensions, by name. A name on an input without a declaration
            starts at 1; any other name starts at 0.
    """

    def __init__(self, graph: ir.Graph, dims: Mapping[str, Dim]) -> None:
        self._known: dict[ir.Value, Elements] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        for value in graph.inputs:
            for dim in value.shape or ():
                if not isinstance(dim, int) and dim.value:
                    self._ranges[dim.value] = (1, float("inf"))
        for name, declared in dims.items():
            high = float("inf") if declared.max is None else declared.max
            self._ranges[name] = (declared.min, high)

    def shape(self, value: ir.Value | None) -> Elements | None:
        """A value's shape; None where its rank is not known."""
        if value is None or value.shape is None:
            return None
        return [self._dim(dim) for dim in value.shape]

    def _dim(self, dim: int | ir.SymbolicDim) -> Size | None:
        if isinstance(dim, int):
            return exactly(dim)
        if not dim.value:
            return None
        low, high = self._ranges.get(dim.value, (0, float("inf")))
        return exactly(int(low)) if low == high else Size(str(dim.value), low, high)

    def of(self, value: ir.Value | None) -> Elements | None:
        """The elements of an integer or boolean scalar or vector; None where it is none."""
        if value is None:
            return None
        known = self._known.get(value)
        if known is None:
            array = constant(value, _MOST)
            if array is not None and array.ndim <= 1 and array.dtype.kind in "iub":
                known = self._known[value] = [exactly(int(item)) for item in array.reshape(-1)]
        return known

    def follow(self, node: ir.Node) -> Elements | None:
        """Finds out what a node makes, after all that it reads was followed.

        Returns:
            The elements of its first output; None where they are no shape arithmetic.
        """
        rule = _RULES.get(node.op_type)
        if rule is None or not is_onnx(node, node.op_type):
            return None
        output = node.outputs[0]
        rank = None if output.shape is None else len(output.shape)
        if rank is not None and rank > 1:
            return None
        elements = rule(self, node)
        if elements is None or len(elements) > _MOST or (rank == 0 and len(elements) != 1):
            return None
        self._known[output] = elements
        return elements

    def inputs(self, node: ir.Node) -> list[Elements] | None:
        """The elements of every input of a node; None where one is not known."""
        found = [self.of(value) for value in node.inputs]
        return None if any(item is None for item in found) else [item for item in found if item]


def _lifted(function: Callable[[Size, Size], Size | None]) -> Callable[..., Size | None]:
    def apply(first: Size | None, second: Size | None) -> Size | None:
        return None if first is None or second is None else function(first, second)

    return apply


def _broadcast(first: Elements, second: Elements) -> list[tuple[Size | None, Size | None]] | None:
    length = max(len(first), len(second))
    if {len(first), len(second)} - {1, length}:
        return None
    one = first * length if len(first) == 1 else first
    other = second * length if len(second) == 1 else second
    return list(zip(one, other, strict=True))


def _elementwise(
    function: Callable[[Size, Size], Size | None],
) -> Callable[[Contents, ir.Node], Elements | None]:
    def rule(contents: Contents, node: ir.Node) -> Elements | None:
        values = contents.inputs(node)
        if not values or len(values) != len(node.inputs):
            return None
        result = values[0]
        for value in values[1:]:
            pairs = _broadcast(result, value)
            if pairs is None:
                return None
            result = [_lifted(function)(first, second) for first, second in pairs]
        return result

    return rule


def _shape(contents: Contents, node: ir.Node) -> Elements | None:
    shape = contents.shape(node.inputs[0])
    if shape is None:
        return None
    return shape[node.attributes.get_int("start", 0) : node.attributes.get_int("end", len(shape))]


def _size(contents: Contents, node: ir.Node) -> Elements | None:
    shape = contents.shape(node.inputs[0])
    known = [size for size in shape or () if size is not None]
    return (
        [symbolic_size.product(known)] if shape is not None and len(known) == len(shape) else None
    )


def _same(contents: Contents, node: ir.Node) -> Elements | None:
    return contents.of(node.inputs[0])


def _cast(contents: Contents, node: ir.Node) -> Elements | None:
    to = ir.DataType(node.attributes.get_int("to", 0))
    elements = contents.of(node.inputs[0])
    if elements is None:
        return None
    if to == ir.DataType.INT64:
        return elements
    if to == ir.DataType.INT32:
        fits = [size is None or (size.low >= -(2**31) and size.low < 2**31) for size in elements]
        return elements if all(fits) else None
    return None


def _numbers(elements: Elements | None) -> list[int] | None:
    numbers = [None if size is None else size.number for size in elements or ()]
    if elements is None or None in numbers:
        return None
    return [number for number in numbers if number is not None]


def _gather(contents: Contents, node: ir.Node) -> Elements | None:
    data = contents.of(node.inputs[0])
    indices = _numbers(contents.of(node.inputs[1]))
    if data is None or indices is None or node.attributes.get_int("axis", 0) not in (0, -1):
        return None
    if any(not -len(data) <= index < len(data) for index in indices):
        return None
    return [data[index] for index in indices]


def _slice(contents: Contents, node: ir.Node) -> Elements | None:
    if len(node.inputs) < 3:
        return None
    data = contents.of(node.inputs[0])
    bounds = [_numbers(contents.of(value)) for value in node.inputs[1:] if value is not None]
    if data is None or any(bound is None or len(bound) != 1 for bound in bounds):
        return None
    if len(bounds) != len(node.inputs) - 1:
        return None
    start, end, _axis, step = ([bound[0] for bound in bounds if bound] + [0, 1][len(bounds) - 2 :])[
        :4
    ]
    return data[start:end:step] if step > 0 else None


def _concat(contents: Contents, node: ir.Node) -> Elements | None:
    # A vector that nothing is known of leaves the number of elements open.
    parts = [contents.of(value) or _unknown(value) for value in node.inputs]
    if any(part is None for part in parts):
        return None
    return [size for part in parts if part is not None for size in part]


def _unknown(value: ir.Value | None) -> Elements | None:
    if value is None or value.shape is None or len(value.shape) != 1:
        return None
    length = value.shape[0]
    return [None] * length if isinstance(length, int) and length <= _MOST else None


def _where(contents: Contents, node: ir.Node) -> Elements | None:
    values = contents.inputs(node)
    if values is None or len(values) != 3:
        return None
    length = max(map(len, values))
    if any(len(value) not in (1, length) for value in values):
        return None
    condition, chosen, other = (value * length if len(value) == 1 else value for value in values)
    result: Elements = []
    for truth, first, second in zip(condition, chosen, other, strict=True):
        if first is not None and second is not None and first.key == second.key:
            result.append(first)
        elif truth is None or truth.number is None:
            result.append(None)
        else:
            result.append(first if truth.number else second)
    return result


def _not(contents: Contents, node: ir.Node) -> Elements | None:
    elements = contents.of(node.inputs[0])
    return None if elements is None else [symbolic_size.negated(size) for size in elements]


def _constant_of_shape(contents: Contents, node: ir.Node) -> Elements | None:
    shape = _numbers(contents.of(node.inputs[0]))
    value = node.attributes.get("value")
    if shape is None or len(shape) > 1 or value is None:
        return None
    array = value.as_tensor().numpy()
    length = shape[0] if shape else 1
    if array.dtype.kind not in "iub" or length > _MOST:
        return None
    return [exactly(int(array.reshape(-1)[0]))] * length


def _reduce(
    function: Callable[[Sequence[Size]], Size],
) -> Callable[[Contents, ir.Node], Elements | None]:
    def rule(contents: Contents, node: ir.Node) -> Elements | None:
        elements = contents.of(node.inputs[0])
        shape = None if node.inputs[0] is None else node.inputs[0].shape
        known = [size for size in elements or () if size is not None]
        if elements is None or shape is None or len(shape) != 1 or len(known) != len(elements):
            return None
        if len(node.inputs) > 1 and node.inputs[1] is not None:
            if _numbers(contents.of(node.inputs[1])) not in ([0], [-1]):
                return None
        elif node.attributes.get_int("noop_with_empty_axes", 0):
            return None
        return [function(known)]

    return rule


def _contrary(function: Callable[[Size, Size], Size | None]) -> Callable[[Size, Size], Size | None]:
    return lambda first, second: symbolic_size.negated(function(second, first))


_RULES: Mapping[str, Callable[[Contents, ir.Node], Elements | None]] = {
    "Add": _elementwise(symbolic_size.add),
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _elementwise(symbolic_size.divide),
    "Equal": _elementwise(symbolic_size.equal),
    "Gather": _gather,
    "Greater": _elementwise(lambda first, second: symbolic_size.less(second, first)),
    "GreaterOrEqual": _elementwise(
        lambda first, second: symbolic_size.negated(symbolic_size.less(first, second))
    ),
    "Identity": _same,
    "Less": _elementwise(symbolic_size.less),
    "LessOrEqual": _elementwise(_contrary(symbolic_size.less)),
    "Max": _elementwise(symbolic_size.larger),
    "Min": _elementwise(symbolic_size.smaller),
    "Mod": _elementwise(symbolic_size.remainder),
    "Mul": _elementwise(symbolic_size.multiply),
    "Not": _not,
    "ReduceProd": _reduce(symbolic_size.product),
    "ReduceSum": _reduce(symbolic_size.total),
    "ReduceMax": _reduce(lambda items: functools.reduce(symbolic_size.larger, items)),
    "ReduceMin": _reduce(lambda items: functools.reduce(symbolic_size.smaller, items)),
    "Reshape": _same,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Squeeze": _same,
    "Sub": _elementwise(symbolic_size.subtract),
    "Unsqueeze": _same,
    "Where": _where,
}
