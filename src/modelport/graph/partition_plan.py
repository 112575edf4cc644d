"""Partitioning: one model becomes several that are run one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from modelport.errors import UsageError
from modelport.graph.copies import AnyModel, ir_of
from modelport.graph.cut_marks import marked
from modelport.graph.extraction import extract
from modelport.graph.lookup import Tensors, did_you_mean
from modelport.ir.subgraphs import subgraphs

if TYPE_CHECKING:
    import onnx_ir


def partition(model: AnyModel, at: Sequence[str | Sequence[str]]) -> list[AnyModel]:
    """Cuts a model into submodels that compute the same when they run one after the other.

    A node goes into the first submodel whose cut needs it, or into the last one. A submodel takes
    the model's inputs and outputs of earlier submodels, by the tensors' names; a tensor
    that passes a cut without being named there (a skip connection) becomes an output as well.

    Args:
        model: The model; it is not changed, and the submodels share its weights.
        at: The cuts, in any order. Each is the name of a mark (see `modelport.mark`), of a
            tensor of the main graph, or several of these.

    Returns:
        The submodels in the order of execution: one more than there are cuts.

    Raises:
        UsageError: A name is unknown or is inside of a node, or a cut leaves a part empty.
    """
    graph = ir_of(model).graph
    order = {node: index for index, node in enumerate(graph)}
    cuts = [_cut(graph, [cut] if isinstance(cut, str) else list(cut)) for cut in at]
    if not cuts:
        raise UsageError("there is no cut", fix="name a tensor or a mark")
    cuts.sort(
        key=lambda cut: max(order[producer] for value in cut if (producer := value.producer()))
    )
    stages: dict[onnx_ir.Node, int] = {}
    for stage, cut in enumerate(cuts):
        for node in _ancestors(cut):
            stages.setdefault(node, stage)
    for node in _ancestors(graph.outputs):
        stages.setdefault(node, len(cuts))
    missing = sorted(set(range(len(cuts) + 1)) - set(stages.values()))
    if missing:
        cut = cuts[min(missing[0], len(cuts) - 1)]
        raise UsageError(
            f"the cut at {', '.join(repr(value.name) for value in cut)} leaves a part empty",
            why="nothing is computed between it and its neighbour or the end of the model",
            fix="leave one of the cuts out",
        )
    borders = [_borders(graph, stages, stage) for stage in range(len(cuts) + 1)]
    return [extract(model, inputs, outputs) for inputs, outputs in borders]


def _cut(graph: onnx_ir.Graph, names: Iterable[str]) -> list[onnx_ir.Value]:
    marks, known = marked(graph), Tensors(graph)
    values: dict[onnx_ir.Value, None] = {}
    for name in names:
        if name not in marks and name not in known:
            raise UsageError(
                f"the model has no mark and no tensor {name!r}",
                why=f"its marks are {', '.join(map(repr, marks))}" if marks else "it has no marks",
                fix=did_you_mean(name, [*marks, *known]),
            )
        for value in marks.get(name) or [known[name]]:
            if known.is_inner(value):
                raise UsageError(
                    f"the model cannot be cut at {name!r}: it is {known.place(value)}",
                    fix="cut before or behind that node",
                )
            if value.producer() is None:
                raise UsageError(
                    f"the model cannot be cut at {name!r}: nothing computes it",
                    why="it is an input or an initializer",
                    fix="name a tensor that a node computes",
                )
            values[value] = None
    return list(values)


def _reads(node: onnx_ir.Node) -> Iterator[onnx_ir.Value]:
    """Tensors that a node reads from its own graph, those that its subgraphs capture included."""
    yield from (value for value in node.inputs if value is not None)
    for graph in subgraphs(node):
        for inner in graph.all_nodes():
            yield from (value for value in inner.inputs if value and value.graph is node.graph)


def _ancestors(values: Iterable[onnx_ir.Value]) -> set[onnx_ir.Node]:
    found: set[onnx_ir.Node] = set()
    waiting = [producer for value in values if (producer := value.producer()) is not None]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [producer for value in _reads(node) if (producer := value.producer())]
    return found


def _borders(
    graph: onnx_ir.Graph, stages: dict[onnx_ir.Node, int], stage: int
) -> tuple[list[str], list[str]]:
    """Names of the inputs and outputs of a submodel."""
    inputs: dict[str, None] = {}
    outputs: dict[str, None] = {}
    results, inputs_of_graph = set(graph.outputs), set(graph.inputs)
    for node in graph:
        if node not in stages:
            continue
        for value in _reads(node):
            producer = value.producer()
            made = None if producer is None else stages[producer]
            outside = value in inputs_of_graph and not value.is_initializer()
            if stages[node] == stage and (outside or (made is not None and made < stage)):
                inputs[value.name or ""] = None
            if made == stage and stages[node] > stage:
                outputs[value.name or ""] = None
        if stages[node] == stage:
            outputs |= dict.fromkeys(value.name or "" for value in node.outputs if value in results)
    return list(inputs), list(outputs)
