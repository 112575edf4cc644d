"""Finding tensors and nodes in a graph, by name and by PyTorch module."""

from __future__ import annotations

import difflib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from modelport.errors import UsageError
from modelport.ir.subgraphs import subgraphs

if TYPE_CHECKING:
    import onnx_ir


class Tensors:
    """The tensors of a graph and of the graphs inside its nodes, by name.

    Attributes:
        owners: The node that each inner graph belongs to.
    """

    def __init__(self, graph: onnx_ir.Graph) -> None:
        self.owners: dict[onnx_ir.Graph, onnx_ir.Node] = {}
        self._main = graph
        self._found: dict[str, list[onnx_ir.Value]] = defaultdict(list)
        self._add(graph)

    def _add(self, graph: onnx_ir.Graph) -> None:
        inputs = dict.fromkeys([*graph.inputs, *graph.initializers.values()])
        for value in (*inputs, *(value for node in graph for value in node.outputs)):
            if value.name:
                self._found[value.name].append(value)
        for node in graph:
            for inner in subgraphs(node):
                self.owners[inner] = node
                self._add(inner)

    def __getitem__(self, name: str) -> onnx_ir.Value:
        """The tensor of a name.

        Raises:
            UsageError: There is none, or there are several, in different branches.
        """
        found = self._found.get(name, [])
        if not found:
            raise UsageError(
                f"there is no tensor {name!r} in the model", fix=did_you_mean(name, self._found)
            )
        if len(found) > 1:
            locations = [self.place(value) for value in found]
            raise UsageError(
                f"there are {len(found)} tensors {name!r} in the model: {', '.join(locations)}",
                fix="names inside of branches need not differ; give the nodes' outputs other names",
            )
        return found[0]

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def place(self, value: onnx_ir.Value) -> str:
        """Location of a tensor: ``in the main graph`` or ``inside of node 'If_3'``."""
        graph = value.graph
        owner = None if graph is None else self.owners.get(graph)
        if owner is None:
            return "in the main graph"
        return f"inside of node {owner.name or owner.op_type!r}"

    def is_inner(self, value: onnx_ir.Value) -> bool:
        """Return True if a tensor is inside of a node: in a branch or in the body of a loop."""
        return value.graph is not self._main


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Advice on a name that is not among those there are."""
    names = list(names)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {', '.join(map(repr, near))}?"
    shown = ", ".join(map(repr, names[:8]))
    return f"there are {shown}{', ...' if len(names) > 8 else ''}"


def find_node(graph: onnx_ir.Graph, name: str) -> onnx_ir.Node:
    """The node of a name; also of a name of one of its outputs, since nodes may have no name.

    Raises:
        UsageError: There is none, or there are several.
    """
    nodes = list(graph.all_nodes())
    found = [node for node in nodes if node.name == name]
    if not found:
        found = [node for node in nodes if any(value.name == name for value in node.outputs)]
    if not found:
        names = [node.name or next((v.name or "" for v in node.outputs), "") for node in nodes]
        raise UsageError(
            f"there is no node {name!r} in the model", fix=did_you_mean(name, filter(None, names))
        )
    if len(found) > 1:
        outputs = [next((value.name or "" for value in node.outputs), "") for node in found]
        raise UsageError(
            f"there are {len(found)} nodes {name!r} in the model",
            fix=f"name the node by one of its outputs: {', '.join(map(repr, outputs))}",
        )
    return found[0]


SCOPES_KEY = "pkg.torch.onnx.name_scopes"


def module_path(node: onnx_ir.Node) -> str:
    """The path of the PyTorch module that a node was captured from, such as ``backbone.layer1``.

    Dynamo's exporter records it in the node's metadata; TorchScript's makes the node's name of
    it (``/backbone/layer1/layer1.0/conv/Conv``).

    Args:
        node: A node of a captured graph.

    Returns:
        The path as in ``named_modules``; empty for the model itself, and where nothing is known.
    """
    import ast

    recorded = node.metadata_props.get(SCOPES_KEY)
    if recorded is not None:
        try:
            scopes = ast.literal_eval(recorded)
        except (SyntaxError, ValueError):
            return ""
        # The last scope is the operator.
        modules = [scope for scope in scopes[:-1] if isinstance(scope, str) and scope]
        return modules[-1] if modules else ""
    name = node.name or ""
    return join_scopes(name.split("/")[1:-1]) if name.startswith("/") else ""


def join_scopes(scopes: Sequence[str]) -> str:
    """The path that TorchScript's scopes stand for: ``layer1``, ``layer1.0`` is ``layer1.0``."""
    path = ""
    for scope in scopes:
        # A container's children carry its name: seq, seq.0, seq.0.1.
        parent, _, own = scope.rpartition(".")
        inside = bool(parent) and f".{path}".endswith(f".{parent}")
        path = ".".join(filter(None, (path, own if inside else scope)))
    return path


def nodes_of_module(graph: onnx_ir.Graph, path: str) -> Iterator[onnx_ir.Node]:
    """The nodes that were captured from a PyTorch module or a module inside of it.

    Raises:
        UsageError: There are none.
    """
    own = {node: module_path(node) for node in graph}
    found = [node for node, at in own.items() if at == path or at.startswith(f"{path}.")]
    if not found:
        known = {".".join(at.split(".")[:depth]) for at in own.values() for depth in range(1, 9)}
        raise UsageError(
            f"no node was captured from a module {path!r}",
            why=None if any(own.values()) else "the graph does not say which modules it is of",
            fix=did_you_mean(path, sorted(known - {""})) if known - {""} else None,
        )
    yield from found


def free_name(known: Tensors, name: str) -> str:
    """The name itself, or the first numbered form of it that no tensor has."""
    candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in known)


def origins(value: onnx_ir.Value) -> set[onnx_ir.Value]:
    """The inputs and initializers whose values, not only shapes, a tensor comes from."""
    found, waiting = set(), [value]
    seen: set[onnx_ir.Value] = set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        node = current.producer()
        if node is None:
            found.add(current)
        elif node.op_type not in ("Shape", "Size"):
            waiting += [before for before in node.inputs if before is not None]
    return found
