"""Rewrites that make a graph acceptable to TensorRT."""

from modelport.backends.tensorrt.legalize.pipeline import prepare_for_tensorrt

__all__ = ["prepare_for_tensorrt"]
