"""TensorRT: what it refuses, known before there is an engine."""
