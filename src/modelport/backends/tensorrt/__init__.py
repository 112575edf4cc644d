"""TensorRT, and TensorRT for RTX: one code for both, by the target's backend."""

from modelport.backends.tensorrt.compile import CAPABILITIES, compile
from modelport.backends.tensorrt.engine import load, open_engine_file, why_not_run
from modelport.backends.tensorrt.probe import probe, version

__all__ = [
    "CAPABILITIES",
    "compile",
    "load",
    "open_engine_file",
    "probe",
    "version",
    "why_not_run",
]
