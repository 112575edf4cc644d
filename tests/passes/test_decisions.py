"""What each pass decides, as the log ``modelport.passes`` says it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import modelport
from modelport import Target
from modelport.passes import prepare
from tests.support import onnx_text

SIMPLIFIED = {
    "no-op": (
        "g (float[2] x) => (float[2] y) { a = Relu(x) b = Relu(a) y = Neg(b) }",
        "remove-no-ops: node 'b' (Relu): 'a' is read instead: done",
    ),
    "no-op-kept": (
        "g (float[2] x) => (float[2] y) { y = Identity(x) }",
        "remove-no-ops: node 'y' (Identity): 'x' is read instead: refused, 'x' cannot be an output "
        "of the graph",
    ),
    "shared": (
        "g (float[2] x) => (float[2] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }",
        "share-subexpressions: node 'b' (Exp): 'a', which is the same, is read instead: done",
    ),
    "folded": (
        "g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { a = Exp(w) y = Add(x, a) }",
        "fold-constants: node 'a' (Exp): folded: done",
    ),
    "random": (
        "g (float[2] x) => (float[2] y) <float[2] w = {0.5, 0.5}> "
        "{ a = Bernoulli(w) y = Add(x, a) }",
        "fold-constants: node 'a' (Bernoulli): folded: refused, it draws random numbers, in every "
        "run anew",
    ),
    "shape": (
        "g (float[3, 4] x) => (float[12] y) { s = Shape(x) t = ReduceProd(s) y = Reshape(x, t) }",
        "fold-shapes: node 's' (Shape): a constant in its place: done",
    ),
    "weights": (
        "g (float[2] x) => (float[2] y) <float[2] v = {1, 2}, float[2] w = {1, 2}> "
        "{ a = Sub(x, v) y = Mul(a, w) }",
        "share-initializers: tensor 'w': 'v', which is equal, is read instead: done",
    ),
    "fused": (
        "g (float[2, 3, 4] x) => (float[2, 3, 4] y) { a = Exp(x) "
        "b = Transpose<perm = [2, 0, 1]>(a) c = Transpose<perm = [1, 2, 0]>(b) y = Neg(c) }",
        "fuse-neighbours: node 'c' (Transpose): goes into a neighbour: done",
    ),
}


@pytest.mark.parametrize(("body", "line"), SIMPLIFIED.values(), ids=SIMPLIFIED)
def test_simplification_says_what_it_decides(
    body: str, line: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "modelport.passes")
    modelport.simplify(onnx_text(tmp_path / "m.onnx", body), check=False)
    assert line in caplog.messages


@pytest.mark.parametrize(
    ("backend", "body", "line"),
    [
        (
            "tensorrt",
            "g (float[4] x) => (float[4] y) { y = Softmax<axis = 0>(x) }",
            "raise-ranks: node 'y' (Softmax): the operator on a matrix with one row: done",
        ),
        (
            "tensorrt",
            "g (float[4, 4] x) => (float[4, 4] y) { y = Softmax<axis = 0>(x) }",
            "raise-ranks: node 'y' (Softmax): the operator on a matrix with one row: refused, "
            "this form of it stays as it is",
        ),
        (
            "tensorrt",
            "g (uint8[4] x) => (uint8[4] y) { a = Identity(x) y = Identity(a) }",
            "widen-integers: tensor 'a': int32 inside of the graph: done",
        ),
        (
            "tensorrt",
            "g (float[4] x) => (float[2] y) <int64[1] s = {2}> "
            "{ y = CenterCropPad<axes = [0]>(x, s) }",
            "inline-bodies: node 'y' (CenterCropPad): its body in its place: done",
        ),
        (
            "tensorrt-rtx",
            "g (float[4] x) => (int64[1, N] y) { y = NonZero(x) }",
            "pad-rows: node 'y' (NonZero): a fixed size and a count: done",
        ),
        (
            "openvino",
            "g (float[4] x, int64[0, 1] i, float[0] u) => (float[4] y) { y = ScatterND(x, i, u) }",
            "skip-empty-scatters: node 'y' (ScatterND): what nothing is written to: done",
        ),
    ],
)
def test_preparation_says_what_it_decides(
    backend: str, body: str, line: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "modelport.passes")
    prepare(modelport.Model.load(onnx_text(tmp_path / "m.onnx", body)), Target(backend))
    assert line in caplog.messages


def test_nothing_is_put_into_words_where_nobody_reads_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "modelport.passes")
    modelport.simplify(onnx_text(tmp_path / "m.onnx", SIMPLIFIED["no-op"][0]), check=False)
    assert caplog.messages == []
