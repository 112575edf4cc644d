"""Recipes for modules that need no more than the shapes of their inputs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

from modelport.errors import UsageError
from modelport.recipe import Recipe
from modelport.recipe_draft.module_class import made_module

_SIZE = 2
"""The example's size of a dimension that has a name."""
_FORM = re.compile(r"(?P<name>[^=]+)=(?P<sizes>[^:=]+)(:(?P<dtype>\w+))?")
_FIX = (
    "write NAME=SIZES[:DTYPE], such as image=1,3,224,224, image=batch,3,224,224 or ids=1,16:int64"
)


def recipe_for_shapes(source: str, shapes: Sequence[str]) -> Recipe:
    """Makes a recipe for a class or function that makes a module without arguments.

    Args:
        source: ``package.module:Class`` or ``file.py:function``.
        shapes: For each input ``NAME=SIZES[:DTYPE]``; sizes are numbers, or names of dynamic
            dimensions; the dtype is float32 by default.

    Returns:
        The recipe, with random examples: standard normal floats, integers of 0 and 1.

    Raises:
        UsageError: A shape cannot be read, the source makes no module, or the module has no such
            input.
    """
    model, missing = made_module(source)
    if model is None:
        raise UsageError(f"{source} cannot be called without arguments", fix=missing[0])
    inputs: dict[str, Any] = {}
    dynamic: dict[str, dict[int, str]] = {}
    for text in shapes:
        name, tensor, axes = _example(text)
        inputs[name] = tensor
        if axes:
            dynamic[name] = axes
    _require_parameters(model, inputs, source)
    return Recipe(model, kwargs=inputs, dynamic=dynamic or None, name=type(model).__name__)


def _example(text: str) -> tuple[str, Any, dict[int, str]]:
    import torch

    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(f"cannot read the shape {text!r}", fix=_FIX)
    dtype = getattr(torch, found["dtype"] or "float32", None)
    if not isinstance(dtype, torch.dtype):
        raise UsageError(f"unknown dtype {found['dtype']!r} in {text!r}", fix=_FIX)
    words = [word.strip() for word in found["sizes"].split(",")]
    if not all(word.isdecimal() or word.isidentifier() for word in words):
        raise UsageError(f"cannot read the sizes {found['sizes']!r}", fix=_FIX)
    axes = {axis: word for axis, word in enumerate(words) if not word.isdecimal()}
    sizes = [int(word) if word.isdecimal() else _SIZE for word in words]
    floats = dtype.is_floating_point or dtype.is_complex
    tensor = torch.randn(sizes, dtype=dtype) if floats else torch.randint(0, 2, sizes).to(dtype)
    return found["name"].strip(), tensor, axes


def _require_parameters(model: Any, inputs: dict[str, Any], source: str) -> None:
    parameters = inspect.signature(model.forward).parameters
    if any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
        return
    unknown = [name for name in inputs if name not in parameters]
    if unknown:
        raise UsageError(
            f"{source} has no input {', '.join(map(repr, unknown))}",
            fix=f"its inputs are {', '.join(parameters) or 'none'}",
        )
