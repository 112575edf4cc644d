"""What TensorRT refuses becomes something that it takes."""

from modelport.backends.tensorrt.legalize.pipeline import prepare_for_tensorrt

__all__ = ["prepare_for_tensorrt"]
