"""PyTorch models to ONNX graphs."""

from modelport.capture.exporter import export
from modelport.capture.inputs import BoundInputs, bind_inputs
from modelport.capture.reference import torch_reference

__all__ = ["BoundInputs", "bind_inputs", "export", "torch_reference"]
