"""The rewrites for OpenVINO, in their order."""

from __future__ import annotations

from modelport.backends.openvino.legalize.computed_tile import ExpandTile
from modelport.backends.openvino.legalize.nms_threshold import RaiseThreshold
from modelport.backends.openvino.legalize.recurrent_layout import TransposeBatches
from modelport.backends.openvino.legalize.space_to_depth_mode import ReorderDepth
from modelport.findings import Finding
from modelport.model import Model
from modelport.passes.base import apply_passes
from modelport.passes.deform_conv import ExpandDeformation
from modelport.passes.empty_scatters import SkipEmptyScatters
from modelport.passes.expand import Expansion
from modelport.passes.inline_functions import inline_bodies
from modelport.passes.pool_ceil_mode import PadCeilings
from modelport.passes.shape_inference import InferShapes, forget_inferred_names
from modelport.passes.stft import ExpandSpectrogram

TITLE = "OpenVINO"


_EXPANSIONS: tuple[type[Expansion], ...] = (
    ExpandDeformation,
    ExpandSpectrogram,
    ExpandTile,
    PadCeilings,
    RaiseThreshold,
    ReorderDepth,
    SkipEmptyScatters,
    TransposeBatches,
)


def prepare_for_openvino(model: Model) -> list[Finding]:
    """Changes a graph so that OpenVINO reads it: it knows no functions of a model.

    Args:
        model: The model; changed in place.

    Returns:
        A note for each kind of change.

    Raises:
        PassError: A body does not fit the model's opset, or bodies call each other in a circle.
    """
    functions = {domain for domain, _, _ in model.ir.functions}
    findings = inline_bodies(model, lambda node: node.domain in functions, TITLE)
    return findings + _expand(model)


def _expand(model: Model) -> list[Finding]:
    expansions = [kind() for kind in _EXPANSIONS]
    wanted = {operator for expansion in expansions for operator in expansion.operators}
    if not any(node.op_type in wanted for node in model.ir.graph.all_nodes()):
        return []
    apply_passes([InferShapes(), *expansions], model.ir)
    forget_inferred_names(model.ir)
    return [finding for expansion in expansions for finding in expansion.findings(TITLE)]
