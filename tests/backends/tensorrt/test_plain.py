"""Plain TensorRT: the same code with the other module, which stands in under its name here."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modelport
from modelport import BuildError, UsageError, doctor
from tests.backends.tensorrt.build.test_compile import convolution
from tests.conftest import RunCli

pytest.importorskip("tensorrt_rtx")

MODULE = """
from tensorrt_rtx import *

__version__ = "{version}"
"""
BACKEND = "modelport.backends.tensorrt"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module ``tensorrt`` on a machine that says that it has a GPU."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "tensorrt.py").write_text(MODULE.format(version="10.14.1"))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("MODELPORT_CACHE", str(tmp_path / "cache"))
    for name in ("build.options", "caches", "build.compile"):
        # The package shows a function by the name of one of its modules.
        monkeypatch.setattr(importlib.import_module(f"{BACKEND}.{name}"), "why_no_gpu", str)
    for name in ("build.options", "caches"):
        module = importlib.import_module(f"{BACKEND}.{name}")
        monkeypatch.setattr(module, "compute_capability", lambda: "sm89")
    yield folder
    sys.modules.pop("tensorrt", None)


@pytest.mark.usefixtures("installed")
def test_the_same_code_builds(tmp_path: Path) -> None:
    model = convolution(tmp_path)
    for _ in range(2):
        built = modelport.compile(model, tmp_path / "m.engine", target="tensorrt:fp16:sm89")
        assert (built.record.backend, built.record.version) == ("tensorrt", "10.14.1")
        assert built.record.capabilities == ()
        assert "float16" in {dtype for layer in built.record.layers for dtype in layer.dtypes}
        # Timings are kept for one version and one kind of GPU.
        (cache,) = (tmp_path / "cache" / "tensorrt").glob("timing-*.cache")
        assert cache.stat().st_size > 0


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("target", "options", "text"),
    [
        ("tensorrt:sm80", {}, "builds for the GPU of this machine, sm89, not for sm80"),
        ("tensorrt", {"hardware_compatible": "all"}, "ampere+, same"),
        ("tensorrt", {"workspace": 0}, "a workspace of 0 bytes is none"),
        ("tensorrt", {"plugins": ["no.so"]}, "cannot read the library of plugins no.so"),
        ("tensorrt", {"prefer_plugins": True}, "no library of plugins is given"),
        ("tensorrt", {"nothing": 1}, "has no option nothing"),
    ],
)
def test_wrong_use(tmp_path: Path, target: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        modelport.compile(convolution(tmp_path), tmp_path / "m.engine", target=target, **options)
    assert text in str(caught.value)


@pytest.mark.usefixtures("installed")
def test_flags_reach_the_builder(tmp_path: Path) -> None:
    # The module that stands in lacks the library that such engines carry along.
    with pytest.raises(BuildError, match="cannot build") as caught:
        modelport.compile(
            convolution(tmp_path),
            tmp_path / "m.engine",
            target="tensorrt",
            version_compatible=True,
        )
    assert "a library of TensorRT is not installed" in str(caught.value.why)
    built = modelport.compile(
        convolution(tmp_path),
        tmp_path / "m.engine",
        target="tensorrt",
        hardware_compatible="ampere+",
    )
    assert built.record.hardware_compatible == "ampere+"
    assert any("setHardwareCompatibilityLevel" in text for text in built.record.warnings)


def test_without_a_gpu_it_does_not_build(tmp_path: Path, cli: RunCli) -> None:
    ran = cli("compile", "m.onnx", "--target", "tensorrt", "-o", tmp_path / "m.engine")
    assert ran.code == 2
    (probe,) = [item for item in doctor().backends if item.name == "tensorrt"]
    assert not probe.works
    assert probe.remedy


def test_an_old_version_is_refused(installed: Path, tmp_path: Path) -> None:
    (installed / "tensorrt.py").write_text(MODULE.format(version="8.6.1"))
    with pytest.raises(UsageError, match=r"TensorRT 8\.6\.1 is too old"):
        modelport.compile(convolution(tmp_path), tmp_path / "m.engine", target="tensorrt")
