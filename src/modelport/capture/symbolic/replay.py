"""Runs a symbolic function on a real TorchScript graph, and moves the nodes to the new exporter.

The old exporter calls a symbolic function with values of a TorchScript graph. The same is done
here for one operator at a time, so that whatever the function and PyTorch's helpers do with
those values works unchanged, and PyTorch's own pass promotes the scalar types.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch
from onnx_ir import tensor_adapters

from modelport.capture.torch_private import graphs, symbolics
from modelport.errors import ExportError, ModelportError
from modelport.ir.subgraphs import subgraphs

_LIBRARIES = tuple(str(Path(file).parent) for file in (torch.__file__, __file__, graphs.__file__))


class Replay:
    """One operator on its way from the exported program to ONNX nodes.

    Attributes:
        operands: The tensors that the operator takes, by the graph's input.
    """

    def __init__(self, opset: int) -> None:
        # The nodes are those of the opset that was asked for; above what PyTorch's serializer
        # knows, no symbolic function or helper differs.
        self._target = opset
        self._opset = min(opset, graphs.MAX_REPLAY_OPSET)
        self._graph = graphs.new_graph()
        self._context = graphs.new_context(self._graph, self._opset)
        self._operands: dict[int, tuple[ir.Value, Any]] = {}

    def tensor(self, value: ir.Value) -> Any:
        """The graph's value for a tensor of the exported program."""
        if id(value) not in self._operands:
            stand_in = self._graph.addInput(f"operand_{len(self._operands)}")
            stand_in.setType(graphs.tensor_type(_dtype_of(value), _sizes_of(value)))
            self._operands[id(value)] = (value, stand_in)
        return self._operands[id(value)][1]

    def constant(self, value: Any) -> Any:
        """A constant as the old exporter passes it to a registered symbolic function."""
        if value is None:
            return graphs.none_value(self._graph)
        if isinstance(value, ir.Value):
            return self.tensor(value)
        if isinstance(value, list | tuple):
            return graphs.list_value(self._graph, [self.constant(item) for item in value])
        if isinstance(value, str):
            return self._context.op("Constant", value_s=value)
        # As PyTorch holds Python numbers: float64 and int64; its pass casts them where needed.
        dtype = torch.float64 if isinstance(value, float) else None
        return self._context.op("Constant", value_t=torch.tensor(value, dtype=dtype))

    def call(self, symbolic: Callable[..., Any], args: Sequence[Any], name: str) -> list[Any]:
        """Calls a symbolic function.

        Args:
            symbolic: The function, without ``g``.
            args: Its further arguments: values of this graph, or constants.
            name: The operator, for messages.

        Returns:
            The values, or None, that it returns.

        Raises:
            ExportError: It raised an error, or returned something else.
        """
        try:
            with graphs.export_opset(self._opset):
                result = symbolic(self._context, *args)
        except ModelportError:
            raise
        except Exception as error:  # the user's symbolic function may raise anything
            raise ExportError(
                f"the symbolic function of {name} failed: {error}",
                where=_place_in_user_code(error),
                why=f"it raised {type(error).__name__} at opset {self._opset}",
                fix="correct the function there",
            ) from error
        results = list(result) if isinstance(result, tuple | list) else [result]
        for item in results:
            if item is not None and not graphs.is_value(item):
                raise ExportError(
                    f"the symbolic function of {name} returned a {type(item).__name__}",
                    why="it must return what g.op(...) gives, or a tuple of that",
                    fix="return the result of g.op(...)",
                )
        return results

    def emit(self, results: Sequence[Any], prefix: str) -> tuple[list[ir.Value], Emitted]:
        """Moves the nodes into what the new exporter is translating.

        Args:
            results: Values of this graph.
            prefix: What the names of nodes and values begin with.

        Returns:
            The results in the new graph, and what was emitted.
        """
        for result in results:
            self._graph.registerOutput(result)
        serialized = graphs.serialize(self._graph, self._opset)
        graph = ir.from_proto(onnx.load_from_string(serialized)).graph
        recorder = symbolics.recorder()
        unused = self._connect(graph)
        outputs, identities = _separate_outputs(graph)
        nodes = list(graph)
        _rename(nodes, prefix)
        graph.outputs.clear()
        graph.remove(nodes)
        for node in _all_nodes([*nodes, *identities]):
            node.version = self._target if node.domain == "" else 1
            _trim(node)
        recorder.nodes.extend([*nodes, *identities])
        for function in self._context.script_functions:
            recorder.functions[(function.opset.domain, function.name, "")] = function
        return outputs, Emitted(nodes, unused, self._script_functions())

    def _script_functions(self) -> set[tuple[str, str]]:
        return {(f.opset.domain, f.name) for f in self._context.script_functions}

    def _connect(self, graph: ir.Graph) -> list[ir.Value]:
        """Replaces the graph's inputs by the real tensors; returns those that nothing reads."""
        unused = []
        for stand_in, (value, _) in zip(graph.inputs, self._operands.values(), strict=True):
            if not stand_in.uses() and not stand_in.is_graph_output():
                unused.append(value)
            stand_in.replace_all_uses_with(value, replace_graph_outputs=True)
        return unused


class Emitted:
    """What a symbolic function emitted.

    Attributes:
        nodes: The nodes, those in subgraphs included.
        unused: The tensors of the operator that no node reads.
        with_body: Operators that have an ONNX Script function as body.
    """

    def __init__(
        self, nodes: list[ir.Node], unused: list[ir.Value], with_body: set[tuple[str, str]]
    ) -> None:
        self.nodes = list(_all_nodes(nodes))
        self.unused = unused
        self.with_body = with_body


def _separate_outputs(graph: ir.Graph) -> tuple[list[ir.Value], list[ir.Node]]:
    """Gives every output a value of its own: the exporter renames what it gets."""
    outputs: list[ir.Value] = []
    identities = []
    own = {output for node in graph for output in node.outputs}
    for output in graph.outputs:
        if output in own and output not in outputs:
            outputs.append(output)
            continue
        identity = ir.node("Identity", [output])
        identities.append(identity)
        outputs.append(identity.outputs[0])
    return outputs, identities


def _trim(node: ir.Node) -> None:
    """Drops absent inputs at the end: a kernel counts the inputs that it is given."""
    count = len(node.inputs)
    while count and node.inputs[count - 1] is None:
        count -= 1
    node.resize_inputs(count)


def _rename(nodes: list[ir.Node], prefix: str) -> None:
    """Makes names unique, and drops guessed types: the exported program knows them."""
    for node in _all_nodes(nodes):
        node.name = f"{prefix}/{node.name or node.op_type}"
        inner = [value for graph in subgraphs(node) for value in graph.inputs]
        for value in [*node.outputs, *inner]:
            value.name = f"{prefix}/{value.name}"
            if value not in inner:
                value.type = None
                value.shape = None


def _all_nodes(nodes: Sequence[ir.Node]) -> list[ir.Node]:
    found = []
    for node in nodes:
        found.append(node)
        for graph in subgraphs(node):
            found.extend(_all_nodes(list(graph)))
    return found


def _dtype_of(value: ir.Value) -> torch.dtype | None:
    return None if value.dtype is None else tensor_adapters.to_torch_dtype(value.dtype)


def _sizes_of(value: ir.Value) -> list[int | None] | None:
    if value.shape is None:
        return None
    return [dim if isinstance(dim, int) else None for dim in value.shape]


def _place_in_user_code(error: BaseException) -> str:
    """``file:line`` of the innermost frame that is neither PyTorch's nor modelport's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""
