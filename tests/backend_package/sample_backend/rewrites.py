"""Rewrites of what the runtime lacks."""

from __future__ import annotations

import onnx_ir as ir

from modelport import Finding, Model, Severity


def replace_softplus(model: Model) -> list[Finding]:
    """Replaces Softplus by ``max(x, 0) + log(1 + exp(-|x|))``, which does not overflow."""
    findings = []
    for node in list(model.ir.graph):
        if node.op_type == "Softplus":
            _replace(model.ir.graph, node)
            message = "Softplus becomes Log, Exp and Add, which the sample backend has"
            findings.append(Finding("sample-softplus", Severity.NOTE, message, node.name or ""))
    return findings


def _replace(graph: ir.Graph, node: ir.Node) -> None:
    (x,) = node.inputs
    assert x is not None
    result = node.outputs[0]
    made: list[ir.Node] = []

    def then(operator: str, *inputs: ir.Value) -> ir.Value:
        made.append(ir.node(operator, inputs))
        made[-1].outputs[0].dtype = result.dtype
        return made[-1].outputs[0]

    dtype = result.dtype or ir.DataType.FLOAT
    one = ir.node("Constant", [], {"value": ir.tensor([1.0], dtype=dtype)})
    made.append(one)
    tail = then("Log", then("Add", then("Exp", then("Neg", then("Abs", x))), one.outputs[0]))
    total = then("Add", then("Relu", x), tail)
    total.shape, total.name = result.shape, result.name
    graph.insert_before(node, made)
    ir.convenience.replace_all_uses_with(result, total, replace_graph_outputs=True)
    graph.remove(node, safe=True)
