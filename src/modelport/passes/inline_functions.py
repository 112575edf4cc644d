"""Function bodies in place of nodes: what a backend lacks, said in operators that it has."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import (
    InlinePass,
    NameFixPass,
    RemoveUnusedFunctionsPass,
    RemoveUnusedOpsetsPass,
)

from modelport.errors import PassError
from modelport.findings import Finding, Severity
from modelport.ir.domains import DEFAULT_DOMAIN, qualified_name, schema_domain
from modelport.ir.subgraphs import has_subgraphs
from modelport.model import Model
from modelport.passes.base import Rewrite, apply_passes
from modelport.passes.shape_inference import InferShapes, forget_inferred_names

Lacks = Callable[[ir.Node], bool]
"""Whether a backend lacks a node's operator, or the form of it that the node has."""

_NESTED = 10
"""How deep bodies may lie in each other."""


class InlineBodies(Rewrite):
    """Nodes of operators that a backend lacks become their bodies, subgraphs included.

    A body is a function of the model or, for the standard's own operators, the function that
    ONNX defines it by (for some it depends on the types of the node's inputs). Bodies inside of
    bodies are inlined as well. Nodes without a body stay.

    Args:
        lacks: Whether the backend lacks what a node computes.

    Attributes:
        inlined: How many nodes became their bodies, by ``domain::type``, or the type alone where
            it is the standard's.
    """

    def __init__(self, lacks: Lacks) -> None:
        super().__init__()
        self._lacks = lacks
        self.inlined: Counter[str] = Counter()

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Inlines until no node that is lacked has a body.

        Raises:
            PassError: A body is written for another opset than the model's, and its operators
                changed in between; bodies call each other in a circle, or take graphs.
        """
        modified = False
        for _ in range(_NESTED):
            self._attach_standard_bodies(model)
            called = [
                node
                for node in model.graph.all_nodes()
                if node.op_identifier() in model.functions and self._lacks(node)
            ]
            if not called:
                break
            for node in called:
                self.decided(node, "its body in its place")
            self.inlined += Counter(map(qualified_name, called))
            modified = True
            _inline(model, {node.op_identifier() for node in called})
        for node in model.graph.all_nodes():
            if node.domain in DEFAULT_DOMAIN and self._lacks(node):
                self.decided(node, "its body in its place", refused="ONNX defines none for it")
        if modified:
            NameFixPass()(model)
        return ir.passes.PassResult(model, modified)

    def _attach_standard_bodies(self, model: ir.Model) -> None:
        """Makes functions of the model of those by which ONNX defines its own operators."""
        nodes = [
            node
            for node in model.graph.all_nodes()
            if node.domain in DEFAULT_DOMAIN
            and node.op_identifier() not in model.functions
            and self._lacks(node)
        ]
        if not nodes:
            return
        InferShapes()(model)
        overloads = itertools.count()
        for node in nodes:
            body = _standard_body(node, model.opset_imports.get("", 0))
            if body is None:
                continue
            while (key := (node.domain, node.op_type, f"inline{next(overloads)}")) in (
                model.functions
            ):
                pass
            body.domain, body.overload, node.overload = node.domain, key[2], key[2]
            model.functions[key] = body
        forget_inferred_names(model)


def inline_bodies(model: Model, lacks: Lacks, backend: str) -> list[Finding]:
    """Puts the bodies of operators that a backend lacks in place of their nodes.

    Args:
        model: The model; changed in place.
        lacks: Whether the backend lacks what a node computes.
        backend: The backend's name, for the notes.

    Returns:
        A note for each operator that was inlined.

    Raises:
        PassError: A body does not fit the model's opset, or bodies call each other in a circle.
    """
    inlining = InlineBodies(lacks)
    apply_passes([inlining], model.ir)
    return [
        Finding(
            "inlined-body",
            Severity.NOTE,
            f"{backend} has no {name}: {_nodes(count)} became the standard operators of its body",
        )
        for name, count in inlining.inlined.items()
    ]


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _inline(model: ir.Model, lacked: set[ir.OperatorIdentifier]) -> None:
    for key in lacked:
        _require_opset(model, model.functions[key])
    apply_passes([InlinePass(lambda function: function.identifier() in lacked)], model)
    RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]
    RemoveUnusedOpsetsPass()(model)


def _require_opset(model: ir.Model, function: ir.Function) -> None:
    """Lets a function import what the model imports, where its operators mean the same there."""
    for domain, version in function.opset_imports.items():
        wanted = model.opset_imports.get(domain, version)
        if wanted == version:
            continue
        for node in function.all_nodes():
            if node.domain == domain and not _means_the_same(node, version, wanted):
                raise PassError(
                    f"the body of {function.domain}::{function.name} cannot be inlined",
                    where=f"node {node.name!r} ({node.op_type})",
                    why=f"it is written for opset {version} of {domain or 'ai.onnx'!r}, the model "
                    f"has {wanted}, and {node.op_type} changed in between",
                    fix=f"export the model, or write the function, with opset {wanted}",
                )
        function.opset_imports[domain] = wanted


def _means_the_same(node: ir.Node, version: int, other: int) -> bool:
    """Whether a node's inputs, attributes and defaults are the same in two opsets.

    Most versions of an operator only add types, or attributes whose defaults change nothing.
    """
    domain = schema_domain(node.domain)
    low, high = sorted((version, other))
    if not (onnx.defs.has(node.op_type, low, domain) and onnx.defs.has(node.op_type, high, domain)):
        return not onnx.defs.has(node.op_type, domain)
    old = onnx.defs.get_schema(node.op_type, low, domain)
    new = onnx.defs.get_schema(node.op_type, high, domain)
    if old.since_version == new.since_version:
        return True
    count = len(node.inputs)
    return (
        new.min_input <= count
        and [item.name for item in old.inputs][:count] == [item.name for item in new.inputs][:count]
        and all(name in old.attributes and name in new.attributes for name in node.attributes)
        and all(
            _default(old, name) == _default(new, name)
            for name in set(old.attributes) - set(node.attributes)
        )
    )


def _default(schema: onnx.defs.OpSchema, name: str) -> Any:
    """An attribute's default; None where there is none."""
    attribute = schema.attributes.get(name)
    if attribute is None or not attribute.default_value.type:
        return None
    return ir.serde.deserialize_attribute(attribute.default_value).value


def _standard_body(node: ir.Node, opset: int) -> ir.Function | None:
    """The function by which ONNX defines a node; None where it does not, or by another opset."""
    if has_subgraphs(node):
        return None
    if not onnx.defs.has(node.op_type, opset, ""):
        return None
    schema: Any = onnx.defs.get_schema(node.op_type, opset, "")
    versions = [
        *((version, False) for version in schema.function_opset_versions),
        *((version, True) for version in schema.context_dependent_function_opset_versions),
    ]
    fitting = [entry for entry in versions if entry[0] <= opset]
    for version, in_context in sorted(fitting, reverse=True):
        data = (
            _of_context(schema, version, node)
            if in_context
            else (schema.get_function_with_opset_version(version))
        )
        if not data:
            continue
        proto = onnx.FunctionProto.FromString(data)
        # A body need not make what its node leaves out.
        del proto.output[len(node.outputs) :]
        if not {*proto.output} <= {name for inner in proto.node for name in inner.output}:
            continue
        function = ir.from_proto(proto)
        assert isinstance(function, ir.Function)
        if all(_means_the_same(inner, version, opset) for inner in function.all_nodes()):
            function.opset_imports[""] = opset
            _set_defaults(function, schema)
            return function
    return None


def _set_defaults(function: ir.Function, schema: Any) -> None:
    """Gives a function's attributes the defaults of its operator, which its proto leaves out."""
    for name in function.attributes:
        default = schema.attributes[name].default_value
        if default.type:
            attribute = ir.serde.deserialize_attribute(default)
            function.attributes[name] = ir.Attr(name, attribute.type, attribute.value)


def _of_context(schema: Any, version: int, node: ir.Node) -> bytes:
    """The function of a node by the types of its inputs; empty where one is not known."""
    types = []
    for value in node.inputs:
        if value is not None and value.type is None:
            return b""
        proto = onnx.TypeProto()
        if value is not None:
            assert value.type is not None
            ir.serde.serialize_type_into(proto, value.type)
            if value.shape is not None:
                ir.serde.serialize_shape_into(proto, value.shape)
        types.append(proto.SerializeToString())
    own = ir.to_proto(node)
    assert isinstance(own, onnx.NodeProto)
    body: bytes = schema.get_context_dependent_function_with_opset_version(
        version, own.SerializeToString(), types
    )
    return body
