from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from pathlib import Path

import pytest

import modelport
from modelport import Bundle, Target, UsageError
from modelport.backends.base import Artifact
from modelport.bundle import Manifest
from modelport.bundle.dockerfile import requirements, write_container
from modelport.deployment import add_targets
from tests.support import snapshot


def manifest_of(bundle: Path) -> Manifest:
    return Manifest.parse((bundle / "manifest.json").read_bytes(), "")


def test_requirements_are_the_versions_that_are_here(bundle: Path) -> None:
    add_targets(bundle, ["openvino"])
    lines = requirements(manifest_of(bundle))
    names = [line.partition("==")[0] for line in lines]
    assert names == ["modelport", "numpy", "onnxruntime", "openvino"]
    for line in lines[1:]:
        name, _, version = line.partition("==")
        assert importlib.metadata.version(name).startswith(version)
    assert not any(name in line for line in lines for name in ("torch", "onnx==", "jinja2"))


def test_requirements_of_gpus_and_unknown_backends(bundle: Path) -> None:
    manifest = manifest_of(bundle)
    artifact = Artifact("graphs/model.onnx")
    cuda = {Target.parse("onnxruntime:cuda"): artifact, Target.parse("tensorrt:cuda"): artifact}
    lines = requirements(dataclasses.replace(manifest, artifacts=cuda))
    assert any(line.startswith("onnxruntime-gpu[cuda,cudnn]==") for line in lines)
    assert {"tensorrt", "cuda-bindings"} <= set(lines)
    with pytest.raises(UsageError, match="the backend mine"):
        requirements(dataclasses.replace(manifest, artifacts={Target("mine"): artifact}))


@pytest.mark.parametrize("form", ["directory", "zip"])
def test_folder_has_all_that_its_dockerfile_copies(
    bundle: Path, zipped: Path, tmp_path: Path, form: str
) -> None:
    source = bundle if form == "directory" else zipped
    (tmp_path / "modelport-1-py3-none-any.whl").write_bytes(b"wheel")
    folder = write_container(
        source, tmp_path / "image", wheel=tmp_path / "modelport-1-py3-none-any.whl"
    )
    lines = (folder / "Dockerfile").read_text().splitlines()
    copied = [
        word
        for line in lines
        if line.startswith("COPY")
        for word in json.loads(line[line.index("[") :])[:-1]
    ]
    assert copied == ["requirements.txt", "modelport-1-py3-none-any.whl", source.name]
    assert all((folder / name).exists() for name in copied)
    assert "./modelport-1-py3-none-any.whl" in (folder / "requirements.txt").read_text()
    assert lines[-1] == f'CMD ["bundle", "selftest", "--trust", "{source.name}"]'
    with Bundle.open(folder / source.name):
        pass
    assert modelport.self_test(folder / source.name).ok


def test_what_is_there_is_not_overwritten(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    with pytest.raises(UsageError, match="there already"):
        write_container(bundle, tmp_path / "image")
    with pytest.raises(UsageError, match="cannot write"):
        write_container(bundle, tmp_path / "other", wheel=tmp_path / "missing.whl")
    assert set(snapshot(tmp_path)) == {f"{bundle.name}/{name}" for name in snapshot(bundle)}
