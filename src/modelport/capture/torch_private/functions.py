"""`torch.autograd.Function`: what its `apply` ends in, and how dynamo meets it."""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable
from typing import Any

import torch

from modelport.capture.torch_private.access import PRIVATE, resolve
from modelport.errors import ExportError

Hook = Callable[..., Any]
"""Called as ``hook(cls, otherwise, *args, **kwargs)``; ``otherwise(*args, **kwargs)`` is what is
done without it."""


def original_apply(cls: type) -> Callable[..., Any]:
    """The `apply` of a Function's class as PyTorch has it, whatever hook is installed."""
    resolve("function apply")
    base = resolve("function base").__mro__[1]
    bound: Callable[..., Any] = base.__dict__["apply"].__get__(None, cls)
    return bound


def has_setup_context(cls: Any) -> bool:
    """Whether a Function's forward takes no context, because `setup_context` does."""
    return cls.setup_context is not resolve("function base").setup_context


def install_apply(hook: Hook, wanted: Callable[[type], bool]) -> Callable[[], None]:
    """Makes a hook what the `apply` of Functions ends in.

    An `apply` that was looked up before is caught, too. Up to PyTorch 2.13 it ends with
    ``super().apply``: one attribute of the class between it and the C base is found there. From
    2.14 on it is in C, which asks the class for its `forward` each time it runs.

    Args:
        hook: What is called.
        wanted: Which classes it is called for; the others are left alone.

    Returns:
        What undoes it.
    """
    base = resolve("function base")
    if is_compiled():
        return _install_forward(type(base), hook, wanted)
    if "apply" in base.__dict__:
        raise _patched("_SingleLevelFunction.apply", base.__dict__["apply"])

    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        otherwise = original_apply(cls)
        return hook(cls, otherwise, *args, **kwargs) if wanted(cls) else otherwise(*args, **kwargs)

    base.apply = classmethod(apply)

    def restore() -> None:
        del base.apply

    return restore


def is_compiled() -> bool:
    """Whether `Function.apply` is in C alone, as from PyTorch 2.14 on."""
    apply = vars(torch.autograd.Function).get("apply")
    return isinstance(apply, types.ClassMethodDescriptorType)


def _install_forward(meta: Any, hook: Hook, wanted: Callable[[type], bool]) -> Callable[[], None]:
    """Makes the `forward` of Functions end in a hook."""
    if "__getattribute__" in vars(meta):
        raise _patched("FunctionMeta.__getattribute__", vars(meta)["__getattribute__"])

    def find(cls: type, name: str) -> Any:
        found = type.__getattribute__(cls, name)
        if name != "forward" or not wanted(cls):
            return found
        first = 0 if has_setup_context(cls) else 1

        @functools.wraps(found)
        def forward(*args: Any, **kwargs: Any) -> Any:
            otherwise = functools.partial(found, *args[:first])
            return hook(cls, otherwise, *args[first:], **kwargs)

        return forward

    meta.__getattribute__ = find

    def restore() -> None:
        del meta.__getattribute__

    return restore


def _patched(name: str, by: object) -> ExportError:
    return ExportError(
        "torch.autograd.Function is already patched by somebody else",
        where=repr(by),
        fix=f"remove the other patch of {name} during the export",
    )


def watch_transforms(seen: Callable[[type], None]) -> Callable[[], None]:
    """Calls ``seen(cls)`` before a Function is applied under `torch.func.vmap`, `grad` and others.

    There `Function.apply` takes another way than the one that `install_apply` hooks.

    Returns:
        What undoes it.
    """
    call = resolve("transformed call")
    module = importlib.import_module(PRIVATE["transformed call"][0])

    def watched(cls: type, *args: Any, **kwargs: Any) -> Any:
        seen(cls)
        return call(cls, *args, **kwargs)

    def restore() -> None:
        module.custom_function_call = call  # type: ignore[attr-defined]

    module.custom_function_call = watched  # type: ignore[attr-defined]
    return restore


def redirect_dynamo(hook: Callable[[type], Callable[..., Any] | None]) -> Callable[[], None]:
    """Tells dynamo what to call where a model applies a Function.

    Dynamo traces strict exports and the branches of control flow. It knows Functions by their
    class, so that the hook of `install_apply` is not seen there.

    Args:
        hook: Gives for a class what to call, opaque to dynamo, or None to leave it alone.

    Returns:
        What undoes it.
    """
    resolve("dynamo apply")
    variable = importlib.import_module(PRIVATE["dynamo apply"][0]).AutogradFunctionVariable
    tracker = resolve("dynamo tracker")
    original = variable.call_apply

    def call_apply(self: Any, tx: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        function = hook(self.fn_cls)
        if function is None:
            return original(self, tx, args, kwargs)
        return tracker.build(tx, function).call_function(tx, args, kwargs)

    def restore() -> None:
        variable.call_apply = original

    variable.call_apply = call_apply
    return restore
