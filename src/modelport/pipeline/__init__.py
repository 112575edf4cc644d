"""Preprocessing, postprocessing and the meaning of outputs, as a component of the model."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.pipeline.assembly import assemble
    from modelport.pipeline.results import KINDS, Answer, Result
    from modelport.pipeline.stages import Stage
    from modelport.pipeline.task import task_of
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "assembly": ("assemble",),
            "results": ("KINDS", "Answer", "Result"),
            "stages": ("Stage",),
            "task": ("task_of",),
        },
    )

__all__ = ["KINDS", "Answer", "Result", "Stage", "assemble", "task_of"]
