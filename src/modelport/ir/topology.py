"""Topological order of a graph: what is wrong with it, and its cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelport.ir.subgraphs import subgraphs

if TYPE_CHECKING:
    import onnx_ir


def order_problems(
    graph: onnx_ir.Graph, outer: frozenset[onnx_ir.Value] = frozenset()
) -> list[str]:
    """What is wrong with the order of a graph, subgraphs included.

    Args:
        graph: The graph.
        outer: Values of outer graphs that its nodes may read.

    Returns:
        One sentence for each problem.
    """
    problems: list[str] = []
    known = set(outer) | set(graph.inputs) | set(graph.initializers.values())
    for node in graph:
        for value in node.inputs:
            if value is not None and value not in known:
                problems.append(
                    f"node {node.name!r} ({node.op_type}) reads {value.name!r}, not made before"
                )
        for inner in subgraphs(node):
            problems += order_problems(inner, frozenset(known))
        known.update(node.outputs)
    for value in graph.outputs:
        if value not in known:
            problems.append(f"nothing makes the output {value.name!r}")
    return problems


def is_sorted(graph: onnx_ir.Graph) -> bool:
    """Return True if each node follows the nodes that it reads from, in subgraphs as well."""
    return _is_sorted(graph, set())


def _is_sorted(graph: onnx_ir.Graph, finished: set[onnx_ir.Node]) -> bool:
    """Return True if each node follows the nodes that it reads from, in subgraphs as well."""
    for node in graph:
        producers = [value.producer() for value in node.inputs if value is not None]
        if any(producer is not None and producer not in finished for producer in producers):
            return False
        if not all(_is_sorted(inner, finished) for inner in subgraphs(node)):
            return False
        finished.add(node)
    return True


def cycle(graph: onnx_ir.Graph) -> list[str]:
    """The nodes of one cycle, in order, each by its name or operator."""
    before: dict[onnx_ir.Node, list[onnx_ir.Node]] = {node: [] for node in graph}
    for node in graph:
        inner = [node, *(part for sub in subgraphs(node) for part in sub.all_nodes())]
        producers = (value.producer() for part in inner for value in part.inputs if value)
        before[node] = [producer for producer in producers if producer in before]
    # What nothing in a cycle leads to goes, until every node left has one left before it.
    left = dict.fromkeys(before)
    while loose := [node for node in left if not any(other in left for other in before[node])]:
        for node in loose:
            del left[node]
    path = list(left)[:1]
    while path:
        following = next(other for other in before[path[-1]] if other in left)
        if following in path:
            return [node.name or node.op_type for node in reversed(path[path.index(following) :])]
        path.append(following)
    return [graph.name or "a subgraph"]
