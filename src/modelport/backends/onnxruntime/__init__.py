"""ONNX Runtime."""

from modelport.backends.onnxruntime.compile import CAPABILITIES, compile, why_not_run
from modelport.backends.onnxruntime.engine import load
from modelport.backends.onnxruntime.probe import probe, version

__all__ = ["CAPABILITIES", "compile", "load", "probe", "version", "why_not_run"]
