"""The dtypes and shapes of a declared operator's outputs in a graph of the old exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelport.capture.torch_private import graphs
from modelport.errors import ModelportError
from modelport.ops.kernel_call import DTYPES
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

if TYPE_CHECKING:
    from modelport.ops.declaration import Operator

_STAND_IN = 4
_RULE_FAILS = (
    *(ArithmeticError, AssertionError, LookupError, ModelportError),
    *(RuntimeError, TypeError, ValueError),
)


class _UndecidedError(Exception):
    """A shape rule asked for the value of a dimension that is not known."""


def _undecided(*_: Any) -> Any:
    raise _UndecidedError


class _Unknown:
    """A dimension that only a run knows; what is computed from it is unknown, too."""

    def _same(self, *_: Any) -> _Unknown:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _same
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = _same
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _undecided
    __bool__ = __int__ = __index__ = __float__ = __hash__ = _undecided


def set_output_types(
    operator: Operator, given: Mapping[str, Any], attributes: Mapping[str, Any], outputs: Any
) -> None:
    """Gives the outputs of a node what the shape rule knows of them.

    Without it the exporter prints a warning for each node, and the shapes of all that follows
    are lost.

    Args:
        operator: The node's operator.
        given: Its inputs by name: values of the exporter's graph, None, or lists of values.
        attributes: The values of all its attributes.
        outputs: The value that the node gives, or a sequence of them.
    """
    if operator.shape_rule is None:
        return
    inputs = [given[item.name] for item in operator.schema.inputs]
    infos = _inferred(operator, inputs, attributes)
    values = outputs if isinstance(outputs, Sequence) else [outputs]
    for value, info in zip(values, infos, strict=False):
        sizes = [dim if isinstance(dim, int) else None for dim in info.shape]
        value.setType(graphs.tensor_type(DTYPES[info.dtype], sizes))


def _inferred(
    operator: Operator, inputs: Sequence[Any], attributes: Mapping[str, Any]
) -> list[TensorInfo]:
    for unknown in (_Unknown(), _STAND_IN):
        infos = [_info(item, unknown) for item in inputs]
        if any(item is False for item in infos):
            return []
        try:
            found = operator.infer(infos, attributes)
        except _UndecidedError:
            continue
        except _RULE_FAILS:
            return []  # a rule may refuse sizes that are made up
        if unknown is _STAND_IN:
            # The rank and the dtype do not depend on the sizes that were made up.
            return [info.like([DATA_DEPENDENT] * len(info.shape)) for info in found]
        return found
    return []


def _info(value: Any, unknown: Any) -> Any:
    """What a shape rule takes for an input; False where the graph does not know its rank."""
    if value is None or (graphs.is_value(value) and value.node().mustBeNone()):
        return None
    if isinstance(value, Sequence):
        items = [_info(item, unknown) for item in value]
        return False if any(item is False for item in items) else items
    kind = value.type()
    sizes = kind.varyingSizes() if hasattr(kind, "varyingSizes") else None
    if sizes is None or kind.dtype() is None:
        return False
    shape = [unknown if size is None else size for size in sizes]
    return TensorInfo(shape, str(kind.dtype()).removeprefix("torch."))
