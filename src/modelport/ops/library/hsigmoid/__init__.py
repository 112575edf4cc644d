"""The hard sigmoid activation."""
