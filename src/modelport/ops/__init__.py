"""Operators: one declaration, one kernel source, every runtime."""
