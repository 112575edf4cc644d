"""ONNX's own test cases of single operators, through every backend."""
