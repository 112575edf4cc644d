"""PyTorch models to ONNX graphs."""

from modelport.capture.exporter import diagnose, export
from modelport.capture.inputs import BoundInputs, bind_inputs
from modelport.capture.reference import torch_reference

__all__ = ["BoundInputs", "bind_inputs", "diagnose", "export", "torch_reference"]
