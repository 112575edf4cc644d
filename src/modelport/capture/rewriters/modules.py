"""Replacing modules of a model for one export."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from torch import nn

from modelport.capture.rewriters.conditions import Situation
from modelport.capture.rewriters.registry import Registration
from modelport.capture.rewriters.report import Active, Applied, Context
from modelport.errors import UsageError


def replace_modules(
    model: nn.Module,
    selected: Mapping[type[object], Registration],
    situation: Situation,
    active: Active,
    undo: ExitStack,
) -> nn.Module:
    """Puts replacements in a model, innermost modules first.

    A module's replacement is built when its children have been replaced already. A module that
    is in several places is replaced once, so that it stays shared.

    Args:
        model: The root.
        selected: The rewrites, by class.
        situation: What the export is for.
        active: Where records are kept.
        undo: Puts the modules back.

    Returns:
        The root, or its replacement.

    Raises:
        UsageError: A rewrite returned something else than a module, or changed the module.
    """
    records = {cls: active.add(Applied(registration)) for cls, registration in selected.items()}
    replacer = _Replacer(records, situation, {id(module) for module in model.modules()}, undo)
    return replacer.replace(model, "")


class _Replacer:
    def __init__(
        self,
        records: Mapping[type[object], Applied],
        situation: Situation,
        existing: set[int],
        undo: ExitStack,
    ) -> None:
        self._records = records
        self._situation = situation
        self._existing = existing
        self._undo = undo
        # The module is kept beside its replacement: an id is good for as long as its object lives.
        self._done: dict[int, tuple[nn.Module, nn.Module]] = {}

    def replace(self, module: nn.Module, name: str) -> nn.Module:
        if id(module) in self._done:
            replacement = self._done[id(module)][1]
            record = self._record_of(module)
            if record is not None and replacement is not module:
                record.places.append(name)
            return replacement
        # Entered before the children are, for a module that (by mistake) contains itself.
        self._done[id(module)] = module, module
        self._replace_children(module, name)
        record = self._record_of(module)
        replacement = module if record is None else self._build(module, name, record)
        self._done[id(module)] = module, replacement
        return replacement

    def _replace_children(self, module: nn.Module, name: str) -> None:
        children = module._modules
        for child_name, child in list(children.items()):
            if child is None:
                continue
            replacement = self.replace(child, f"{name}.{child_name}" if name else child_name)
            if replacement is not child:
                children[child_name] = replacement
                self._undo.callback(children.__setitem__, child_name, child)

    def _record_of(self, module: nn.Module) -> Applied | None:
        """The rewrite for the closest base class."""
        return next(
            (self._records[cls] for cls in type(module).__mro__ if cls in self._records), None
        )

    def _build(self, module: nn.Module, name: str, record: Applied) -> nn.Module:
        registration = record.registration
        situation = self._situation
        context = Context(
            module, module, situation.target, situation.opset, situation.capture, registration.name
        )
        before = _identity_of(module)
        replacement = registration.function(module, context)
        if not isinstance(replacement, nn.Module):
            raise UsageError(
                f"the replacement of {name or 'the model'} is a {type(replacement).__name__}",
                where=registration.where,
                fix="return an nn.Module (the module itself to leave it as it is)",
            )
        if _identity_of(module) != before:
            raise UsageError(
                f"the rewrite of {registration.name} changed {name or 'the model'} itself",
                where=registration.where,
                why="the change could not be undone after the export",
                fix="build a new module and return it",
            )
        if replacement is module:
            return module
        self._adopt(module, replacement, record)
        record.places.append(name)
        return replacement

    def _adopt(self, module: nn.Module, replacement: nn.Module, record: Applied) -> None:
        # A new module is in training mode; one in evaluation would come out as another function.
        for part in replacement.modules():
            if id(part) not in self._existing:
                part.training = module.training
        if module._forward_hooks or module._forward_pre_hooks:
            record.note = "the replaced module has forward hooks, which the replacement has not"
        if self._situation.capture == "script":
            return  # torch.jit.script would compile the hook.

        def count(_module: nn.Module, _inputs: Any) -> None:
            record.calls += 1

        self._undo.callback(replacement.register_forward_pre_hook(count).remove)


def _identity_of(module: nn.Module) -> dict[str, object]:
    """What makes a module: each attribute by identity, one level into its dictionaries."""
    identity: dict[str, object] = {}
    for name, value in vars(module).items():
        if isinstance(value, dict):
            identity[name] = [(key, id(item)) for key, item in value.items()]
        else:
            identity[name] = id(value)
    return identity
