"""Helpers over `onnx_ir` that every rewrite and every look at a graph shares."""
