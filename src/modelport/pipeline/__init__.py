"""Pre- and post-processing that travels with the model."""

from modelport.pipeline.assembly import assemble

__all__ = ["assemble"]
