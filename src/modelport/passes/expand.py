"""Expansions: one node becomes several that the backend has."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import NameFixPass

from modelport.arrays import Array
from modelport.findings import Finding, Severity
from modelport.ir.domains import is_onnx
from modelport.passes.base import Rewrite

Operand = ir.Value | int | float | Sequence[int] | Array | None
"""What a node reads: a value; an integer, or a list of them, for an int64 constant; a float for a
constant of the type of the node's first input that is no constant; an array; None for nothing."""

INSTEAD_OF = "modelport.instead_of"
"""Key of a node's metadata: the operator in whose place it stands, where one became several."""

OLDEST = 16
"""The oldest opset that has the operators written here."""


class Writer:
    """Writes the nodes that take the place of one.

    Attributes:
        node: The node that is replaced.
        opset: The opset of the model.
    """

    def __init__(self, node: ir.Node, opset: int) -> None:
        self.node = node
        self.opset = opset
        self._nodes: list[ir.Node] = []
        self._outer: list[list[ir.Node]] = []

    def __call__(self, operator: str, *inputs: Operand, outputs: int = 1, **attributes: Any) -> Any:
        """Writes a standard operator's node.

        Args:
            operator: Its type.
            inputs: What it reads.
            outputs: How many outputs it has.
            attributes: Its attributes.

        Returns:
            The output; a list where there are several.
        """
        if operator.startswith("Reduce") and operator != "ReduceSum" and self.opset < 18:
            # Their axes were attributes before.
            attributes = {**attributes, **({"axes": inputs[1]} if inputs[1:] else {})}
            inputs = inputs[:1]
        like = next((item for item in inputs if isinstance(item, ir.Value)), None)
        values = [self._value(item, like) for item in inputs]
        while values and values[-1] is None:
            values.pop()
        made = ir.node(
            operator,
            values,
            attributes,
            num_outputs=outputs,
            name=f"{self.node.name or self.node.op_type}/{operator}_{len(self._nodes)}",
            metadata_props={**self.node.metadata_props, INSTEAD_OF: self.node.op_type},
        )
        self._nodes.append(made)
        return made.outputs[0] if outputs == 1 else list(made.outputs)

    def constant(self, array: Array) -> ir.Value:
        """Writes a constant with the values of an array."""
        tensor = ir.tensor(array)
        value: ir.Value = self("Constant", value=tensor)
        value.const_value = tensor
        value.type, value.shape = ir.TensorType(tensor.dtype), ir.Shape(array.shape)
        return value

    def body(self, name: str, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value]) -> ir.Graph:
        """Takes the nodes written since `begin_body` for a graph inside of a node."""
        nodes, self._nodes = self._nodes, self._outer.pop()
        return ir.Graph(inputs, outputs, nodes=nodes, name=name)

    def begin_body(self) -> None:
        """What is written from here on goes into a graph inside of a node; see `body`."""
        self._outer.append(self._nodes)
        self._nodes = []

    def replace(self, outputs: Sequence[ir.Value | None]) -> None:
        """Puts what was written in the node's place.

        Args:
            outputs: What is read in place of each of its outputs; None where nothing reads it.
        """
        graph = self.node.graph
        assert graph is not None
        pairs = [
            (old, new)
            for old, new in zip(self.node.outputs, outputs, strict=True)
            if new is not None
        ]
        for old, new in pairs:
            new.type, new.shape = old.type, old.shape
        ir.convenience.replace_nodes_and_values(
            graph,
            self.node,
            [self.node],
            self._nodes,
            [old for old, _ in pairs],
            [new for _, new in pairs],
        )

    def insert(self, *, after: bool = False) -> None:
        """Puts what was written before the node, which stays, or after it."""
        graph = self.node.graph
        assert graph is not None
        if after:
            graph.insert_after(self.node, self._nodes)
        else:
            graph.insert_before(self.node, self._nodes)

    def _value(self, item: Operand, like: ir.Value | None) -> ir.Value | None:
        if item is None or isinstance(item, ir.Value):
            return item
        if isinstance(item, float):
            dtype = like.dtype if like is not None and like.dtype is not None else _data_type(self)
            return self.constant(np.asarray(item, dtype.numpy()))
        if isinstance(item, np.ndarray):
            return self.constant(item)
        return self.constant(np.asarray(item, np.int64))


def _data_type(write: Writer) -> ir.DataType:
    first = write.node.inputs[0]
    return first.dtype if first is not None and first.dtype is not None else ir.DataType.FLOAT


class Expansion(Rewrite):
    """A pass that puts several nodes in the place of one, by a rule for the node alone.

    Values must have types and shapes; see `modelport.passes.shape_inference.InferShapes`.

    Attributes:
        operators: The standard operators that it looks at.
        lacking: What a backend lacks, for the report.
        instead: What stands there instead.
        oldest: The oldest opset that has the operators written.
        expanded: How many nodes of each operator were replaced.
    """

    operators: ClassVar[tuple[str, ...]]
    lacking: ClassVar[str]
    instead: ClassVar[str]
    oldest: ClassVar[int] = OLDEST

    def __init__(self) -> None:
        super().__init__()
        self.expanded: Counter[str] = Counter()

    @abstractmethod
    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes what takes a node's place.

        Args:
            node: A node of one of `operators`.
            write: Writes nodes in its place.

        Returns:
            What is read in place of each output; None where the node stays.
        """

    def findings(self, backend: str) -> list[Finding]:
        """A note for each operator that was replaced.

        Args:
            backend: The title of the backend, as its makers write it.
        """
        return [
            Finding(
                "rewritten-operator",
                Severity.NOTE,
                f"{backend} lacks {self.lacking}: {count} x {name} became {self.instead}",
            )
            for name, count in self.expanded.items()
        ]

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Expands the nodes that a backend does not take as they are, subgraphs included.

        In a model of an older opset than `oldest` they stay.
        """
        modified = False
        opset = model.opset_imports.get("", 0)
        nodes = [node for node in model.graph.all_nodes() if is_onnx(node, *self.operators)]
        for node in nodes:
            if opset < self.oldest:
                refused = f"opset {opset} is older than {self.oldest}"
                self.decided(node, self.instead, refused=refused)
                continue
            write = Writer(node, opset)
            outputs = self.expand(node, write)
            if outputs is None:
                self.decided(node, self.instead, refused="this form of it stays as it is")
                continue
            self.decided(node, self.instead)
            write.replace(outputs)
            self.expanded[node.op_type] += 1
            modified = True
        if modified:
            # A graph inside of a node names its values without looking at those outside.
            NameFixPass()(model)
        return ir.passes.PassResult(model, modified)


def looked_at(write: Writer, x: Operand, places: Operand) -> ir.Value:
    """What is seen of pictures at places, by bilinear interpolation with zeros outside.

    Args:
        write: Writes the nodes.
        x: [N, C, H, W].
        places: [N, h, w, 2], float32: x before y, in pixels.

    Returns:
        [N, C, h, w].
    """
    shape = write("Cast", write("Shape", x), to=ir.DataType.FLOAT)
    size = write("Gather", shape, [3, 2])
    one, two = np.asarray(1, np.float32), np.asarray(2, np.float32)
    # GridSample's own places go from -1 to 1, from edge to edge.
    grid = write("Sub", write("Div", write("Add", write("Mul", places, two), one), size), one)
    mode = "linear" if write.opset >= 20 else "bilinear"
    seen: ir.Value = write("GridSample", x, write("CastLike", grid, x), mode=mode, align_corners=0)
    return seen
