"""Targets: backend, device and precision of a model."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelport.errors import UsageError

DEVICES = ("cpu", "cuda")
PROVIDERS = ("tensorrt", "tensorrt-rtx", "openvino", "dnnl", "compile")
ON_GPUS = ("tensorrt", "tensorrt-rtx")
"""Backends and providers that run on GPUs alone: ``cuda`` is their device by default."""
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8")
_COMPUTE_CAPABILITY = re.compile(r"sm\d{2,3}")


@dataclass(frozen=True)
class Target:
    """Backend, device and precision, with further options of a backend.

    Attributes:
        backend: Name of the backend, e.g. ``onnxruntime``.
        device: ``cpu`` or ``cuda``; where a text names none, ``cpu`` but for what has no other
            place than a GPU.
        provider: What runs it inside the backend, where that has several: an execution provider of
            ONNX Runtime, or PyTorch's ``compile``.
        precision: The precision of the graph's arithmetic.
        compute_capabilities: CUDA compute capabilities to build for ahead of time, e.g. ``sm89``.
    """

    backend: str
    device: str = "cpu"
    provider: str | None = None
    precision: str = "fp32"
    compute_capabilities: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | Target) -> Target:
        """Reads ``backend[:token]...``; tokens come in any order from disjoint vocabularies.

        Args:
            text: For example ``onnxruntime``, ``onnxruntime:cuda:fp16`` or ``tensorrt:sm89:fp16``.

        Returns:
            The target.

        Raises:
            UsageError: A token is unknown, or two tokens say the same kind of thing.
        """
        if isinstance(text, Target):
            return text
        backend, *tokens = text.split(":")
        if not backend:
            raise UsageError(
                f"target {text!r} names no backend", fix="write BACKEND[:DEVICE][:PRECISION]"
            )
        fields: dict[str, str] = {}
        capabilities: list[str] = []
        for token in tokens:
            if _COMPUTE_CAPABILITY.fullmatch(token):
                capabilities.append(token)
                continue
            field = _field_of(token, text)
            if field in fields:
                raise UsageError(
                    f"target {text!r} has two values for its {field}: {fields[field]}, {token}"
                )
            fields[field] = token
        if backend in ON_GPUS or fields.get("provider") in ON_GPUS:
            fields.setdefault("device", "cuda")
        return cls(backend, compute_capabilities=tuple(capabilities), **fields)

    def __str__(self) -> str:
        tokens = [self.backend, self.device, self.provider, self.precision]
        return ":".join([token for token in tokens if token] + list(self.compute_capabilities))


def _field_of(token: str, text: str) -> str:
    vocabularies = {"device": DEVICES, "provider": PROVIDERS, "precision": PRECISIONS}
    for field, vocabulary in vocabularies.items():
        if token in vocabulary:
            return field
    raise UsageError(
        f"unknown token {token!r} in target {text!r}",
        fix="; ".join(f"{field}: {', '.join(words)}" for field, words in vocabularies.items())
        + "; compute capability: sm89 and the like",
    )
