"""`register_symbolic`: how an operator becomes ONNX, in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelport.capture.torch_private import symbolics
from modelport.errors import UsageError

_NEWEST_OPSET = 30


class SymbolicRegistration:
    """A registered symbolic function; a context manager that takes it back at the end.

    Attributes:
        name: The operator, such as ``aten::asinh``.
        opset: The opset from which on the function holds.
    """

    def __init__(self, name: str, function: Callable[..., Any], opset: int) -> None:
        self.name = name
        self.opset = opset
        # PyTorch has functions of its own for later opsets, which would win there.
        later = [v for v in symbolics.registered_opsets(name) if v > opset]
        self._before = {
            version: symbolics.overriding_symbolic_at(name, version) for version in [opset, *later]
        }
        self._open = True
        for version in self._before:
            symbolics.register(name, function, version)

    def remove(self) -> None:
        """Takes the function back: what held before holds again. A second call does nothing."""
        if not self._open:
            return
        self._open = False
        for version, before in self._before.items():
            symbolics.unregister(self.name, version)
            if before is not None:
                symbolics.register(self.name, before, version)

    def __enter__(self) -> SymbolicRegistration:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_symbolic(
    name: str, function: Callable[..., Any], *, opset: int = 9
) -> SymbolicRegistration:
    """Says how an operator becomes ONNX, for every way of capturing a model.

        register_symbolic("aten::asinh", lambda g, x: g.op("Asinh", x), opset=9)

    It takes ATen operators, those of other libraries (``torchvision::deform_conv2d``), and those
    declared with `torch.library`. The function is one that `torch.onnx` knows: it gets the graph
    ``g`` and every argument of the operator's schema, and may be decorated with
    `torch.onnx.symbolic_helper.parse_args`. It replaces
    ``torch.onnx.symbolic_registry.register_op(...)`` of older tutorials, which is gone.

    Args:
        name: ``namespace::operator``, without an overload: all overloads are meant.
        function: The symbolic function.
        opset: The opset from which on it holds; at later ones it also wins over PyTorch's own.

    Returns:
        The registration: `remove` takes it back, as does the end of its ``with`` block.

    Raises:
        UsageError: The name, the function or the opset is not one.
    """
    name = f"aten{name}" if name.startswith("::") else name
    namespace, _, operator = name.partition("::")
    if not namespace or not operator.isidentifier():
        raise UsageError(
            f"{name!r} is not the name of an operator",
            why="it must have the form namespace::operator, without an overload",
            fix=f'for an operator of PyTorch itself write "aten::{operator or namespace}"',
        )
    if namespace in ("onnx", "prim"):
        raise UsageError(
            f"{name!r} cannot have a symbolic function",
            why=f"operators of {namespace} are part of the exporter",
            fix="register the operator that the model calls, e.g. aten::...",
        )
    if not callable(function):
        raise UsageError(
            f"the symbolic function of {name} is a {type(function).__name__}",
            fix='pass a function, e.g. lambda g, x: g.op("Asinh", x)',
        )
    if isinstance(opset, bool) or not isinstance(opset, int) or not 7 <= opset <= _NEWEST_OPSET:
        raise UsageError(
            f"{opset!r} is not an opset that can be exported",
            fix=f"pass a number from 7 to {_NEWEST_OPSET}",
        )
    return SymbolicRegistration(name, function, opset)
