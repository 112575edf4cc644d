"""What OpenVINO does not take becomes something that it takes."""

from __future__ import annotations

from modelport.findings import Finding
from modelport.model import Model
from modelport.passes.bodies import inline_bodies
from modelport.target import Target


def prepare_for_openvino(model: Model, target: Target) -> list[Finding]:
    """Changes a graph so that OpenVINO reads it: it does not know functions of a model.

    Args:
        model: The model; changed in place.
        target: The target, whatever its precision.

    Returns:
        A note for each change.

    Raises:
        PassError: A body does not fit the model's opset, or bodies call each other in a circle.
    """
    functions = {name for name, _, _ in model.ir.functions}
    return inline_bodies(model, lambda node: node.domain in functions, target.backend)
