from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest

from modelport import BundleError, Dim, Target
from modelport.backends.base import Artifact
from modelport.bundle import FORMAT, FileRecord, Manifest
from modelport.bundle.manifest_fields import is_inside
from modelport.signature import Signature, TensorSpec
from tests.support import flipped

MANIFEST = Manifest(
    name="nät",
    signature=Signature(
        (TensorSpec("x", "float32", ("n", 3)),),
        (TensorSpec("y", "float32", None),),
        {"n": Dim("n", 1, 9)},
    ),
    artifacts={
        Target("onnxruntime"): Artifact("graphs/model.onnx", (), {"threads": 2}),
        Target.parse("onnxruntime:cuda:fp16"): Artifact(
            "graphs/half.onnx",
            ("operators/{platform}/a.so", "b.bin"),
            {"libraries": ["operators/{platform}/a.so"]},
        ),
    },
    keys={Target("onnxruntime"): "1f", Target.parse("onnxruntime:cuda:fp16"): "2e"},
    cases=("cases/example.npz",),
    files={
        name: FileRecord(f"{index:064x}", index)
        for index, name in enumerate(
            ["b.bin", "cases/example.npz", "graphs/half.onnx", "graphs/model.onnx"]
        )
    },
    verification={"onnxruntime:cpu:fp32": {"max_rel": 1.5e-7}},
    result={"kind": "image"},
    findings=({"rule": "a-rule"},),
    provenance={"versions": {"torch": "2.13.0"}},
)


def test_bytes_give_the_manifest_back() -> None:
    assert Manifest.parse(MANIFEST.render(), "a.port") == MANIFEST


def test_bytes_are_json_with_the_format() -> None:
    content = json.loads(MANIFEST.render())
    assert content["format"] == FORMAT
    assert content["signature"]["dimensions"] == {"n": {"min": 1, "max": 9}}
    assert [entry["target"] for entry in content["targets"]] == [
        "onnxruntime:cpu:fp32",
        "onnxruntime:cuda:fp16",
    ]


def test_every_flipped_byte_is_refused() -> None:
    data = MANIFEST.render()
    for index in range(len(data)):
        with pytest.raises(BundleError):
            Manifest.parse(flipped(data, index), "a.port")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"3", b"null", b"{}", b"\xff\xfe", b'{"format": 1}', b'{"format": []}'],
)
def test_other_content_is_refused_with_the_place(data: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.parse(data, "a.port")
    assert caught.value.where == "a.port"


def test_added_field_is_refused() -> None:
    content = json.loads(MANIFEST.render())
    with pytest.raises(BundleError, match="altered"):
        Manifest.parse(json.dumps(content | {"more": 1}, indent=2).encode(), "a.port")


def test_newer_format_says_both_numbers() -> None:
    content = json.loads(MANIFEST.render()) | {"format": FORMAT + 1}
    with pytest.raises(BundleError, match=f"format {FORMAT + 1}, this modelport reads {FORMAT}"):
        Manifest.parse(json.dumps(content).encode(), "a.port")


@pytest.mark.parametrize("path", ["graphs/model.onnx", "a", "a..b/c", ".a/b."])
def test_paths_inside(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize(
    "path",
    ["../a", "a/../../b", "/etc/passwd", "a\\..\\b", "..", ""],
)
def test_paths_outside(path: str) -> None:
    assert not is_inside(path)


@pytest.mark.parametrize("path", ["./a", "a//b", "a/", "C:a", "a\0b", "a\nb"])
def test_paths_that_are_not_plain_are_no_better(path: str) -> None:
    assert not is_inside(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provenance": {"versions": {"torch": 2}}}, "torch is 2, not a str"),
        ({"provenance": {"machine": "fast"}}, "machine is 'fast', not a dict"),
        ({"verification": {"onnxruntime:cpu:fp32": "fine"}}, "not a dict"),
        ({"stages": ({"name": "one", "bundle": "../one"},)}, "lies outside the bundle"),
        ({"stages": ({"name": "one", "bundle": "stages/one"},)}, "no checksum of stages/one"),
        ({"stages": ({"bundle": "stages/one"},)}, "KeyError: 'name'"),
        ({"cases": ("graphs/none.npz",)}, "no checksum of graphs/none.npz"),
        ({"files": {"a": FileRecord("no digest", 1)}}, "is no SHA-256"),
        ({"files": {"a": FileRecord("0" * 64, -1)}}, "a is -1, not a int"),
        ({"files": {"manifest.sig": FileRecord("0" * 64, 1)}}, "names the manifest itself"),
    ],
)
def test_sealed_nonsense_is_refused(change: dict[str, Any], said: str) -> None:
    data = dataclasses.replace(MANIFEST, **change).render()
    with pytest.raises(BundleError, match="says what cannot be") as caught:
        Manifest.parse(data, "a.port")
    assert said in str(caught.value)


def test_file_ends_with_the_checksum_of_what_comes_before() -> None:
    data = MANIFEST.render()
    digest = hashlib.sha256(data[:-83]).hexdigest()
    assert data[-83:] == f',\n  "sha256": "{digest}"\n}}\n'.encode()


def test_name_that_is_twice_in_an_object_is_refused() -> None:
    body = MANIFEST.render()[:-83] + b',\n  "name": "other"'
    digest = hashlib.sha256(body).hexdigest()
    data = body + f',\n  "sha256": "{digest}"\n}}\n'.encode()
    with pytest.raises(BundleError, match="not readable") as caught:
        Manifest.parse(data, "a.port")
    assert "twice" in str(caught.value)


def test_floats_that_json_lacks_are_written_as_words() -> None:
    figures = {"a": float("inf"), "b": [float("-inf"), float("nan")], "c": 0.1}
    data = dataclasses.replace(MANIFEST, verification={"onnxruntime": figures}).render()
    json.loads(data, parse_constant=lambda name: pytest.fail(name))
    assert Manifest.parse(data, "").verification["onnxruntime"] == {
        "a": "Infinity",
        "b": ["-Infinity", "NaN"],
        "c": 0.1,
    }
