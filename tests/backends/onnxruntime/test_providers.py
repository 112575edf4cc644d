"""Execution providers of TensorRT: what they are told. They themselves are not installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelport
from modelport import Dim, Target, UsageError
from modelport.backends.onnxruntime.providers import choose_providers, profile_options
from modelport.signature import Signature, TensorSpec
from tests.conftest import RunCli
from tests.support import onnx_text

EVERY = [
    *("NvTensorRTRTXExecutionProvider", "TensorrtExecutionProvider"),
    *("CUDAExecutionProvider", "CPUExecutionProvider"),
]
SIGNATURE = Signature(
    (
        TensorSpec("x", "float32", ("batch", 3, "size")),
        TensorSpec("mask", "bool", ("batch", 3)),
        TensorSpec("fixed", "float32", (4,)),
    ),
    (),
    {"batch": Dim("batch", 1, 4), "size": Dim("size", 16, 64)},
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELPORT_CACHE", str(tmp_path / "cache"))
    return onnx_text(tmp_path / "m.onnx", "g (float[N] x) => (float[N] y) { y = Relu(x) }")


def test_profiles_are_those_of_the_declared_ranges() -> None:
    options, findings = profile_options(Target.parse("onnxruntime:tensorrt"), SIGNATURE)
    assert options == {
        "trt_profile_min_shapes": "x:1x3x16,mask:1x3",
        "trt_profile_opt_shapes": "x:2x3x32,mask:2x3",
        "trt_profile_max_shapes": "x:4x3x64,mask:4x3",
    }
    assert not findings
    options, _ = profile_options(Target.parse("onnxruntime:tensorrt-rtx"), SIGNATURE)
    assert options["nv_profile_max_shapes"] == "x:4x3x64,mask:4x3"
    fixed = Signature(SIGNATURE.inputs[2:], ())
    assert profile_options(Target.parse("onnxruntime:tensorrt"), fixed) == ({}, [])


def test_caches_are_kept_by_the_content_of_the_model(model: Path) -> None:
    target = Target.parse("onnxruntime:tensorrt")
    first, *others = choose_providers(target, EVERY, model, {"trt_max_workspace_size": "9"})
    assert others == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    name, options = first
    assert name == "TensorrtExecutionProvider"
    assert isinstance(options, dict)
    assert options["trt_max_workspace_size"] == "9"
    assert options["trt_engine_cache_enable"] == "1"
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_dir()
    again = choose_providers(target, EVERY, model.read_bytes(), {})[0][1]
    assert isinstance(again, dict)
    assert again["trt_engine_cache_path"] == str(folder)
    other = choose_providers(target, EVERY, model.read_bytes() + b"x", {})[0][1]
    assert isinstance(other, dict)
    assert other["trt_engine_cache_path"] != str(folder)


def test_a_provider_that_is_missing_is_an_error(model: Path, cli: RunCli, tmp_path: Path) -> None:
    for token, name in (("tensorrt", "Tensorrt"), ("tensorrt-rtx", "NvTensorRTRTX")):
        target = Target.parse(f"onnxruntime:{token}")
        assert target.device == "cuda"
        with pytest.raises(UsageError, match=f"this ONNX Runtime has no {name}Execution") as caught:
            modelport.load(model, target)
        assert caught.value.fix
    ran = cli("deploy", model, "--target", "onnxruntime:tensorrt", "-o", tmp_path / "m.port")
    assert ran.code == 2
    assert not (tmp_path / "m.port").exists()


@pytest.mark.parametrize("text", ["onnxruntime:dnnl", "onnxruntime:sm89"])
def test_what_is_not_offered_is_refused(text: str, model: Path) -> None:
    with pytest.raises(UsageError, match="does not offer"):
        choose_providers(Target.parse(text), EVERY, model, {})
