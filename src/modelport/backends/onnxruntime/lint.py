"""What ONNX Runtime's CPU provider will refuse or convert in a graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelport.backends.engine_faults import (
    ALIGNED_BY_SCALES,
    Fault,
    fault_findings,
    reads_causal_products,
)
from modelport.findings import Finding, Severity
from modelport.ir.domains import STANDARD_DOMAINS, schema_domain
from modelport.ir.values import input_of

if TYPE_CHECKING:
    import onnx
    import onnx_ir

_KNOWN_DOMAINS = STANDARD_DOMAINS - {"ai.onnx.preview"}
"""ONNX Runtime 1.31 registers nothing of the other one, not even functions."""


def _without_kernel(model: onnx_ir.Model) -> Iterable[Finding]:
    """Operators, or their types, that no CPU kernel computes."""
    from modelport.ops.catalog.kernels import listed_kernels

    listed = listed_kernels()
    bodies = {(key[0], key[1]) for key in model.functions}
    for node in model.graph.all_nodes():
        where = node.name or node.op_type
        if (node.domain, node.op_type) in bodies or node.domain.startswith("com.microsoft"):
            continue
        if node.domain not in _KNOWN_DOMAINS:
            yield Finding(
                "no-kernel",
                Severity.ERROR,
                f"{node.domain}::{node.op_type} is no operator of ONNX: it needs a library of "
                "kernels",
                where,
                "register the operator's library, or give the model a function of that name",
            )
            continue
        schema = _schema(model, node)
        if schema is None:
            yield Finding(
                "unknown-operator",
                Severity.ERROR,
                f"opset {model.opset_imports.get(node.domain)} has no operator {node.op_type}",
                where,
                "convert the model to the opset that brought it",
            )
        elif listed is not None and not _has_body(schema):
            # The list calls the default domain by its long name or by none.
            domains = {node.domain, schema_domain(node.domain)}
            kernels = [k for domain in domains for k in listed.get((domain, node.op_type), ())]
            if not any(kernel.serves(schema.since_version) for kernel in kernels):
                yield Finding(
                    "no-kernel",
                    Severity.ERROR,
                    f"ONNX Runtime has no CPU kernel for {node.op_type} of opset "
                    f"{schema.since_version}",
                    where,
                    "convert the model to another opset, or write the operator with others",
                )


def _schema(model: onnx_ir.Model, node: onnx_ir.Node) -> onnx.defs.OpSchema | None:
    import onnx

    domain = schema_domain(node.domain)
    version = model.opset_imports.get(node.domain, model.opset_imports.get(domain, 1))
    try:
        return onnx.defs.get_schema(node.op_type, version, domain)
    except onnx.defs.SchemaError:
        return None


def _has_body(schema: onnx.defs.OpSchema) -> bool:
    """Whether the standard writes the operator with others, which the runtime does then."""
    kinds = ("has_function", "has_context_dependent_function")
    return any(getattr(schema, kind, False) for kind in kinds)


def _half_on_cpu(model: onnx_ir.Model) -> Iterable[Finding]:
    """Arithmetic in 16 bits, which the CPU provider wraps in casts."""
    import onnx_ir

    halves = (onnx_ir.DataType.FLOAT16, onnx_ir.DataType.BFLOAT16)
    nodes = [
        node
        for node in model.graph.all_nodes()
        if node.op_type in ("Conv", "MatMul", "Gemm", "LSTM", "GRU")
        and any(value.dtype in halves for value in node.outputs)
    ]
    if nodes:
        yield Finding(
            "half-on-cpu",
            Severity.WARNING,
            f"{len(nodes)} nodes compute in 16 bits, which the CPU provider mostly does by casts "
            "to float32 and back: it is slower than float32",
            nodes[0].name or nodes[0].op_type,
            "keep float32 for the CPU",
        )


def _too_new(model: onnx_ir.Model) -> Iterable[Finding]:
    """An opset that ONNX Runtime does not know yet."""
    from modelport.ops.catalog.kernels import listed_kernels

    version = model.opset_imports.get("", 0)
    kernels = listed_kernels() or {}
    newest = max((k.since for (d, _), found in kernels.items() if not d for k in found), default=0)
    if newest and version > newest:
        yield Finding(
            "opset-too-new",
            Severity.WARNING,
            f"the model is of opset {version}; ONNX Runtime's newest kernels are of {newest}",
            fix=f"convert it: modelport graph edit MODEL --opset {newest}",
        )


TITLE = "ONNX Runtime 1.31"

FAULTS = (
    ALIGNED_BY_SCALES,
    Fault(
        "Attention",
        "with is_causal and the product of queries and keys as an output",
        reads_causal_products,
    ),
    Fault("MaxUnpool", "with an output_shape", lambda node: input_of(node, 2) is not None),
)


def _faults(model: onnx_ir.Model) -> Iterable[Finding]:
    """Nodes that ONNX Runtime computes wrongly."""
    return fault_findings(TITLE, FAULTS, model)


RULES = (_without_kernel, _faults, _half_on_cpu, _too_new)
