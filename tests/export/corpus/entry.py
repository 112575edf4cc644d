"""What an entry of the corpus is: a small model, how it is exported, and the truth about it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

STRATEGIES = ("dynamo", "trace", "script", "auto")

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional inputs and inputs by keyword."""


@dataclass(frozen=True)
class Right:
    """The export equals eager on every input in the declared ranges: it must not be refused.

    Attributes:
        bare: What ``torch.onnx.export`` itself does: ``right``, ``wrong`` (it exports something
            that differs from eager, cannot be run, or lacks the node that a ``symbolic`` asks
            for) or ``fails``.
    """

    bare: str = "right"


@dataclass(frozen=True, init=False)
class Refused:
    """No right export exists, or capturing fails: `modelport.export` must raise `ExportError`.

    Attributes:
        because: Rules of findings, or parts of the error's text; one of them must be met.
        bare: As in `Right`.
    """

    because: tuple[str, ...]
    bare: str

    def __init__(self, *because: str, bare: str = "wrong") -> None:
        object.__setattr__(self, "because", because)
        object.__setattr__(self, "bare", bare)


@dataclass(frozen=True)
class Flagged:
    """The export equals eager, and this must be said about it.

    Attributes:
        rule: Rule of the finding; ``a|b`` where either says it.
        severity: Its severity, or None for any but an error.
        bare: As in `Right`.
    """

    rule: str
    severity: str | None = None
    bare: str = "right"


Truth = Right | Refused | Flagged


@dataclass(frozen=True)
class Entry:
    """A model with a known truth.

    Attributes:
        name: Name, unique in the corpus.
        theme: Module of the corpus that it stands in.
        build: Makes the model; called with a fixed seed.
        inputs: Makes the example inputs that it is exported with.
        checks: Makes further inputs inside the declared ranges, never used for exporting, on
            which the exported graph must equal eager.
        truths: The truth by capture strategy.
        dynamic: Dynamic dimensions by input and axis, with a name or a `modelport.Dim`.
        options: Further options of `modelport.export`, used instead of ``dynamic``.
        bare_options: Further options for bare ``torch.onnx.export``, where it needs others.
        nodes: Operators (``Resize``, ``domain::Name``) that the graph must contain.
        training: Whether the model is given in training mode.
        around: What surrounds each export, such as the registration of a symbolic function.
        runnable: Whether ONNX Runtime has kernels for all its nodes.
    """

    name: str
    theme: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Inputs]
    checks: Callable[[], Sequence[Inputs]]
    truths: Mapping[str, Truth]
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    bare_options: Mapping[str, Any] | None = None
    nodes: tuple[str, ...] = ()
    training: bool = False
    around: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext
    runnable: bool = True

    def model(self) -> nn.Module:
        """The model with its seeded weights, in the mode in which it is given to an exporter."""
        with seeded():
            return self.build().train(self.training)


ENTRIES: dict[str, Entry] = {}


def entry(
    args: Any,
    checks: Callable[[], Sequence[Any]] = tuple,
    *,
    kwargs: Callable[[], dict[str, Any]] = dict,
    build: Callable[[], nn.Module] | None = None,
    dynamo: Truth | None = None,
    trace: Truth | None = None,
    script: Truth | None = None,
    auto: Truth | None = None,
    **fields: Any,
) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Registers the decorated module as an entry named after it.

    Args:
        args: A function that makes the positional example inputs, as a tuple.
        checks: A function that makes further inputs: tuples of positional inputs, or pairs of
            such a tuple and a dict where the entry has inputs by keyword.
        kwargs: A function that makes the example inputs by keyword.
        build: Makes the model; the class itself by default.
        dynamo: The truth when captured by dynamo; None where it does not apply.
        trace: The truth when captured by trace.
        script: The truth when captured by script.
        auto: The truth when modelport chooses.
        **fields: Further fields of `Entry`.
    """
    given = {"dynamo": dynamo, "trace": trace, "script": script, "auto": auto}
    truths = {strategy: truth for strategy, truth in given.items() if truth is not None}

    def pairs() -> list[Inputs]:
        return [
            check if len(check) == 2 and isinstance(check[1], dict) else (check, {})
            for check in checks()
        ]

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()
        add(
            Entry(
                name,
                cls.__module__.rpartition(".")[2],
                build or cls,
                lambda: (args(), kwargs()),
                pairs,
                truths,
                **fields,
            )
        )
        return cls

    return register


def add(new: Entry) -> None:
    """Adds an entry to the corpus.

    Raises:
        ValueError: There is one of that name.
    """
    if new.name in ENTRIES:
        raise ValueError(f"two entries are called {new.name}")
    ENTRIES[new.name] = new


class Function(nn.Module):
    """A module that calls a function of one or two tensors."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> Any:
        return self.function(x) if y is None else self.function(x, y)


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normally distributed numbers, float32, the same for the same arguments."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    """Numbers between 0 and 1, float32, the same for the same arguments."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def integers(high: int, *shape: int, seed: int = 0) -> torch.Tensor:
    """Whole numbers from 0 up to ``high``, int64, the same for the same arguments."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randint(high, shape, generator=generator)


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """A fixed state of torch's random generator, which is put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
