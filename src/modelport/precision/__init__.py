"""Precision: fp16, bf16 and int8 as rewrites of the graph, the same for every backend."""

from modelport.precision.conversion import convert
from modelport.precision.widening import widen

__all__ = ["convert", "widen"]
