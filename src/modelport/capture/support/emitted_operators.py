"""Which ONNX operators an exporter's function may write: read from its source, not run."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

_PACKAGES = ("torch.onnx", "onnxscript.function_libs")
"""Whose helper functions are followed."""

_DEPTH = 4


def emitted(function: Any) -> tuple[str, ...]:
    """ONNX operators that a function of one of torch's exporters may write.

    The source of the function and of the helpers it calls is read, so that what comes back is
    what *could* be written, over all inputs; which of it is written for one model says
    `modelport.capture.support`.

    Args:
        function: An onnxscript function of the new exporter, or a symbolic function of the old.

    Returns:
        Their names, sorted; empty where the source is not at hand.
    """
    return tuple(sorted(_collect(plain(function), _DEPTH, set())))


def plain(function: Any) -> Any:
    """The Python function inside onnxscript's and functools' wrappers."""
    inner = function
    for attribute in ("function", "func", "__wrapped__"):
        while isinstance(getattr(inner, attribute, None), Callable):  # type: ignore[arg-type]
            inner = getattr(inner, attribute)
    return inner


def where(function: Any) -> tuple[str, int] | None:
    """File and line of a function, or None where it has no Python source."""
    code = getattr(plain(function), "__code__", None)
    return (code.co_filename, _definition_line(plain(function), code)) if code else None


def _definition_line(function: Any, code: types.CodeType) -> int:
    """The line of ``def``: a code object begins at its first decorator."""
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return code.co_firstlineno
    for offset, line in enumerate(lines):
        if line.lstrip().startswith(("def ", "async def ")):
            return start + offset
    return start


def _collect(function: Any, depth: int, seen: set[Any]) -> set[str]:
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return set()
    seen.add(code)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):
        return set()
    names = _names(function)
    chosen = _chosen_names(tree)
    found: set[str] = set()
    for call in _calls(tree):
        operators = _written(call, names, chosen)
        if operators:
            found.update(name for name in operators if not name.startswith("prim::"))
        elif depth > 0:
            helper = plain(_resolve(call.func, names))
            if getattr(helper, "__module__", None) and helper.__module__.startswith(_PACKAGES):
                found |= _collect(helper, depth - 1, seen)
    return found


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _names(function: Any) -> dict[str, Any]:
    """What the names in a function's source stand for: globals, and what a closure holds."""
    names = dict(getattr(function, "__globals__", {}))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # A cell that is not filled yet.
            continue
    return names


def _chosen_names(tree: ast.AST) -> dict[str, set[str]]:
    """Strings that local variables may hold: ``name = "Conv" if ... else "ConvTranspose"``."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, set()).update(_texts(node.value))
    return {name: texts for name, texts in found.items() if texts}


def _texts(node: ast.expr) -> set[str]:
    """The names that a constant, or a choice between two, stands for."""
    parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    values = [part.value for part in parts if isinstance(part, ast.Constant)]
    return {value for value in values if _is_name(value)}


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.replace("::", "").replace("_", "").isalnum()


def _written(call: ast.Call, names: dict[str, Any], chosen: dict[str, set[str]]) -> set[str]:
    """The operators that ``op.Resize(...)`` or ``g.op("Resize", ...)`` may write."""
    if not isinstance(call.func, ast.Attribute):
        return set()
    if call.func.attr == "op" and call.args:
        name = call.args[0]
        if isinstance(name, ast.Name) and name.id in chosen:
            return chosen[name.id]
        resolved = _resolve(name, names)
        values = {resolved} if isinstance(resolved, str) else _texts(name)
        return {value.removeprefix("onnx::") for value in values}
    owner = _resolve(call.func.value, names)
    if type(owner).__module__.startswith("onnxscript") and hasattr(owner, "version"):
        domain = getattr(owner, "domain", "")
        return {f"{domain}::{call.func.attr}" if domain else call.func.attr}
    return set()


def _resolve(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolve(node.value, names), node.attr, None)
    return None
