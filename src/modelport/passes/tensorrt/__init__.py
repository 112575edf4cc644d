"""What TensorRT refuses becomes something that it takes."""

from modelport.passes.tensorrt.pipeline import prepare_for_tensorrt

__all__ = ["prepare_for_tensorrt"]
