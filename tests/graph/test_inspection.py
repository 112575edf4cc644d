"""inspect, diff, draw and lint."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from modelport import Model
from modelport import graph as g
from modelport.backends import lint_rules
from tests.conftest import RunCli
from tests.support import onnx_text


@pytest.fixture
def read(tmp_path: Path) -> Any:
    return lambda body, **kw: Model.load(onnx_text(tmp_path / "m.onnx", body, **kw))


CONV = """g (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w, float[5, 144] v) => (float[N, 5] y) {
    a = Conv <strides = [1, 1]> (x, w)
    b = Relu(a)
    c = Flatten(b)
    y = Gemm <transB = 1> (c, v)
}"""


def test_macs_are_those_of_the_usual_formulas(read: Any) -> None:
    found = g.inspect(read(CONV.replace("N", "2")))
    by_name = {node.outputs[0].name: node.macs for node in found.nodes}
    assert by_name["a"] == 2 * 4 * 6 * 6 * 3 * 3 * 3
    assert by_name["y"] == 2 * 5 * 144
    assert found.macs == by_name["a"] + by_name["y"]
    assert found.macs_unknown == 0
    dynamic = g.inspect(read(CONV))
    assert dynamic.macs == f"{by_name['a'] // 2 + by_name['y'] // 2}*N"
    assert dynamic.dims["N"] == ("x[0]", "y[0]")


@pytest.mark.parametrize(
    ("op", "macs"),
    [
        ("y = MatMul(a, b)", 7 * 2 * 3 * 5 * 4),
        ('y = Einsum <equation = "bij,bjk->bik"> (a, b)', 7 * 2 * 3 * 5 * 4 // 2),
    ],
)
def test_macs_of_products(op: str, macs: int, read: Any) -> None:
    rank = "2, 7" if "MatMul" in op else "7"
    shapes = [f"float[{rank}, {size}]" for size in ("3, 4", "4, 5", "3, 5")]
    body = f"g ({shapes[0]} a, {shapes[1]} b) => ({shapes[2]} y) {{ {op} }}"
    found = g.inspect(read(body))
    assert found.macs == macs


def test_custom_operators_and_functions_are_told(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18, "own" : 1, "mine" : 1, "com.microsoft" : 1]>
    g (float[2] x) => (float[2] y) { a = own.f(x) b = mine.h(a) y = com.microsoft.Gelu(b) }
    <domain: "own", opset_import: ["" : 18]> f (p) => (q) { q = Neg(p) }"""
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    found = g.inspect(Model.load(path))
    assert found.custom == {
        "own::f": "a function of the model",
        "mine::h": "no kernel known",
        "com.microsoft::Gelu": "a kernel of ONNX Runtime",
    }
    assert found.functions == ("own::f",)


@pytest.mark.slow
def test_two_gigabytes_take_two_seconds(tmp_path: Path) -> None:
    rows = 1 << 15
    weight = onnx.TensorProto(name="w", data_type=1, dims=[rows, 1 << 14])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    body = f"g (float[1, {rows}] x) => (float[1, {1 << 14}] y) {{ y = MatMul(x, w) }}"
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]> {body}')
    model.graph.initializer.append(weight)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(rows * (1 << 14) * 4)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = (
        "import re, sys; from modelport.cli import main; main(sys.argv[1:]);"
        "status = open('/proc/self/status').read();"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1], file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, "graph", "inspect", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor, since a busy machine stretches the time on the wall.
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert json.loads(done.stdout)["bytes"] == 1 << 31
    assert seconds < 2.0
    assert int(done.stderr) < 200 * 1024


BASE = """g (float[2] x) => (float[2] y) <float[2] w = {1.0, 2.0}> {
    a = Relu(x) b = Mul(a, w) c = LeakyRelu <alpha = 0.1> (b) y = Neg(c) }"""


def changes(read: Any, other: str) -> list[tuple[str, str, str]]:
    found = g.diff(read(BASE), read(other))
    return [(c.kind, c.what, c.text) for c in found.changes]


def test_names_and_order_do_not_matter_to_diff(read: Any) -> None:
    other = BASE.replace("a = Relu", "p = Relu").replace("(a,", "(p,").replace("w", "weight")
    assert changes(read, other) == []


def test_diff_names_what_differs(read: Any) -> None:
    assert changes(read, BASE.replace("0.1", "0.2")) == [
        ("changed", "node", "LeakyRelu: alpha = 0.1 -> 0.2")
    ]
    assert changes(read, BASE.replace("2.0", "2.5")) == [
        ("changed", "node", "Mul: input 1: weight w: values differ by up to 0.5")
    ]
    assert changes(read, BASE.replace("a = Relu(x)", "a = Exp(x)")) == [
        ("removed", "node", "Relu"),
        ("changed", "node", "Mul: input 0: a -> a"),
        ("added", "node", "Exp"),
    ]
    longer = BASE.replace("y = Neg(c)", "d = Abs(c) y = Neg(d)")
    assert ("added", "node", "Abs") in changes(read, longer)
    assert len(changes(read, longer)) == 2
    assert changes(read, BASE.replace("float[2] y", "float[n] y"))[0][:2] == ("changed", "output")


def test_diff_sees_into_branches(read: Any) -> None:
    body = """g (bool c, float[2] x) => (float[2] y) { y = If (c) <
        then_branch = t () => (float[2] r) { r = Relu(x) },
        else_branch = e () => (float[2] s) { s = Neg(x) }> }"""
    assert g.diff(read(body), read(body.replace("s = Neg", "s  =  Neg"))).same
    assert not g.diff(read(body), read(body.replace("Neg", "Abs"))).same


def big(nodes: int) -> onnx.ModelProto:
    parts = []
    for number in range(nodes):
        node = onnx.helper.make_node("Relu", [f"t{number}"], [f"t{number + 1}"], name=f"n{number}")
        scopes = ["", f"block{number // 500}", f"block{number // 500}.layer{number // 50}", "relu"]
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(scopes))
        parts.append(node)
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        parts, "big", [tensor("t0", 1, [2])], [tensor(f"t{nodes}", 1, [2])]
    )
    opset = onnx.helper.make_opsetid("", 18)
    return onnx.helper.make_model(graph, ir_version=10, opset_imports=[opset])


def test_five_thousand_nodes_are_drawn_at_every_level(tmp_path: Path) -> None:
    seconds = []
    for nodes in (1000, 5000):
        path = tmp_path / "big.onnx"
        onnx.save(big(nodes), path)
        begin = time.process_time()
        page = g.draw(Model.load(path), tmp_path / "g.html").read_text()
        seconds.append(time.process_time() - begin)
    # What grows with the square of the nodes would take 25 times as long.
    assert seconds[1] < 15 * seconds[0]
    counts = [picture.count("data-i=") for picture in re.findall(r"<svg .*?</svg>", page, re.S)]
    assert counts == [12, 102, 5002]
    assert "show(1);" in page
    assert len(page) < 8_000_000


def test_boxes_do_not_overlap(tmp_path: Path, read: Any) -> None:
    root = ET.fromstring(g.draw(read(CONV), tmp_path / "g.svg").read_text())
    boxes = []
    for box in root.iter("{http://www.w3.org/2000/svg}g"):
        rect = next(iter(box))
        boxes.append([float(rect.get(name, "")) for name in ("x", "y", "width", "height")])
    assert len(boxes) == 8
    for place, (x, y, width, height) in enumerate(boxes):
        for u, v, w, h in boxes[place + 1 :]:
            assert x + width <= u or u + w <= x or y + height <= v or v + h <= y


LINTED = {
    "trt-plugin": "g (float[2] x) => (float[2] y) { y = mine.Op(x) }",
    "trt-plugin-type": "g (bool[2] x) => (float[2] y) { y = mine.Op(x) }",
    "trt-float-scales": """g (float[1, 1, 4, 4] x, float[4] s) => (float[1, 1, p, q] y) {
        y = Resize(x, , s) }""",
    "trt-quantized-bias": """g (int32[2] x) => (float[2] y) <float s = {0.5}> {
        y = DequantizeLinear(x, s) }""",
    "trt-asymmetric": """g (float[2] x) => (int8[2] y) <float s = {0.5}, int8 z = {3}> {
        y = QuantizeLinear(x, s, z) }""",
    "trt-type": "g (double[2] x) => (double[2] y) { y = Relu(x) }",
    "trt-no-range": "g (float[N] x) => (float[N] y) { y = Relu(x) }",
    "trt-refused": """g (float[9000] x) => (float[4000] y, int64[4000] i) <int64[1] k = {4000}> {
        y, i = TopK(x, k) }""",
}


@pytest.mark.parametrize("rule", LINTED)
def test_rules_of_tensorrt(rule: str, read: Any) -> None:
    assert rule in {finding.rule for finding in g.lint(read(LINTED[rule]), lint_rules("tensorrt"))}


def test_nothing_hurts_a_plain_model(read: Any) -> None:
    for target in ("tensorrt", "tensorrt-rtx", "onnxruntime"):
        found = g.lint(read(BASE), lint_rules(target))
        # Where TensorRT is not installed, a note says that its parser was not asked.
        assert {finding.rule for finding in found} <= {"trt-not-asked"}


def test_rules_of_onnxruntime(read: Any, tmp_path: Path, cli: RunCli) -> None:
    rules = lint_rules("onnxruntime")
    assert g.lint(read(LINTED["trt-plugin"]), rules)[0].rule == "no-kernel"
    gelu = "g (float[2] x) => (float[2] y) { y = Gelu(x) }"
    assert g.lint(read(gelu), rules)[0].rule == "unknown-operator"
    half = "g (float16[2, 2] x) => (float16[2, 2] y) { y = MatMul(x, x) }"
    assert [finding.rule for finding in g.lint(read(half), rules)] == ["half-on-cpu"]
    read(gelu)
    assert cli("graph", "lint", tmp_path / "m.onnx", "--target", "onnxruntime").code == 1
    assert cli("graph", "lint", tmp_path / "m.onnx", "--target", "nowhere").code == 2


def test_statistics_and_histograms() -> None:
    from modelport.graph.tensors import histogram, statistics

    array = np.array([[1, 2], [np.nan, 0]], np.float32)
    found = statistics(array)
    assert found is not None
    assert (found.min, found.max, found.mean, found.zeros, found.not_finite) == (0, 2, 1, 1, 1)
    assert sum(histogram(array)) == 3
    assert histogram(np.array(["a"])) == []
