"""The contract of every pass: what holds before holds after, and the interface stays.

A pass says in the log ``modelport.passes``, at the level DEBUG, what it decides about each node.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Self

import onnx_ir as ir

from modelport.errors import ModelportError, PassError, causes, first_cause
from modelport.findings import Finding
from modelport.ir.domains import qualified_name
from modelport.ir.topology import order_problems
from modelport.model import Model

_LOG = logging.getLogger("modelport.passes")


class Rewrite(ir.passes.InPlacePass):
    """A pass that changes a graph in place and leaves it sound.

    A subclass has one method of its own: `call` takes an `onnx_ir.Model`, changes it in place, and
    returns an `onnx_ir.passes.PassResult`. A pass of another package is registered as an entry
    point of the group ``modelport.passes``; see `modelport.passes.registry`.

    `requires` and `ensures` hold the same thing: every value that a node reads is made before it
    (or is an input, an initializer, or of an outer graph), and the main graph's inputs and outputs
    keep their names and order.
    """

    stages: ClassVar[tuple[str, ...]] = ()
    """Where a registered pass runs: ``simplify``; ``tune``, as a rewrite that may pay or not; or
    the name of a backend, for which it prepares a graph."""

    _interface: tuple[list[str | None], list[str | None]]

    @classmethod
    def of(cls, model: Model) -> Self:
        """The pass for a model, which a registered pass is made by.

        Args:
            model: The model, with declared ranges and where it comes from.
        """
        return cls()

    @classmethod
    def pass_name(cls) -> str:
        """The name of the pass in logs and notes: ``fold-constants`` of `FoldConstants`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    def decided(self, where: ir.Node | ir.Value, rule: str, *, refused: str = "") -> None:
        """Logs a decision.

        Args:
            where: The node, or the value, that it is about.
            rule: What is done, or would have been.
            refused: Why it is not done; empty where it is.
        """
        if _LOG.isEnabledFor(logging.DEBUG):
            outcome = f"refused, {refused}" if refused else "done"
            _LOG.debug("%s: %s: %s: %s", self.pass_name(), _described(where), rule, outcome)

    def findings(self, backend: str) -> list[Finding]:
        """What the last call did, for the report.

        Args:
            backend: The title of the backend for which the graph is prepared.
        """
        return []

    def requires(self, model: ir.Model) -> None:
        """Raises `onnx_ir.passes.PreconditionError` where the graph is not sound."""
        self._interface = _interface(model)
        for problem in order_problems(model.graph):
            raise ir.passes.PreconditionError(problem)

    def ensures(self, model: ir.Model) -> None:
        """Raises `onnx_ir.passes.PostconditionError` where the graph is not sound any more."""
        if _interface(model) != self._interface:
            raise ir.passes.PostconditionError("the graph's inputs or outputs changed")
        for problem in order_problems(model.graph):
            raise ir.passes.PostconditionError(problem)


def apply_passes(passes: Iterable[ir.passes.PassBase], model: ir.Model) -> bool:
    """Runs passes, one after the other.

    Args:
        passes: The passes.
        model: The model; changed in place.

    Returns:
        Whether one of them changed it.

    Raises:
        PassError: One of them failed, or broke its contract.
    """
    modified = False
    for item in passes:
        try:
            # Whatever a pass raises, a sequence turns it into one class of errors.
            changed = ir.passes.Sequential(item)(model).modified
        except ir.passes.PassError as error:
            for cause in causes(error):
                if isinstance(cause, ModelportError):
                    raise cause from error
            cause = first_cause(error)
            raise PassError(
                "a pass failed on the model",
                where=type(item).__name__,
                why=f"{type(cause).__name__}: {' '.join(str(cause).split())}",
                fix="`modelport check MODEL.onnx` says whether the model is valid",
            ) from error
        name = item.pass_name() if isinstance(item, Rewrite) else type(item).__name__
        _LOG.debug("%s: %s", name, "changed the graph" if changed else "no change")
        modified |= changed
    return modified


def _described(where: ir.Node | ir.Value) -> str:
    if isinstance(where, ir.Value):
        return f"tensor {where.name!r}"
    name = where.name or next((value.name for value in where.outputs if value.name), "")
    return f"node {name!r} ({qualified_name(where)})"


def _interface(model: ir.Model) -> tuple[list[str | None], list[str | None]]:
    graph = model.graph
    return [value.name for value in graph.inputs], [value.name for value in graph.outputs]


@contextmanager
def functions_aside(model: ir.Model) -> Iterator[None]:
    """Hides a model's functions from passes that would treat them by the main graph's opsets."""
    kept = dict(model.functions)
    model.functions.clear()
    try:
        yield
    finally:
        model.functions.update(kept)
