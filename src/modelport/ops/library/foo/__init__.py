"""The sum of two tensors of float32."""
