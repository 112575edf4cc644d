from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
import torch

import modelport
from modelport import BuildError, PassError, ProofError, UsageError
from modelport.passes.base import Rewrite
from tests.models.vit import VisionTransformer
from tests.models.weights import randomize
from tests.passes.support import array, run, simplified
from tests.support import onnx_text

CHAIN = """g (float[n, 2] x) => (float[n, 2] y) <float zero = {0}> {
    e = Exp(x)
    i = Identity(e)
    y = Add(i, zero)
}"""


def test_model_given_is_not_changed(tmp_path: Path) -> None:
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", CHAIN))
    before = onnx_ir.to_proto(model.ir).SerializeToString()
    result = modelport.simplify(model)
    assert onnx_ir.to_proto(model.ir).graph == onnx.ModelProto.FromString(before).graph
    assert (sum(result.before.values()), sum(result.after.values())) == (3, 1)
    assert result.verification is not None
    assert len(result.verification.cases) == 3


def test_names_types_and_shapes_of_the_interface_stay(tmp_path: Path) -> None:
    body = """g (float[n, 2] x) => (float[rows, columns] y) {
        e = Exp(x)
        y = Identity(e)
    }"""
    result = simplified(tmp_path, body, {"x": array(3, 2)})
    signature = result.model.signature
    assert [str(spec) for spec in signature.inputs] == ["x: float32[n, 2]"]
    assert [str(spec) for spec in signature.outputs] == ["y: float32[rows, columns]"]


def test_metadata_of_nodes_stay(tmp_path: Path) -> None:
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", CHAIN))
    for node in model.ir.graph:
        node.metadata_props["pkg.torch.onnx.stack_trace"] = f"of {node.op_type}"
    (node,) = modelport.simplify(model).model.ir.graph
    assert node.metadata_props["pkg.torch.onnx.stack_trace"] == "of Exp"


def test_fused_nodes_carry_the_metadata_of_what_they_replace(tmp_path: Path) -> None:
    body = """g (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y) <float[1, 1, 1, 1] w = {2},
    float[1] s = {3}, float[1] b = {1}, float[1] m = {0.5}, float[1] v = {1}> {
        c = Conv(x, w)
        y = BatchNormalization(c, s, b, m, v)
    }"""
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    for node in model.ir.graph:
        node.metadata_props["path"] = "backbone.stem"
    (node,) = modelport.simplify(model).model.ir.graph
    assert node.metadata_props["path"] == "backbone.stem"


def test_foreign_nodes_and_functions_stay(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18, "mine" : 1, "theirs" : 3]>
    g (float[2] x) => (float[2] y) {
        a = theirs.Secret<level = 3>(x)
        b = Identity(a)
        y = mine.twice(b)
    }
    <domain: "mine", opset_import: ["" : 18]>
    twice (p) => (q) { i = Identity(p) q = Add(i, i) }
    <domain: "mine", opset_import: ["" : 18]>
    unused (p) => (q) { q = Neg(p) }"""
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    result = modelport.simplify(path, check=False)
    assert result.after == {"theirs::Secret": 1, "mine::twice": 1}
    assert [key[1] for key in result.model.ir.functions] == ["twice"]
    (function,) = result.model.ir.functions.values()
    assert [node.op_type for node in function] == ["Identity", "Add"]
    with pytest.raises(BuildError):
        modelport.simplify(path)


def test_defaults_that_callers_may_override_are_no_constants(tmp_path: Path) -> None:
    body = """g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {0, 0}> {
        n = Neg(w)
        y = Add(x, n)
    }"""
    path = onnx_text(tmp_path / "m.onnx", body)
    after = modelport.simplify(path, check=False).model.save(tmp_path / "after.onnx")
    x, w = array(2), array(2, seed=1)
    np.testing.assert_allclose(run(after, {"x": x, "w": w})[0], x - w)
    np.testing.assert_allclose(run(after, {"x": x})[0], x)


def test_before_version_4_of_the_format_all_initializers_are_constants(tmp_path: Path) -> None:
    body = """g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {0, 0}> {
        n = Neg(w)
        y = Add(x, n)
    }"""
    path = onnx_text(tmp_path / "m.onnx", body, opset=8, ir_version=3)
    result = modelport.simplify(path)
    assert [value.name for value in result.model.ir.graph.inputs] == ["x"]
    after = result.model.save(tmp_path / "after.onnx")
    np.testing.assert_allclose(run(after, {"x": array(2)})[0], array(2))


def test_external_data_are_found_and_go_along(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    body = "g (float[2, 64] x) => (float[2, 64] y) { i = Identity(x) y = MatMul(i, w) }"
    text = body.replace("=> (float[2, 64] y)", "=> (float[2, 64] y) <float[64, 64] w>")
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]> {text}')
    weight = array(64, 64)
    del model.graph.value_info[:]
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    source = tmp_path / "in" / "m.onnx"
    onnx.save(model, source, save_as_external_data=True, location="w.bin", size_threshold=0)
    result = modelport.simplify(source)
    assert result.after == {"MatMul": 1}
    saved = result.model.save(tmp_path / "out" / "m.onnx")
    (tmp_path / "in" / "w.bin").unlink()
    x = array(2, 64, seed=1)
    np.testing.assert_allclose(run(saved, {"x": x})[0], x @ weight, rtol=1e-4, atol=1e-4)


def test_difference_is_an_error(tmp_path: Path) -> None:
    path = onnx_text(tmp_path / "m.onnx", CHAIN)

    def opened(file: Path) -> Any:
        wrong = 0.0 if file == path else 1e-2
        return lambda inputs: {"y": np.exp(inputs["x"]) * (1 + wrong)}

    with pytest.raises(ProofError, match="does not compute what it computed before"):
        modelport.simplify(path, run=opened)


def test_random_numbers_cannot_be_compared(tmp_path: Path) -> None:
    body = "g (float[2] x) => (float[2] y) { r = RandomNormalLike(x) y = Add(x, r) }"
    path = onnx_text(tmp_path / "m.onnx", body)
    with pytest.raises(UsageError, match="random numbers"):
        modelport.simplify(path)
    assert modelport.simplify(path, check=False).after == {"RandomNormalLike": 1, "Add": 1}


def test_pass_that_breaks_its_contract_is_found(tmp_path: Path) -> None:
    class Careless(Rewrite):
        def call(self, model: onnx_ir.Model) -> onnx_ir.passes.PassResult:
            nodes = list(model.graph)
            model.graph.remove(nodes[0])
            return onnx_ir.passes.PassResult(model, True)

    class Renaming(Rewrite):
        def call(self, model: onnx_ir.Model) -> onnx_ir.passes.PassResult:
            model.graph.outputs[0].name = "other"
            return onnx_ir.passes.PassResult(model, True)

    path = onnx_text(tmp_path / "m.onnx", CHAIN)
    for careless, message in ((Careless(), "not made before"), (Renaming(), "outputs changed")):
        with pytest.raises(onnx_ir.passes.PostconditionError, match=message):
            careless(onnx_ir.load(path))


@pytest.mark.parametrize(
    "body",
    [
        "g (float[2] x) => (float[2] y) { a = Add(x, b) b = Neg(a) y = Exp(b) }",
        "g (float[2] x) => (float[2] y) { y = Add(x, weight) }",
    ],
    ids=["cycle", "missing initializer"],
)
def test_unsound_model_is_refused(tmp_path: Path, body: str) -> None:
    path = onnx_text(tmp_path / "m.onnx", body)
    with pytest.raises((PassError, UsageError)) as error:
        modelport.simplify(path)
    assert any(word in str(error.value) for word in ("made", "weight", "circle"))


@pytest.mark.parametrize("content", [b"", b"\xff" * 1000, b"not a model at all"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        modelport.simplify(path)


def test_simplified_transformer_computes_what_pytorch_computes(tmp_path: Path) -> None:
    model = randomize(VisionTransformer(size=32, patch=8, width=32, depth=2, heads=2, classes=5))
    path = tmp_path / "vit.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.randn(2, 3, 32, 32),),
            str(path),
            opset_version=18,
            dynamo=False,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        )
    result = modelport.simplify(path)
    after = result.model.save(tmp_path / "after.onnx")
    for size in (1, 3):
        image = torch.randn(size, 3, 32, 32)
        with torch.no_grad():
            wanted = model(image).numpy()
        (came,) = run(after, {"image": image.numpy()})
        np.testing.assert_allclose(came, wanted, rtol=1e-4, atol=1e-5)
    # What is left of the shapes is the size of the batch, for the class token.
    assert result.after["Shape"] == 1
    assert result.after["Reshape"] == result.before["Reshape"] - 1
    assert sum(result.after.values()) < 0.65 * sum(result.before.values())
