from __future__ import annotations

import base64
import dataclasses
import html
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import modelport
from modelport.numerics import Case, ReferenceCase, verify_cases
from modelport.report import ReportData, render_report
from tests.support import block_recipe

HOSTILE = '<script>alert("x")</script>'


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]


def parse(page: str) -> Links:
    parser = Links()
    parser.feed(page)
    return parser


@pytest.fixture(scope="module")
def data() -> ReportData:
    model = modelport.export(block_recipe())
    rng = np.random.default_rng(0)
    inputs = {"x": rng.random((1, 3, 18, 20), np.float32)}
    outputs = {"y": rng.random((1, 3, 18, 20), np.float32)}
    example = ReferenceCase(Case("example", inputs, "the recipe's example"), outputs)
    target = modelport.Target("onnxruntime")
    noisy = {"y": outputs["y"] * np.float32(1.00001)}
    verification = verify_cases([example], lambda given: noisy)
    return ReportData(model, "PyTorch, eager", {target: verification}, example, noisy)


@pytest.fixture
def page(data: ReportData) -> str:
    return render_report(data)


def test_page_refers_to_nothing_outside(page: str, deployed: modelport.Deployment) -> None:
    for text in (page, (deployed.path / "report.html").read_text(encoding="utf-8")):
        assert not re.search(r"https?://|url\(|@import", text)
        assert all(link.startswith("data:") for link in parse(text).links)
        assert not {"script", "link", "iframe"} & set(parse(text).tags)


def test_page_has_the_figures(page: str, data: ReportData) -> None:
    text = html.unescape(page)
    (verification,) = data.verifications.values()
    (output,) = verification.cases[0].outputs
    for figure in (output.max_abs, output.max_rel, output.rms_rel):
        assert f"{figure:.3g}" in text
    assert f"{output.cosine:.7f}" in text
    for said in ("Conv", "captured by", "trace", "opset", "18", "PyTorch, eager"):
        assert said in text
    assert "height in 4..64" in text
    assert f"{data.model.weight_bytes:,}" in text
    assert "onnxruntime:cpu:fp32" in text
    assert "agrees" in text


def test_failure_shows(data: ReportData) -> None:
    (target,) = data.verifications
    wrong = verify_cases([data.example], lambda given: {"y": np.zeros((1, 3, 18, 20), np.float32)})
    page = render_report(dataclasses.replace(data, verifications={target: wrong}))
    assert "differs from" in page
    gone = verify_cases([data.example], lambda given: {})
    assert "missing" in render_report(dataclasses.replace(data, verifications={target: gone}))


def test_hostile_names_are_escaped(data: ReportData) -> None:
    finding = modelport.Finding("a-rule", modelport.Severity.NOTE, HOSTILE, HOSTILE, HOSTILE)
    model = dataclasses.replace(
        data.model, provenance={**data.model.provenance, "source": HOSTILE}, findings=[finding]
    )
    case = dataclasses.replace(
        data.example, case=dataclasses.replace(data.example.case, name=HOSTILE, origin=HOSTILE)
    )
    (target,) = data.verifications
    verification = verify_cases([case], lambda given: data.example.outputs)
    page = render_report(
        dataclasses.replace(
            data, model=model, runner=HOSTILE, example=case, verifications={target: verification}
        )
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_pictures_before_and_after_are_shown(page: str, data: ReportData) -> None:
    pictures = [link for link in parse(page).links if link.startswith("data:image/png;base64,")]
    assert len(pictures) == 3
    first = Image.open(io.BytesIO(base64.b64decode(pictures[0].partition(",")[2])))
    wanted = np.rint(data.example.case.inputs["x"][0].transpose(1, 2, 0) * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(first), wanted)


@pytest.mark.parametrize("shape", [(1, 10), (1, 4, 18, 20), (1, 3, 8, 8), (18, 20)])
def test_other_outputs_give_no_pictures(data: ReportData, shape: tuple[int, ...]) -> None:
    outputs = {"y": np.zeros(shape, np.float32)}
    example = ReferenceCase(data.example.case, outputs)
    page = render_report(dataclasses.replace(data, example=example, engine_outputs=outputs))
    assert "img" not in parse(page).tags


def test_deployed_picture_model_shows_its_pictures(deployed: modelport.Deployment) -> None:
    page = (deployed.path / "report.html").read_text(encoding="utf-8")
    assert parse(page).tags.count("img") == 3
