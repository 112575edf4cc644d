"""PyTorch models to ONNX."""
