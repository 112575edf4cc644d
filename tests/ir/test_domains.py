"""Domains: those that ONNX defines operators for."""

from __future__ import annotations

from pathlib import Path

import onnx.defs
import onnx_ir
import pytest

from modelport import Model
from modelport.ir.domains import STANDARD_DOMAINS, is_onnx, qualified_name, schema_domain
from modelport.passes import lint_for
from tests.support import onnx_text


def test_standard_domains_are_those_of_the_schemas() -> None:
    defined = {schema.domain for schema in onnx.defs.get_all_schemas_with_history()}
    assert {schema_domain(domain) for domain in STANDARD_DOMAINS} == defined


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_both_spellings_of_the_default_domain_are_one(domain: str) -> None:
    node = onnx_ir.node("Add", [], domain=domain)
    assert is_onnx(node, "Add", "Sub")
    assert not is_onnx(node, "Sub")
    assert qualified_name(node) == "Add"


def test_other_domains_are_named() -> None:
    node = onnx_ir.node("Add", [], domain="ai.onnx.ml")
    assert not is_onnx(node, "Add")
    assert qualified_name(node) == "ai.onnx.ml::Add"


def test_training_operator_is_one_of_onnx(tmp_path: Path) -> None:
    body = """g (float r, int64 t, float[2] x, float[2] g, float[2] v) => (float[2] a, float[2] b) {
        a, b = ai.onnx.preview.training.Momentum<alpha = 0.9, beta = 0.9, mode = "standard",
            norm_coefficient = 0.0>(r, t, x, g, v)
    }"""
    path = onnx_text(tmp_path / "m.onnx", body)
    findings = lint_for(Model.load(path), "onnxruntime")
    assert [finding.rule for finding in findings] == ["no-kernel"]
    assert "needs a library" not in findings[0].message


def test_preview_operator_has_no_kernel_in_onnx_runtime() -> None:
    values = [onnx_ir.val(name, onnx_ir.DataType.FLOAT, [1, 2, 4, 8]) for name in "qkv"]
    node = onnx_ir.node("FlexAttention", values, domain="ai.onnx.preview")
    opsets = {"": 23, "ai.onnx.preview": 1}
    graph = onnx_ir.Graph(values, node.outputs, nodes=[node], opset_imports=opsets)
    findings = lint_for(Model(onnx_ir.Model(graph, ir_version=10)), "onnxruntime")
    assert [finding.rule for finding in findings] == ["no-kernel"]
