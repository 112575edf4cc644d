"""Cutting a graph: a part of it as a model of its own, and inner tensors as outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.errors import UsageError
from modelport.graph.copies import AnyModel, changed
from modelport.graph.lookup import Tensors, did_you_mean
from modelport.ir.shape_inference import complete_shapes
from modelport.ir.subgraphs import subgraphs

if TYPE_CHECKING:
    import onnx_ir


def extract(model: AnyModel, inputs: Sequence[str], outputs: Sequence[str]) -> AnyModel:
    """The part of a model that computes some tensors from others, as a model of its own.

    Tensors may lie inside of nodes. What a branch of an If computes becomes nodes of the new
    graph, as if the branch were executed; a tensor inside of a node that is copied as a whole may
    be an input: the node's body then reads it in place of what computed it.

    Args:
        model: The model; it stays as it is, and the new one shares its weights.
        inputs: Names of the tensors to begin at, which become the inputs in this order.
            Initializers that are not named here come along as such.
        outputs: Names of the tensors to compute, which become the outputs in this order.

    Returns:
        A model of the same kind.

    Raises:
        UsageError: A name is unknown or ambiguous; a tensor that the outputs need is not given by
            the inputs; an input is superfluous; or one tensor is both.
    """
    for kind, names in (("input", inputs), ("output", outputs)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"{twice[0]!r} is named twice as an {kind}")
    if not outputs:
        raise UsageError("there is no tensor to compute", fix="name at least one output")
    both = [name for name in outputs if name in inputs]
    if both:
        raise UsageError(
            f"{both[0]!r} is both an input and an output: nothing would be computed",
            fix="leave it out on one side",
        )

    def cut(ir: onnx_ir.Model) -> None:
        complete_shapes(ir, (*inputs, *outputs))
        _Cut(ir, inputs, outputs).apply()

    return changed(model, cut)


def expose(
    model: AnyModel, tensors: Sequence[str] | None = None, op: str | None = None
) -> AnyModel:
    """A model with tensors inside of it as further outputs.

    Args:
        model: The model; it stays as it is.
        tensors: Names of the tensors.
        op: An operator, such as ``Conv``: the outputs of all its nodes. With neither, all tensors
            that nodes of the main graph compute.

    Returns:
        A model of the same kind; the outputs that were there come first.

    Raises:
        UsageError: A name is unknown or ambiguous; a tensor is not computed by a node of the main
            graph; both or no tensor is asked for.
    """
    if tensors is not None and op is not None:
        raise UsageError("tensors and an operator are given together", fix="keep one")

    def show(ir: onnx_ir.Model) -> None:
        selected = _named(ir.graph, tensors) if tensors is not None else _computed(ir.graph, op)
        there = set(ir.graph.outputs)
        new = [value for value in selected if value not in there]
        complete_shapes(ir, [value.name or "" for value in new])
        ir.graph.outputs.extend(new)

    return changed(model, show)


def _named(graph: onnx_ir.Graph, names: Iterable[str]) -> list[onnx_ir.Value]:
    known = Tensors(graph)
    values = []
    for name in dict.fromkeys(names):
        value = known[name]
        if value.producer() is None:
            raise UsageError(
                f"nothing computes {name!r}: it is an input or an initializer",
                fix="name a tensor that a node computes",
            )
        if known.is_inner(value):
            raise UsageError(
                f"{name!r} cannot be an output of the model: it is {known.place(value)}",
                why="a branch may not be executed, and a loop body runs any number of times",
                fix="extract the part of the graph that computes it",
            )
        values.append(value)
    return values


def _computed(graph: onnx_ir.Graph, op: str | None) -> list[onnx_ir.Value]:
    nodes = [node for node in graph if op is None or node.op_type == op]
    if not nodes and op is not None:
        kinds = sorted({node.op_type for node in graph})
        raise UsageError(f"the model has no {op}", fix=did_you_mean(op, kinds))
    return [value for node in nodes for value in node.outputs if value.name]


class _Cut:
    """One extraction, in a graph that it may take apart."""

    def __init__(self, ir: onnx_ir.Model, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._ir = ir
        self._known = Tensors(ir.graph)
        self._outputs = [self._known[name] for name in outputs]
        self._inputs = {self._known[name]: _as_input(self._known[name]) for name in inputs}
        self._initializers: dict[onnx_ir.Value, None] = {}
        self._nodes: dict[onnx_ir.Node, None] = {}
        """Nodes of the new graph."""
        self._kept: set[onnx_ir.Graph] = set()
        """Graphs inside of them."""
        self._used: set[onnx_ir.Value] = set()
        self._missing: dict[onnx_ir.Value, onnx_ir.Node] = {}

    def apply(self) -> None:
        """Makes the part the model's graph."""
        import onnx_ir
        from onnx_ir.passes.common import (
            NameFixPass,
            RemoveUnusedFunctionsPass,
            RemoveUnusedNodesPass,
        )

        self._collect()
        self._require_bounded()
        old = self._ir.graph
        nodes = [node for node in _inner_first(old) if node in self._nodes]
        self._keep_outputs_inside()
        # What is an output of the whole may be an input of the part.
        for graph in self._ir.graphs():
            if graph not in self._kept:
                graph.outputs.clear()
        for value, new in self._inputs.items():
            value.replace_all_uses_with(new)
        self._take_apart()
        self._ir.graph = onnx_ir.Graph(
            list(self._inputs.values()),
            self._outputs,
            nodes=nodes,
            initializers=list(self._initializers),
            doc_string=old.doc_string,
            opset_imports=old.opset_imports,
            name=old.name,
            metadata_props=dict(old.metadata_props),
        )
        # Before version 4 of the format, initializers had to be inputs as well.
        self._ir.ir_version = max(self._ir.ir_version, 4)
        NameFixPass()(self._ir)
        RemoveUnusedNodesPass()(self._ir)
        RemoveUnusedFunctionsPass()(self._ir)  # type: ignore[no-untyped-call]

    def _collect(self) -> None:
        """Walks from the outputs back to the inputs.

        Of what a node holds inside, only what its results need is followed; it stays inside.
        """
        waiting = [_Need(value, None, inside=False) for value in self._outputs]
        seen = set()
        while waiting:
            need = waiting.pop()
            value = need.value
            inside = need.inside and value.graph in self._kept
            if (value, inside) in seen:
                continue
            seen.add((value, inside))
            if value in self._inputs:
                self._used.add(value)
            elif (node := value.producer()) is not None:
                waiting += self._needs_of(node, inside)
            elif inside:
                continue
            elif value.is_initializer():
                self._initializers[value] = None
            elif need.reader is not None:
                self._missing.setdefault(value, need.reader)

    def _needs_of(self, node: onnx_ir.Node, inside: bool) -> Iterator[_Need]:
        if not inside:
            self._nodes[node] = None
        for value in node.inputs:
            if value is not None:
                yield _Need(value, node, inside)
        for graph in subgraphs(node):
            self._kept.add(graph)
            for value in graph.outputs:
                yield _Need(value, node, inside=True)

    def _require_bounded(self) -> None:
        outputs = ", ".join(repr(value.name) for value in self._outputs)
        inputs = ", ".join(repr(value.name) for value in self._inputs) or "nothing"
        if self._missing:
            names = ", ".join(repr(value.name) for value in self._missing)
            value, reader = next(iter(self._missing.items()))
            inner = self._known.is_inner(value)
            raise UsageError(
                f"{outputs} cannot be computed from {inputs}: {names} is missing",
                where=f"node {reader.name or reader.op_type!r} reads {value.name!r}",
                why=f"{value.name!r} is {self._known.place(value)}, where it changes at every turn"
                if inner
                else None,
                fix=f"add {names} to the inputs, or tensors that lie behind",
            )
        idle = [value for value in self._inputs if value not in self._used]
        if idle:
            names = ", ".join(repr(value.name) for value in idle)
            raise UsageError(
                f"{outputs} can be computed without {names}: superfluous among the inputs",
                why="no path that begins there and avoids the other inputs leads to an output",
                fix=f"leave {names} out, or name an output that needs it",
            )

    def _keep_outputs_inside(self) -> None:
        """Adds Identity nodes where a subgraph would return a tensor of the outer graph."""
        import onnx_ir

        for graph in self._kept:
            for index, value in enumerate(graph.outputs):
                producer = value.producer()
                if value in self._inputs or producer in self._nodes or value in self._initializers:
                    node = onnx_ir.Node("", "Identity", [value])
                    node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
                    node.outputs[0].name = f"{value.name}_inside"
                    graph.append(node)
                    graph.outputs[index] = node.outputs[0]

    def _take_apart(self) -> None:
        """Frees what the new graph is made of, and cuts what is left over off from it."""
        for node in list(self._ir.graph.all_nodes()):
            if node in self._nodes:
                assert node.graph is not None
                node.graph.remove(node)
            elif node.graph not in self._kept:
                node.resize_inputs(0)
        for graph in self._ir.graphs():
            for name, value in list(graph.initializers.items()):
                if value in self._initializers:
                    del graph.initializers[name]


@dataclass(frozen=True)
class _Need:
    """A tensor that is needed, and by which node; inside of a node that comes along or not."""

    value: onnx_ir.Value
    reader: onnx_ir.Node | None
    inside: bool


def _as_input(value: onnx_ir.Value) -> onnx_ir.Value:
    import onnx_ir

    if value.type is None:
        raise UsageError(
            f"{value.name!r} cannot become an input: its type is not known",
            why="it comes from an operator that ONNX does not know",
            fix="begin at another tensor, or declare its type in the model (value_info)",
        )
    shape = None if value.shape is None else value.shape.copy()
    return onnx_ir.Value(name=value.name, type=value.type, shape=shape)


def _inner_first(graph: onnx_ir.Graph) -> Iterator[onnx_ir.Node]:
    """All nodes; those inside of a node come before it."""
    for node in graph:
        for inner in subgraphs(node):
            yield from _inner_first(inner)
        yield node
