"""Exports with a known truth."""
