"""Domains of operators: which are ONNX's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir

DEFAULT_DOMAIN = frozenset({"", "ai.onnx"})
"""The two spellings of the domain of ONNX's operator set."""

STANDARD_DOMAINS = DEFAULT_DOMAIN | {"ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"}
"""All domains that ONNX defines operators for. Which version has an operator is another question:
`onnx.defs` answers it."""


def schema_domain(domain: str) -> str:
    """A domain as `onnx.defs` spells it: the default domain is the empty string."""
    return "" if domain in DEFAULT_DOMAIN else domain


def is_onnx(node: onnx_ir.Node, *operators: str) -> bool:
    """Return True if a node is one of the named operators of the default domain."""
    return node.domain in DEFAULT_DOMAIN and node.op_type in operators


def onnx_nodes(nodes: Iterable[onnx_ir.Node], *operators: str) -> list[onnx_ir.Node]:
    """Those nodes that are one of the named operators of the default domain."""
    return [node for node in nodes if is_onnx(node, *operators)]


def qualified_name(node: onnx_ir.Node) -> str:
    """``domain::type`` of a node's operator; the type alone in the default domain."""
    domain = schema_domain(node.domain)
    return f"{domain}::{node.op_type}" if domain else node.op_type
