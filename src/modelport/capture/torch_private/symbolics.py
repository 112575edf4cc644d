"""Registered symbolic functions, and the new exporter that is to honour them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelport.capture.torch_private.access import resolve
from modelport.errors import ExportError


def _groups() -> Mapping[str, Any]:
    groups: Mapping[str, Any] = resolve("registry")
    return groups


def overriding_symbolics(opset: int) -> dict[str, Callable[..., Any]]:
    """The symbolic functions that users registered and that hold at an opset, by operator name."""
    found = {}
    for name, group in _groups().items():
        custom = group._functions._overrides
        function = group.get(opset) if custom else None
        if function is not None and any(function is other for other in custom.values()):
            found[name] = function
    return found


def registered_opsets(name: str) -> list[int]:
    """The opsets at which an operator has a symbolic function, PyTorch's own included."""
    group = _groups().get(name)
    return [] if group is None else sorted(group._functions)


def overriding_symbolic_at(name: str, opset: int) -> Callable[..., Any] | None:
    """The function that a user registered for an operator at exactly this opset."""
    group = _groups().get(name)
    function: Callable[..., Any] | None = (
        None if group is None else group._functions._overrides.get(opset)
    )
    return function


def register(name: str, function: Callable[..., Any], opset: int) -> None:
    """Registers a symbolic function with PyTorch."""
    resolve("register")(name, function, opset)


def unregister(name: str, opset: int) -> None:
    """Takes back what `register` did."""
    resolve("unregister")(name, opset)
    groups = resolve("registry")
    # PyTorch keeps the empty group, and fails on it where the operator is met again.
    if name in groups and not groups[name]._functions:
        del groups[name]


def recorder() -> Any:
    """What the new exporter collects nodes in, while it translates one operator."""
    import onnxscript.evaluator

    found = onnxscript.evaluator.default()
    if not isinstance(found, resolve("recorder")):
        raise ExportError(
            "a symbolic function was translated outside of torch.onnx.export",
            where=type(found).__name__,
            fix="pass the bridge's translation_table to torch.onnx.export(dynamo=True)",
        )
    return found


def capture_strategy(program: Any) -> str:
    """How torch.onnx.export captured a program, such as ``TorchExportNonStrictStrategy``."""
    return str(getattr(program, "_capture_strategy", None) or "")
