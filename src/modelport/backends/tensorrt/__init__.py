"""TensorRT, and TensorRT for RTX: one code for both, by the target's backend."""
