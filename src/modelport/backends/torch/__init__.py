"""PyTorch itself, eager or compiled: the reference beside the engines made from it."""
