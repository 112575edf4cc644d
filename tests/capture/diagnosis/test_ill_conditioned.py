from __future__ import annotations

import numpy as np
import onnx.parser
import onnx_ir
import pytest

from modelport.capture.diagnosis import fragile_probes
from modelport.capture.reference_model import ReferenceModel
from modelport.numerics import Case, CaseResult, OutputComparison, ReferenceCase
from modelport.signature import Signature, TensorSpec

GRAPHS = {
    "orders": "g (float[8] x) => (int64[1] y) { y = ArgMax<axis = 0>(x) }",
    "does not": "g (float[8] x) => (int64[1] y) { y = Cast<to = 7>(x) }",
}
SIGNATURE = Signature((TensorSpec("x", "float32", (8,)),), (TensorSpec("y", "int64", (1,)),))


def fragile(gap: float, graph: str) -> dict[str, str]:
    """What is said of a case whose two largest values lie apart by a share of their spread."""
    text = f'<ir_version: 10, opset_import: ["" : 18]> {GRAPHS[graph]}'
    ir = onnx_ir.serde.deserialize_model(onnx.parser.parse_model(text))
    x = np.array([0, 1, 2, 3, 4, 5, 6, 6 - gap], np.float32)

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": np.argmax(inputs["x"], keepdims=True)}

    original = ReferenceModel(SIGNATURE, run, {"x": x}, (), "NumPy")
    case = Case("drawn-0", {"x": x}, "drawn")
    references = [ReferenceCase(case, run(case.inputs))]
    results = [CaseResult("drawn-0", "drawn", {"x": (8,)}, (OutputComparison("y", False),))]
    return fragile_probes(original, ir, [], references, results)


def test_case_beside_a_tie_proves_nothing() -> None:
    assert "a millionth off" in fragile(1e-6, "orders")["drawn-0"]


@pytest.mark.parametrize(("gap", "graph"), [(1.0, "orders"), (1e-6, "does not")])
def test_any_other_case_proves_something(gap: float, graph: str) -> None:
    assert fragile(gap, graph) == {}


def unsteady(no_evidence: bool) -> dict[str, str]:
    """Reasons for a case at which the original's own rounding is large, or is not."""
    text = f'<ir_version: 10, opset_import: ["" : 18]> {GRAPHS["does not"]}'
    ir = onnx_ir.serde.deserialize_model(onnx.parser.parse_model(text))
    x = np.arange(8, dtype=np.float32)
    outputs = {"y": np.ones(8, np.float32)}
    original = ReferenceModel(SIGNATURE, lambda _: outputs, {"x": x}, (), "NumPy")
    apart = OutputComparison("y", False, rounding=0.02, no_evidence=no_evidence)
    references = [ReferenceCase(Case("drawn-0", {"x": x}, "drawn"), outputs)]
    results = [CaseResult("drawn-0", "drawn", {"x": (8,)}, (apart,))]
    return fragile_probes(original, ir, [], references, results)


def test_case_at_which_rounding_hides_everything_proves_nothing() -> None:
    assert "off by 0.02 of its result there, by rounding alone" in unsteady(True)["drawn-0"]
    assert unsteady(False) == {}


def test_case_of_an_onnx_file_needs_no_example() -> None:
    text = f'<ir_version: 10, opset_import: ["" : 18]> {GRAPHS["orders"]}'
    ir = onnx_ir.serde.deserialize_model(onnx.parser.parse_model(text))
    x = np.array([0, 1, 2, 3, 4, 5, 6, 6 - 1e-6], np.float32)

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": np.argmax(inputs["x"], keepdims=True)}

    original = ReferenceModel(SIGNATURE, run, {}, (), "ONNX Runtime")
    case = Case("drawn-0", {"x": x}, "drawn")
    references = [ReferenceCase(case, run(case.inputs))]
    results = [CaseResult("drawn-0", "drawn", {"x": (8,)}, (OutputComparison("y", False),))]
    assert "a millionth off" in fragile_probes(original, ir, [], references, results)["drawn-0"]
