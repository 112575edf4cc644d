"""`torch.autograd.Function`: what its `apply` ends in, and how dynamo meets it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from modelport.capture.torch_private.access import PRIVATE, resolve
from modelport.errors import ExportError


def original_apply(cls: type) -> Callable[..., Any]:
    """The `apply` of a Function's class as PyTorch has it, whatever hook is installed."""
    resolve("function apply")
    base = resolve("function base").__mro__[1]
    bound: Callable[..., Any] = base.__dict__["apply"].__get__(None, cls)
    return bound


def has_setup_context(cls: Any) -> bool:
    """Whether a Function's forward takes no context, because `setup_context` does."""
    return cls.setup_context is not resolve("function base").setup_context


def install_apply(hook: Callable[..., Any]) -> None:
    """Makes ``hook(cls, *args, **kwargs)`` what every Function's `apply` ends in.

    `Function.apply` ends with ``super().apply``. The class between it and the C base does not
    define `apply`, so that one attribute there catches also an `apply` that was looked up before.
    """
    base = resolve("function base")
    if "apply" in base.__dict__:
        raise ExportError(
            "torch.autograd.Function is already patched by somebody else",
            where=repr(base.__dict__["apply"]),
            fix="remove the other patch of _SingleLevelFunction.apply during the export",
        )
    base.apply = classmethod(hook)


def remove_apply() -> None:
    """Takes the hook of `install_apply` away again."""
    del resolve("function base").apply


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
