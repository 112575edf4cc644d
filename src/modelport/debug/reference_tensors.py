"""Recorded tensors of a reference: an ONNX model, or a PyTorch model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelport.arrays import Array
from modelport.backends import REFERENCE_OPTIONS, REFERENCE_RUNTIME
from modelport.debug.alignment import align
from modelport.debug.layerwise_error import LayerwiseComparator
from modelport.debug.module_names import OUTPUT, anchors, record_modules
from modelport.debug.origin import module_of
from modelport.debug.partial_execution import PartialExecutor, Store, walk
from modelport.debug.runnable import (
    open_eager,
    source_name,
)
from modelport.debug.submodel import normalized
from modelport.errors import ExportError
from modelport.model import Model
from modelport.numerics import by_name_or_place
from modelport.recipe import Recipe
from modelport.target import Target

if TYPE_CHECKING:
    import onnx_ir


@dataclass
class Recorded:
    """The tensors of a reference.

    Attributes:
        name: The reference, and what ran it.
        store: Its tensors, by its names.
        pairs: Its names, by the candidate's.
        executor: Its graph; None where there is only a PyTorch model.
        tensors: Names in that graph, by the candidate's.
        notes: What is to be known.
    """

    name: str
    store: Store
    pairs: dict[str, str]
    executor: PartialExecutor | None = None
    tensors: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def comparator(
        self, executor: PartialExecutor, inputs: Mapping[str, Array], budget: int, precision: str
    ) -> LayerwiseComparator:
        """The comparator of a candidate with these tensors."""
        return LayerwiseComparator(executor, inputs, self.store, self.pairs, budget, precision)


def record_reference(
    reference: Model | Recipe,
    target: Target | None,
    candidate: onnx_ir.Model,
    inputs: Mapping[str, Array],
    store: Store,
    budget: int,
) -> Recorded:
    """Runs a reference, and records every tensor that has a partner in the candidate.

    Args:
        reference: An ONNX model, or the recipe of a PyTorch model.
        target: What to run an ONNX model on; ONNX Runtime without graph optimizations by default.
        candidate: The candidate's graph, as `normalized` leaves it.
        inputs: The case, by the reference's names.
        store: Where to keep the tensors.
        budget: Bytes of tensors in memory at once, roughly.

    Returns:
        The tensors, and whose partners they are.
    """
    if isinstance(reference, Model):
        return _record_graph(reference, target, candidate, inputs, store, budget)
    return _record_torch(reference, candidate, inputs, store, budget)


def _record_graph(
    model: Model,
    target: Target | None,
    candidate: onnx_ir.Model,
    inputs: Mapping[str, Array],
    store: Store,
    budget: int,
) -> Recorded:
    executor = _own_executor(model, target)
    pairs = align(executor.ir.graph, candidate.graph)
    partners = set(pairs.values())
    for name in inputs:
        # A Cast of an input has the input's value.
        if name in partners:
            store.put(name, inputs[name])
    failed: dict[str, str] = {}
    for made, failures in walk(executor, inputs, budget):
        failed |= failures
        for name in partners & made.keys():
            store.put(name, made[name])
    manner = "" if target else " without graph optimizations"
    recorded = Recorded(
        f"{source_name(model)} on {executor.target}{manner}", store, pairs, executor, pairs
    )
    if failed:
        name, why = next(iter(failed.items()))
        recorded.notes.append(
            f"{len(failed)} nodes of the reference could not be run, the first is {name!r}: {why}"
        )
    return recorded


def _own_executor(model: Model, target: Target | None) -> PartialExecutor:
    options = None if target else REFERENCE_OPTIONS
    return PartialExecutor(normalized(model.ir), target or REFERENCE_RUNTIME, options)


def _record_torch(
    recipe: Recipe,
    candidate: onnx_ir.Model,
    inputs: Mapping[str, Array],
    store: Store,
    budget: int,
) -> Recorded:
    """Outputs of the eager modules, and tensors of a capture that agrees with them."""
    eager = open_eager(recipe)
    names = record_modules(recipe.model, eager.run, inputs, store)
    own = _capture_like(recipe, candidate)
    if isinstance(own, str):
        return _modules_alone(eager.name, names, candidate, store, own)
    executor = _own_executor(own, None)
    comparator = LayerwiseComparator(
        executor,
        by_name_or_place({value.name or "": None for value in executor.ir.graph.inputs}, inputs),
        store,
        _anchored(executor.ir.graph, names),
        budget,
        "fp32",
    )
    comparator.grow(keep=store)
    divergence = comparator.find_divergence(all_nodes=False)
    if divergence.first is not None:
        why = f"a capture of the reference differs from it at {divergence.first.node!r}"
        return _modules_alone(eager.name, names, candidate, store, why)
    pairs = align(executor.ir.graph, candidate.graph)
    # Outputs of eager modules take precedence over tensors of the capture.
    modules = {tensor: comparator.pairs.get(partner, partner) for tensor, partner in pairs.items()}
    return Recorded(eager.name, store, modules, executor, pairs)


def _modules_alone(
    name: str, outputs: list[str], candidate: onnx_ir.Model, store: Store, why: str
) -> Recorded:
    pairs = _anchored(candidate.graph, outputs)
    note = f"the reference's tensors are known at the ends of its modules alone: {why}"
    return Recorded(name, store, pairs, notes=[note])


def _anchored(graph: onnx_ir.Graph, outputs: list[str]) -> dict[str, str]:
    selected = {value.name or "": None for value in graph.outputs}
    ends = by_name_or_place(selected, {name: f"{OUTPUT}{name}" for name in outputs})
    return anchors(graph) | ends


def _capture_like(recipe: Recipe, candidate: onnx_ir.Model) -> Model | str:
    """A capture by the candidate's strategy, or the reason why there is none."""
    from modelport.deployment import export

    origins = [(node, module_of(node)) for node in candidate.graph]
    by_dynamo = any(origin is not None and origin.operator for _, origin in origins)
    by_trace = any(origin is not None for _, origin in origins)
    strategy = "dynamo" if by_dynamo else "trace" if by_trace else None
    try:
        return export(recipe.with_options(capture=strategy), probes=False)
    except ExportError as error:
        return f"it cannot be captured: {error.what}"
