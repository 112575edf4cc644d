"""Pre- and post-processing that travels with the model, and what its answers mean."""

from modelport.pipeline.assembly import assemble
from modelport.pipeline.results import KINDS, Answer, Result
from modelport.pipeline.stages import Stage
from modelport.pipeline.task import task_of

__all__ = ["KINDS", "Answer", "Result", "Stage", "assemble", "task_of"]
