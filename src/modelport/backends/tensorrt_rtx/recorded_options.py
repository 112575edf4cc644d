"""Checks of the options that a manifest records: those of TensorRT."""

from modelport.backends.tensorrt.recorded_options import RECORDED

__all__ = ["RECORDED"]
