"""Builds engines of TensorRT."""
