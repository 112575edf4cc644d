"""TensorRT for RTX: the code is that of `modelport.backends.tensorrt`."""
