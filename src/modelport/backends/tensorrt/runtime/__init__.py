"""Runs engines of TensorRT."""
