"""Running on TensorRT."""
from __future__ import annotations

from pathlib import Path

from modelport.backends.interface import Artifact, Engine
from modelport.backends.tensorrt.device import compute_capability, why_no_gpu
from modelport.backends.tensorrt.flavor import flavor_of
from modelport.errors import UsageError, BuildError
from modelport.signature import Signature
from modelport.target import Target

def why_not_run(target: Target) -> str:
    return why_no_gpu()

def load(folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None) -> Engine:
    raise BuildError("later")
