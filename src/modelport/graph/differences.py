"""Structural differences of two models, independent of names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.graph.copies import ir_of
from modelport.graph.format import attribute_text, operator_text, shown, type_text
from modelport.graph.tensors import numeric, read_array

if TYPE_CHECKING:
    import onnx_ir

    from modelport.model import Model


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        kind: ``added``, ``removed`` or ``changed``.
        what: What it is about: ``node``, ``input``, ``output``, ``opset`` or ``function``.
        before: Its name in the first model; empty where it is not there.
        after: Its name in the second one.
        text: What differs.
    """

    kind: str
    what: str
    before: str
    after: str
    text: str

    def __str__(self) -> str:
        names = (
            self.before
            if self.before == self.after
            else " -> ".join(filter(None, (self.before, self.after)))
        )
        return f"{self.kind} {self.what} {names}: {self.text}"


@dataclass(frozen=True)
class Difference:
    """Result of `diff`.

    Attributes:
        changes: The differences, those of inputs and outputs first.
        matched: Nodes that are in both models.
    """

    changes: tuple[Change, ...]
    matched: int

    @property
    def same(self) -> bool:
        """True if the models compute the same in the same way."""
        return not self.changes

    def to_json(self) -> dict[str, Any]:
        """The whole as plain dicts and lists."""
        return {
            "same": self.same,
            "matched": self.matched,
            "changes": [asdict(c) for c in self.changes],
        }


def diff(a: Model | onnx_ir.Model, b: Model | onnx_ir.Model) -> Difference:
    """Compares two models by structure.

    Nodes are matched by what they compute from the inputs, then by what is made of their results,
    then by their neighbours; names of nodes and of inner tensors never count. Weights are
    compared by value.

    Args:
        a: The first model.
        b: The second one.

    Returns:
        What was added, removed or changed from the first to the second.

    Raises:
        UsageError: A weight cannot be read.
    """
    first, second = ir_of(a), ir_of(b)
    changes = [*_interface(first, second), *_opsets(first, second), *_functions(first, second)]
    matching = _Matching(_Side(first.graph), _Side(second.graph))
    changes += matching.changes()
    return Difference(tuple(changes), len(matching.pairs))


def _interface(a: onnx_ir.Model, b: onnx_ir.Model) -> Iterable[Change]:
    for what in ("input", "output"):
        before, after = (
            [v for v in getattr(m.graph, f"{what}s") if not v.is_initializer()] for m in (a, b)
        )
        for one, other in zip(before, after, strict=False):
            names = shown(one.name), shown(other.name)
            texts = [type_text(one), type_text(other)]
            if names[0] != names[1] or texts[0] != texts[1]:
                text = " -> ".join(dict.fromkeys(texts))
                yield Change("changed", what, *names, text)
        for value in before[len(after) :]:
            yield Change("removed", what, shown(value.name), "", type_text(value))
        for value in after[len(before) :]:
            yield Change("added", what, "", shown(value.name), type_text(value))


def _opsets(a: onnx_ir.Model, b: onnx_ir.Model) -> Iterable[Change]:
    for domain in sorted({*a.opset_imports, *b.opset_imports}):
        versions = [model.opset_imports.get(domain) for model in (a, b)]
        if versions[0] != versions[1]:
            name = domain or "ai.onnx"
            yield Change("changed", "opset", name, name, f"{versions[0]} -> {versions[1]}")


def _functions(a: onnx_ir.Model, b: onnx_ir.Model) -> Iterable[Change]:
    for key in sorted({*a.functions, *b.functions}):
        name = f"{key[0]}::{key[1]}"
        if key not in b.functions:
            yield Change("removed", "function", name, "", "")
        elif key not in a.functions:
            yield Change("added", "function", "", name, "")
        elif _graph_key(a.functions[key].graph, {}) != _graph_key(b.functions[key].graph, {}):
            yield Change("changed", "function", name, name, "the body differs")


class _Side:
    """One model's nodes, with a key of what each computes and of what becomes of it."""

    def __init__(self, graph: onnx_ir.Graph) -> None:
        self.nodes = list(graph)
        self.values: dict[onnx_ir.Value, Hashable] = {}
        self.local = {}
        _keys_of_given(graph, self.values)
        self.forward: dict[onnx_ir.Node, Hashable] = {}
        for node in self.nodes:
            self.local[node] = _local_key(node, self.values)
            self.forward[node] = _node_key(node, self.local[node], self.values)
        self.readers: dict[onnx_ir.Value, list[tuple[onnx_ir.Node, int]]] = defaultdict(list)
        for node in self.nodes:
            for index, value in enumerate(node.inputs):
                if value is not None:
                    self.readers[value].append((node, index))
        results = {value: index for index, value in enumerate(graph.outputs)}
        self.backward: dict[onnx_ir.Node, Hashable] = {}
        for node in reversed(self.nodes):
            uses = [
                sorted(
                    [
                        *([f"out{results[value]}"] if value in results else []),
                        *(
                            f"{self.backward[r]}{p}"
                            for r, p in self.readers[value]
                            if r in self.backward
                        ),
                    ]
                )
                for value in node.outputs
            ]
            self.backward[node] = _digest(node.op_type, node.domain, len(node.inputs), uses)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _keys_of_given(graph: onnx_ir.Graph, keys: dict[onnx_ir.Value, Hashable]) -> None:
    inputs = [value for value in graph.inputs if not value.is_initializer()]
    for index, value in enumerate(inputs):
        keys[value] = f"input {index}"
    for value in graph.initializers.values():
        keys[value] = _weight_key(value)


def _weight_key(value: onnx_ir.Value) -> str:
    if value.const_value is None:
        return f"weight {type_text(value)}"
    array = read_array(value.name or "", value.const_value)
    data = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    return _digest(value.const_value.dtype, array.shape, hashlib.sha256(data).hexdigest())


def _local_key(node: onnx_ir.Node, keys: Mapping[onnx_ir.Value, Hashable]) -> str:
    attributes = {
        name: _attribute_key(node.attributes[name], keys) for name in sorted(node.attributes)
    }
    return _digest(node.domain, node.op_type, node.overload, attributes)


def _attribute_key(attribute: onnx_ir.Attr, keys: Mapping[onnx_ir.Value, Hashable]) -> str:
    import onnx_ir

    kinds = onnx_ir.AttributeType
    if attribute.is_ref():
        return f"@{attribute.ref_attr_name}"
    if attribute.type is kinds.GRAPH:
        return _graph_key(attribute.as_graph(), keys)
    if attribute.type is kinds.GRAPHS:
        return repr([_graph_key(graph, keys) for graph in attribute.as_graphs()])
    if attribute.type is kinds.TENSOR:
        tensor = attribute.as_tensor()
        array = read_array(attribute.name, tensor)
        data = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        return _digest(tensor.dtype, array.shape, hashlib.sha256(data).hexdigest())
    return repr(attribute.value)


def _graph_key(graph: onnx_ir.Graph, outer: Mapping[onnx_ir.Value, Hashable]) -> str:
    keys = dict(outer)
    for index, value in enumerate(graph.inputs):
        keys[value] = f"inner {index}"
    for value in graph.initializers.values():
        keys[value] = _weight_key(value)
    nodes = [_node_key(node, _local_key(node, keys), keys) for node in graph]
    return _digest(sorted(map(str, nodes)), [keys.get(value) for value in graph.outputs])


def _node_key(node: onnx_ir.Node, local: str, keys: dict[onnx_ir.Value, Hashable]) -> str:
    key = _digest(local, [None if value is None else keys.get(value) for value in node.inputs])
    for index, value in enumerate(node.outputs):
        keys[value] = f"{key}{index}"
    return key


class _Matching:
    def __init__(self, a: _Side, b: _Side) -> None:
        self._a, self._b = a, b
        self.pairs: dict[onnx_ir.Node, onnx_ir.Node] = {}
        self._taken: set[onnx_ir.Node] = set()
        self._by_key(a.forward, b.forward)
        self._by_key(
            {node: (a.backward[node], a.local[node]) for node in a.nodes},
            {node: (b.backward[node], b.local[node]) for node in b.nodes},
        )
        self._by_key(a.backward, b.backward)
        self._by_neighbours()
        rest = [(s.local, [n for n in s.nodes if not self._has(n)]) for s in (a, b)]
        self._by_key(*({node: keys[node] for node in nodes} for keys, nodes in rest))

    def _has(self, node: onnx_ir.Node) -> bool:
        return node in self.pairs or node in self._taken

    def _pair(self, one: onnx_ir.Node, other: onnx_ir.Node) -> None:
        self.pairs[one] = other
        self._taken.add(other)

    def _by_key(
        self, first: Mapping[onnx_ir.Node, Hashable], second: Mapping[onnx_ir.Node, Hashable]
    ) -> None:
        waiting: dict[Hashable, list[onnx_ir.Node]] = defaultdict(list)
        for node, key in second.items():
            if not self._has(node):
                waiting[key].append(node)
        for node, key in first.items():
            if not self._has(node) and waiting.get(key):
                self._pair(node, waiting[key].pop(0))

    def _by_neighbours(self) -> None:
        """Nodes of one operator that stand at the same place of a matched node."""
        waiting = list(self.pairs.items())
        while waiting:
            one, other = waiting.pop(0)
            candidates = [
                (x.producer(), y.producer())
                for x, y in zip(one.inputs, other.inputs, strict=False)
                if x is not None and y is not None
            ]
            for x, y in zip(one.outputs, other.outputs, strict=False):
                for reader, index in self._a.readers[x]:
                    same = [r for r, p in self._b.readers[y] if p == index]
                    candidates += [(reader, r) for r in same]
            for x_node, y_node in candidates:
                if x_node is None or y_node is None or self._has(x_node) or self._has(y_node):
                    continue
                known = x_node in self._a.local and y_node in self._b.local
                if known and (x_node.domain, x_node.op_type) == (y_node.domain, y_node.op_type):
                    self._pair(x_node, y_node)
                    waiting.append((x_node, y_node))

    def changes(self) -> Iterable[Change]:
        for node in self._a.nodes:
            if node not in self.pairs:
                yield Change("removed", "node", _name(node), "", operator_text(node))
            else:
                other = self.pairs[node]
                text = "; ".join(self._parts(node, other))
                if text:
                    text = f"{operator_text(node)}: {text}"
                    yield Change("changed", "node", _name(node), _name(other), text)
        for node in self._b.nodes:
            if node not in self._taken:
                yield Change("added", "node", "", _name(node), operator_text(node))

    def _parts(self, one: onnx_ir.Node, other: onnx_ir.Node) -> Iterable[str]:
        if self._a.local[one] != self._b.local[other]:
            yield from _attributes(one, other, self._a.values, self._b.values)
        if len(one.inputs) != len(other.inputs):
            yield f"{len(one.inputs)} inputs -> {len(other.inputs)}"
        for index, (x, y) in enumerate(zip(one.inputs, other.inputs, strict=False)):
            if not self._equal(x, y):
                yield f"input {index}: {_source(x, y)}"

    def _equal(self, x: onnx_ir.Value | None, y: onnx_ir.Value | None) -> bool:
        if x is None or y is None:
            return x is y
        maker, other = x.producer(), y.producer()
        if maker is None or other is None:
            return maker is other and self._a.values.get(x) == self._b.values.get(y)
        return self.pairs.get(maker) is other and x.index() == y.index()


def _attributes(
    one: onnx_ir.Node,
    other: onnx_ir.Node,
    keys: Mapping[onnx_ir.Value, Hashable],
    other_keys: Mapping[onnx_ir.Value, Hashable],
) -> Iterable[str]:
    if (one.domain, one.op_type) != (other.domain, other.op_type):
        yield f"operator -> {operator_text(other)}"
    for name in sorted({*one.attributes, *other.attributes}):
        x, y = one.attributes.get(name), other.attributes.get(name)
        if x is None or y is None or _attribute_key(x, keys) != _attribute_key(y, other_keys):
            texts = ["(default)" if item is None else attribute_text(item) for item in (x, y)]
            yield f"{shown(name)} = {texts[0]} -> {texts[1]}"


def _source(x: onnx_ir.Value | None, y: onnx_ir.Value | None) -> str:
    """The difference between the inputs of two nodes, in words."""
    if x is not None and y is not None and x.const_value is not None and y.const_value is not None:
        before, after = (read_array(v.name or "", v.const_value) for v in (x, y) if v.const_value)
        if before.shape != after.shape or before.dtype != after.dtype:
            kinds = [f"{array.dtype}{list(array.shape)}" for array in (before, after)]
            return f"weight {shown(x.name)}: {' -> '.join(kinds)}"
        one, other = numeric(before), numeric(after)
        if one is not None and other is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                largest = float(np.max(np.abs(one - other)))
            return f"weight {shown(x.name)}: values differ by up to {largest:.4g}"
    names = ["(left out)" if value is None else shown(value.name) for value in (x, y)]
    return f"{names[0]} -> {names[1]}"


def _name(node: onnx_ir.Node) -> str:
    return shown(node.name or next((v.name for v in node.outputs if v.name), "") or node.op_type)
