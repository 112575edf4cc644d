"""Execution providers of ONNX Runtime, and what those of TensorRT are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.errors import UsageError
from modelport.findings import Finding
from modelport.ops.build.cache import cache_folder, key_of, writable
from modelport.signature import Signature
from modelport.target import Target

_DEVICES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
}
_PREFIXES = {"tensorrt": "trt", "tensorrt-rtx": "nv"}
"""How the names of a provider's options begin."""
_INSTALL = {
    "cuda": "pip install onnxruntime-gpu (in place of onnxruntime)",
    "tensorrt": "pip install onnxruntime-gpu (in place of onnxruntime), and TensorRT",
    "tensorrt-rtx": "an ONNX Runtime built with it; or the target tensorrt-rtx, which needs none",
}
_KINDS = ("min", "opt", "max")


def choose_providers(
    target: Target, available: Sequence[str], model: Path | bytes, given: Mapping[str, str]
) -> list[str | tuple[str, dict[str, str]]]:
    """The providers of a session, the first of which computes what it can.

    Args:
        target: What to run on.
        available: The providers that this ONNX Runtime has.
        model: The model, by whose content TensorRT's engines are kept in the cache.
        given: Options of the target's provider.

    Raises:
        UsageError: The target asks for what this backend or this ONNX Runtime does not have.
    """
    if target.compute_capabilities or target.provider not in (None, *_PROVIDERS):
        raise UsageError(
            f"the onnxruntime backend does not offer {str(target)!r}",
            fix="onnxruntime, onnxruntime:cpu, onnxruntime:cuda, onnxruntime:tensorrt or "
            "onnxruntime:tensorrt-rtx",
        )
    wanted = target.provider or target.device
    provider = _PROVIDERS.get(wanted) or _DEVICES[wanted]
    if provider not in available:
        raise UsageError(f"this ONNX Runtime has no {provider}", fix=_INSTALL.get(wanted))
    others: list[str | tuple[str, dict[str, str]]] = [
        _DEVICES[name] for name in ("cuda", "cpu") if _DEVICES[name] in available
    ]
    if wanted == "cpu":
        return [provider]
    if wanted == "cuda":
        return others
    return [(provider, {**given, **_cache_options(wanted, model)}), *others]


def profile_options(target: Target, signature: Signature) -> tuple[dict[str, str], list[Finding]]:
    """What a provider of TensorRT is told of the shapes that a model takes.

    Args:
        target: The target, whose provider is one of TensorRT.
        signature: What the model takes, with the declared ranges.

    Returns:
        Options of the provider, and a finding for each largest size that had to be assumed.
    """
    # Loading a model on the CPU must not wait for it.
    from modelport.backends.tensorrt.build.options import BuildOptions
    from modelport.backends.tensorrt.build.profiles import plan_profiles

    profiles, findings = plan_profiles(signature, BuildOptions())
    prefix = _PREFIXES[target.provider or ""]
    options = {
        f"{prefix}_profile_{kind}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, shapes[place]))}"
            for profile in profiles
            for name, shapes in profile.items()
        )
        for place, kind in enumerate(_KINDS)
    }
    return (options if profiles else {}), findings


def _cache_options(provider: str, model: Path | bytes) -> dict[str, Any]:
    """Where engines and timings are kept, by the content of the model."""
    folder = cache_folder() / "onnxruntime" / key_of([model])
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if provider == "tensorrt-rtx":
        return {"nv_runtime_cache_path": str(folder)}
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
