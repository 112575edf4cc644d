"""Pictures of graphs."""

from modelport.graph.drawing.page import draw

__all__ = ["draw"]
