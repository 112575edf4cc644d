"""M11: a picture of the graph with operators' attributes, edges and weights."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelport
from modelport.graph import build
from modelport.recipe import load_recipe
from tests.conftest import RunCli

ROOT = Path(__file__).parent.parent.parent


def srcnn(folder: Path) -> Path:
    recipe = load_recipe(ROOT / "examples" / "srcnn" / "recipe.py")
    return modelport.export(recipe, probes=False).save(folder / "srcnn.onnx")


def plugin(folder: Path) -> Path:
    g = build()
    x, scales = g.input("x", "float32", [1, 3, "h", "w"]), g.input("scales", "float32", [4])
    resized = g.op("DynamicTRTResize", x, scales, domain="Just_A_Scope_Name", alpha=0.5, name="r")
    g.output(g.op("Relu", resized), "y")
    return g.model().save(folder / "plugin.onnx")


def knn(folder: Path) -> Path:
    g = build()
    xyz, offset = g.input("xyz", "float32", ["n", 3]), g.input("offset", "int32", ["b"])
    idx, dist2 = g.op("KNNQuery", xyz, offset, domain="mine", outputs=2, name="knn", nsample=8)
    g.output(idx, "idx")
    g.output(g.op("Sqrt", dist2), "dist")
    return g.model().save(folder / "knn.onnx")


MODELS = {
    "srcnn": (srcnn, {"Resize": 1, "Conv": 3, "Relu": 2}),
    "plugin": (plugin, {"Just_A_Scope_Name::DynamicTRTResize": 1, "Relu": 1}),
    "knn": (knn, {"mine::KNNQuery": 1, "Sqrt": 1}),
}


def page_data(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found.group(1))


@pytest.mark.parametrize("name", MODELS)
def test_the_picture_shows_operators_edges_and_attributes(
    name: str, tmp_path: Path, cli: RunCli
) -> None:
    make, operators = MODELS[name]
    model = make(tmp_path)
    svg, html = tmp_path / "g.svg", tmp_path / "g.html"
    assert cli("graph", "draw", model, "-o", svg).code == 0
    assert cli("graph", "draw", model, "-o", html).code == 0
    root = ET.fromstring(svg.read_text())
    space = "{http://www.w3.org/2000/svg}"
    texts = [text.text or "" for text in root.iter(f"{space}text")]
    for operator, count in operators.items():
        assert texts.count(operator) == count
    ir = modelport.Model.load(model).ir
    edges = sum(1 for node in ir.graph for v in node.inputs if v and not v.is_initializer())
    paths = [path for path in root.iter(f"{space}path") if path.get("class") == "e"]
    assert len(paths) == edges + len(ir.graph.outputs)
    for node in ir.graph:
        for attribute in node.attributes:
            assert any(text.startswith(f"{attribute} = ") for text in texts)
    page = html.read_text()
    # Nothing is fetched: the only addresses are names of XML.
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "src=" not in page
    titles = [box["title"] for box in page_data(page)["boxes"]]
    for operator, count in operators.items():
        assert titles.count(operator) == count


def test_weights_are_told_with_a_histogram(tmp_path: Path, cli: RunCli) -> None:
    model = srcnn(tmp_path)
    assert cli("graph", "draw", model, "-o", tmp_path / "g.html").code == 0
    data = page_data((tmp_path / "g.html").read_text())
    weight = modelport.Model.load(model).ir.graph.initializers["conv1.weight"]
    array = weight.const_value.numpy().astype(np.float64)
    shown = data["weights"]["conv1.weight"]
    assert shown["bars"] == np.histogram(array, 32)[0].tolist()
    assert f"mean {array.mean():.4g}, std {array.std():.4g}" in shown["text"]
    box = next(box for box in data["boxes"] if box["title"] == "Conv")
    assert ["module", "conv1"] in box["facts"]
    assert any(name == "strides" for name, _ in box["facts"])
