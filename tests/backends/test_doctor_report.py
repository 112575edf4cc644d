from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch

import modelport
from modelport.backends import BACKENDS, doctor_report, get_backend


@pytest.fixture(scope="module")
def found() -> doctor_report.Diagnosis:
    return modelport.doctor()


def test_every_backend_is_probed(found: doctor_report.Diagnosis) -> None:
    assert [probe.name for probe in found.backends] == list(BACKENDS)
    assert list(found.capabilities) == list(BACKENDS)


def test_onnx_runtime_works_with_its_version(found: doctor_report.Diagnosis) -> None:
    (probe,) = [probe for probe in found.backends if probe.name == "onnxruntime"]
    assert probe.works
    assert probe.version == onnxruntime.__version__
    assert "CPU" in probe.detail
    assert probe.remedy == ""


def test_packages_have_their_versions(found: doctor_report.Diagnosis) -> None:
    versions = {probe.name: probe.version for probe in found.packages}
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(versions) >= {"torch", "onnx", "onnx-ir", "onnxscript"}


def test_python_is_this_one(found: doctor_report.Diagnosis) -> None:
    assert found.python == ".".join(map(str, sys.version_info[:3]))


def test_missing_package_has_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for probe in modelport.doctor().packages:
        assert not probe.works
        assert "'torch" in probe.remedy


def test_missing_compiler_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for probe in modelport.doctor().compilers:
        assert not probe.works
        assert probe.remedy


def test_compiler_that_fails_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("c++", "nvcc"):
        (tmp_path / name).write_text("#!/bin/sh\necho no licence >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for probe in modelport.doctor().compilers:
        assert not probe.works
        assert "no licence" in probe.detail


def test_missing_runtime_has_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str, package: str | None = None) -> object:
        raise ImportError(f"No module named {name!r}")

    backend = get_backend("onnxruntime")
    monkeypatch.setattr(importlib, "import_module", missing)
    probe = backend.probe()
    assert not probe.works
    assert probe.remedy == "pip install onnxruntime"


def test_unknown_backend_says_which_there_are() -> None:
    with pytest.raises(modelport.UsageError, match="unknown backend 'nothing'") as caught:
        get_backend("nothing")
    assert "onnxruntime" in str(caught.value)
