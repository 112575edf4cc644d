"""The hard swish activation."""
