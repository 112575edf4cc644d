"""The sum of two tensors, each with a factor."""
