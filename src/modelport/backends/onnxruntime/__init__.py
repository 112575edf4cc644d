"""ONNX Runtime."""

from modelport.backends.onnxruntime.compile import compile
from modelport.backends.onnxruntime.engine import load
from modelport.backends.onnxruntime.probe import probe, version

__all__ = ["compile", "load", "probe", "version"]
