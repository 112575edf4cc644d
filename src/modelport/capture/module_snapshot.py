"""A module's state, which capturing and running it must not change."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from modelport.capture.torch_private.tensors import version


class Snapshot:
    """The state of a module: attributes, containers that are attributes, and tensors.

    A model may remember what it has computed (a grid, a cache, a count of its calls), so that one
    run decides what the next one does, or what is captured.

    Args:
        model: The module; of anything else nothing is kept.
        parameters: Keep a copy of the parameters, too: a forward may renormalize them. Without it
            they are supposed to stay.
    """

    def __init__(self, model: object, *, parameters: bool = False) -> None:
        named = list(model.named_modules()) if isinstance(model, torch.nn.Module) else []
        # The attributes of a compiled module are not Python's.
        plain = [item for item in named if not isinstance(item[1], torch.jit.ScriptModule)]
        self._attributes = [(name, vars(module), dict(vars(module))) for name, module in plain]
        # Of `_buffers` and `_parameters`, the names of what they hold are the user's.
        self._containers = [
            (_joined(name, "" if key in _HOLDERS else key), value, value.copy())
            for name, _, before in self._attributes
            for key, value in before.items()
            if isinstance(value, dict | list | set)
        ]
        found: dict[int, tuple[str, torch.Tensor]] = {}
        for name, module in named:
            for key, tensor in _tensors(module, parameters=parameters):
                found.setdefault(id(tensor), (_joined(name, key), tensor))
        self._tensors = [
            (name, tensor, tensor.detach().clone())
            for name, tensor in found.values()
            if not tensor.is_meta
        ]

    def changes(self) -> list[str]:
        """Returns the names of what is not as it was, in the form ``layer.buffer``."""
        names: dict[str, None] = {}
        for name, now, before in self._attributes:
            names |= dict.fromkeys(_joined(name, key) for key in _differing(now, before))
        for name, content, kept in self._containers:
            if isinstance(content, dict) and isinstance(kept, dict) and name[-1:] in ("", "."):
                names |= dict.fromkeys(name + str(key) for key in _differing(content, kept))
            elif not _is_same(content, kept):
                names[name] = None
        names |= dict.fromkeys(
            name for name, tensor, value in self._tensors if not _equal(tensor, value)
        )
        return list(names)

    def watch(self, names: Collection[str]) -> Callable[[], dict[str, list[object]]]:
        """Returns a cheap look at a few names, which differs between moments of a change.

        It is blind to what changes a tensor without counting its version.

        Args:
            names: Names as `changes` has them.
        """
        holders = [(name, now) for name, now, _ in self._attributes]
        holders += [(name, now) for name, now, _ in self._containers if isinstance(now, dict)]
        entries = [
            (name, holder, name[len(prefix) :].removeprefix("."))
            for prefix, holder in holders
            for name in names
            if name.startswith(prefix)
        ]
        containers = [(name, now) for name, now, _ in self._containers if name in names]
        tensors = [(name, tensor) for name, tensor, _ in self._tensors if name in names]

        def look() -> dict[str, list[object]]:
            seen: dict[str, list[object]] = {name: [] for name in names}
            for name, holder, key in entries:
                seen[name].append(id(holder.get(key)))
            for name, kept in containers:
                values = kept.values() if isinstance(kept, dict) else kept
                seen[name].append(list(map(id, values)))
            for name, tensor in tensors:
                seen[name].append(version(tensor))
            return seen

        return look

    def restore(self) -> None:
        """Puts the state back."""
        for _, now, before in self._attributes:
            _refill(now, before)
        for _, container, kept in self._containers:
            _refill(container, kept)
        with torch.no_grad():
            for _, tensor, value in self._tensors:
                # Compared by value: batch normalisation changes its statistics without a trace.
                if not _equal(tensor, value):
                    if tensor.shape == value.shape:
                        tensor.copy_(value)
                    else:
                        tensor.data = value.clone()


@contextmanager
def unchanged(model: object, *, parameters: bool = False) -> Iterator[None]:
    """Puts a module's state back.

    Args:
        model: The module; anything else is left alone.
        parameters: As for `Snapshot`.
    """
    snapshot = Snapshot(model, parameters=parameters)
    try:
        yield
    finally:
        snapshot.restore()


_HOLDERS = ("_buffers", "_parameters", "_modules")


def _joined(module: str, key: str) -> str:
    return f"{module}.{key}" if module else key


def _tensors(module: torch.nn.Module, *, parameters: bool) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_buffers(recurse=False)
    if parameters:
        yield from module.named_parameters(recurse=False)
    if isinstance(module, torch.jit.ScriptModule):
        return
    for key, value in vars(module).items():
        if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
            yield key, value


def _equal(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    """True where two tensors hold the same values; NaN equals NaN."""
    if tensor.shape != value.shape:
        return False
    if torch.equal(tensor, value):
        return True
    if not (value.is_floating_point() or value.is_complex()):
        return False
    return bool(((tensor == value) | (tensor.isnan() & value.isnan())).all())


def _differing(now: Mapping[str, object], before: Mapping[str, object]) -> list[str]:
    missing = object()
    return [
        key
        for key in dict.fromkeys([*before, *now])
        if now.get(key, missing) is not before.get(key, missing)
    ]


def _is_same(container: object, before: object) -> bool:
    if isinstance(container, dict) and isinstance(before, dict):
        return list(container) == list(before) and all(
            container[key] is before[key] for key in before
        )
    if isinstance(container, list) and isinstance(before, list):
        return len(container) == len(before) and all(map(operator.is_, container, before))
    return bool(container == before)


def _refill(container: Any, before: Any) -> None:
    """Makes a dict, list or set hold what it held, where it holds something else."""
    if _is_same(container, before):
        return
    container.clear()
    if isinstance(container, list):
        container.extend(before)
    else:
        container.update(before)
