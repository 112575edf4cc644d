"""What `describe` says, against ONNX's change log (docs/Changelog.md, docs/Operators.md)."""

import json
import subprocess
import sys

import pytest

from modelport import UsageError
from modelport.ops.catalog import describe, first_opset, version_at

CHANGE_LOG = {
    "Asinh": [9, 22],
    "BatchNormalization": [1, 6, 7, 9, 14, 15],
    "GridSample": [16, 20, 22],
    "LayerNormalization": [17],
    "Resize": [10, 11, 13, 18, 19],
    "Softmax": [1, 11, 13],
    "Upsample": [1, 7, 9, 10],
    "ai.onnx.ml::LabelEncoder": [1, 2, 4],
}


@pytest.mark.parametrize(("name", "versions"), CHANGE_LOG.items())
def test_versions_are_those_of_the_change_log(name: str, versions: list[int]) -> None:
    assert [version.since for version in describe(name, kernels=False).versions] == versions


def changes(name: str, since: int) -> str:
    found = describe(name, kernels=False)
    return "; ".join(next(v for v in found.versions if v.since == since).changes)


def test_resize_changes() -> None:
    eleven = changes("Resize", 11)
    assert "attribute mode adds cubic" in eleven
    assert "attribute cubic_coeff_a: FLOAT = -0.75 added" in eleven
    assert "input roi added" in eleven
    assert "input sizes added, optional" in eleven
    thirteen = changes("Resize", 13)
    assert "input roi is now optional" in thirteen
    assert "coordinate_transformation_mode drops tf_half_pixel_for_nn" in thirteen
    assert "input X also takes bfloat16" in thirteen
    assert "attribute antialias: INT = 0 added" in changes("Resize", 18)
    assert "half_pixel_symmetric" in changes("Resize", 19)


def test_changes_of_other_kinds() -> None:
    assert changes("Softmax", 13).startswith("input input also takes bfloat16")
    assert "attribute axis defaults to -1, was 1" in changes("Softmax", 13)
    assert "attribute ratio removed" in changes("Dropout", 12)
    assert "input ratio added, optional" in changes("Dropout", 12)
    assert "attribute mode adds linear, cubic and drops bilinear, bicubic" in changes(
        "GridSample", 20
    )
    assert "deprecated" in changes("Upsample", 10)
    assert describe("Resize", kernels=False).versions[0].changes == ()
    for version in describe("Add", kernels=False).versions[1:]:
        assert version.changes, version


def test_newest_signature() -> None:
    newest = describe("Resize").versions[-1]
    assert [parameter.name for parameter in newest.inputs] == ["X", "roi", "scales", "sizes"]
    assert [parameter.optional for parameter in newest.inputs] == [False, True, True, True]
    assert newest.until is None
    mode = next(a for a in newest.attributes if a.name == "mode")
    assert (mode.kind, mode.required, mode.default) == ("STRING", False, "nearest")
    assert describe("Concat").versions[-1].inputs[0].variadic


def test_function_bodies() -> None:
    assert describe("Gelu", kernels=False).versions[0].function_body
    assert not describe("Conv", kernels=False).versions[-1].function_body


def test_version_at_an_opset() -> None:
    resize = describe("Resize", kernels=False)
    assert resize.at(17).since == 13
    assert resize.at(99).since == 19
    with pytest.raises(UsageError, match="exists since opset 10"):
        resize.at(9)
    assert version_at("Resize", 17) == 13
    assert version_at("Resize", 9) is None
    assert first_opset("Asinh") == 9
    assert first_opset("custom::Foo") is None


@pytest.mark.parametrize(
    ("name", "hint"), [("resize", "Resize"), ("Resise", "Resize"), ("ai.onnx.ml::Resize", "Resize")]
)
def test_unknown_names_get_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        describe(name)


def test_json_is_plain() -> None:
    data = json.loads(json.dumps(describe("Resize").to_json()))
    assert data["versions"][0]["since"] == 10
    assert data["kernel_source"] in ("listed", "probed")


def test_every_operator_can_be_described() -> None:
    from modelport.ops.catalog.operators import histories

    for domain, name in histories():
        json.dumps(describe(f"{domain}::{name}" if domain else name, kernels=False).to_json())


def test_importing_and_searching_leaves_torch_alone() -> None:
    code = (
        "import sys; from modelport.ops.catalog import describe, find; "
        "assert 'onnx' not in sys.modules and 'onnxruntime' not in sys.modules; "
        "describe('Resize'); find('bicubic'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
