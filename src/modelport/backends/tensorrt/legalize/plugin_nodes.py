"""Nodes of declared operators, as TensorRT's parser wants the nodes of plugins."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from modelport.backends.tensorrt.plugins.fields import INPUTS_FIELD
from modelport.errors import PassError
from modelport.findings import Finding, Severity
from modelport.ir.constants import tensor_of
from modelport.model import Model
from modelport.ops import registry
from modelport.ops.declaration import Operator
from modelport.passes.base import Rewrite, apply_passes

NAMESPACE, VERSION = "plugin_namespace", "plugin_version"
"""The attributes by which TensorRT's parser finds a plugin's creator."""


class PlugIn(Rewrite):
    """Nodes of operators with a CUDA kernel say which plugin they are.

    The parser looks for a creator by the node's type, the attribute ``plugin_namespace`` (older
    parsers do not look at the domain) and ``plugin_version``. It has no inputs that are absent:
    those that are there move together, and ``modelport_inputs`` says which they are. An attribute
    that the node takes as a constant input becomes an attribute.

    Attributes:
        plugged: The operators met.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plugged: set[str] = set()

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites the nodes.

        Raises:
            PassError: An attribute that comes as an input is no constant.
        """
        bodied = {(domain, name) for domain, name, _ in model.functions}
        for node in list(model.graph.all_nodes()):
            name = f"{node.domain}::{node.op_type}"
            operator = registry.find(name)
            if (
                operator is None
                or not has_kernel(name)
                or (node.domain, node.op_type) in bodied
                or NAMESPACE in node.attributes
            ):
                continue
            self.decided(node, "names its plugin")
            self.plugged.add(operator.qualified_name)
            _plug_in(node, operator)
        return ir.passes.PassResult(model, bool(self.plugged))


def has_kernel(name: str) -> bool:
    """Whether an operator, ``domain::name``, has a CUDA kernel, of which a plugin is made."""
    operator = registry.find(name)
    return operator is not None and "cuda" in operator.kernels


def plug_in(model: Model) -> list[Finding]:
    """Makes the nodes of declared operators that have no body those of plugins.

    Args:
        model: The model, prepared for TensorRT otherwise; changed in place.

    Returns:
        A note for each operator.

    Raises:
        PassError: An attribute that comes as an input is no constant.
    """
    rewrite = PlugIn()
    apply_passes([rewrite], model.ir)
    return [
        Finding(
            "plugin-node",
            Severity.NOTE,
            f"{name} is a plugin: its library is loaded where the engine is built and runs",
        )
        for name in sorted(rewrite.plugged)
    ]


def _plug_in(node: ir.Node, operator: Operator) -> None:
    names = [item.name for item in operator.schema.inputs]
    attributes: dict[str, Any] = dict(node.attributes.items())
    inputs: list[ir.Value] = []
    places: list[int] = []
    last = len(operator.node_inputs) - 1
    for index, value in enumerate(node.inputs):
        if value is None:
            continue
        # A list is the last input, and goes on.
        name, further = operator.node_inputs[min(index, last)], max(index - last, 0)
        if name not in names:
            attributes[name] = _constant(node, operator, name, value)
            continue
        places.append(names.index(name) + further)
        inputs.append(value)
    if places != list(range(len(places))):
        attributes[INPUTS_FIELD] = places
    attributes |= {NAMESPACE: node.domain, VERSION: "1"}
    made = ir.node(
        node.op_type,
        inputs,
        attributes,
        domain=node.domain,
        num_outputs=len(node.outputs),
        name=node.name,
        metadata_props=dict(node.metadata_props),
    )
    owner = node.graph
    assert owner is not None
    ir.convenience.replace_nodes_and_values(owner, node, [node], [made], node.outputs, made.outputs)


def _constant(node: ir.Node, operator: Operator, name: str, value: ir.Value) -> Any:
    tensor = tensor_of(value, default=True)
    if tensor is None:
        raise PassError(
            f"{operator.qualified_name}: {name!r} must be a constant for a TensorRT plugin",
            where=f"node {node.name!r}",
            why="it is an attribute of the operator, which comes as an input of the node",
            fix="make it a constant of the graph, or declare it as an input of the operator",
        )
    number = tensor.numpy().item()
    kind = next(item.kind for item in operator.schema.attributes if item.name == name)
    return float(number) if kind == "float" else int(number)
