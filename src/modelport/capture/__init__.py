"""Capture: from a PyTorch model to an ONNX graph."""
