"""All that is done to a graph before TensorRT parses it."""

from __future__ import annotations

import logging
from collections.abc import Collection

import onnx_ir as ir

from modelport.backends.adapters import FixedPoint
from modelport.backends.tensorrt.legalize.data_dependent_shapes import pad_rows
from modelport.backends.tensorrt.legalize.einsum_letters import SpellEquations
from modelport.backends.tensorrt.legalize.integer_ops_as_float import ExpandIntegers
from modelport.backends.tensorrt.legalize.normalization import ExpandNormalization
from modelport.backends.tensorrt.legalize.onehot import ExpandIndices
from modelport.backends.tensorrt.legalize.plugin_nodes import has_kernel, plug_in
from modelport.backends.tensorrt.legalize.pool import ExpandPooling
from modelport.backends.tensorrt.legalize.quantization import ExpandQuantization
from modelport.backends.tensorrt.legalize.resize import ExpandResizing
from modelport.backends.tensorrt.legalize.roi_align import ExpandRegions
from modelport.backends.tensorrt.legalize.scatter import ExpandScattering
from modelport.backends.tensorrt.legalize.sequence_resolution import ResolveSequences
from modelport.backends.tensorrt.legalize.shape_inputs import TakeIntegers
from modelport.backends.tensorrt.legalize.unsqueeze_1d import RaiseRanks
from modelport.backends.tensorrt.legalize.widen_integers import WidenIntegers
from modelport.findings import Finding, Severity
from modelport.ir.domains import DEFAULT_DOMAIN
from modelport.model import Model
from modelport.passes.base import apply_passes
from modelport.passes.deform_conv import ExpandDeformation
from modelport.passes.dft import ExpandFourier
from modelport.passes.expand import Expansion
from modelport.passes.inline_functions import inline_bodies
from modelport.passes.shape_inference import InferShapes, forget_inferred_names
from modelport.target import Target

_LOG = logging.getLogger("modelport.passes")
TITLES = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT for RTX"}

_EXPANSIONS: tuple[type[Expansion], ...] = (
    ExpandQuantization,
    ExpandResizing,
    ExpandPooling,
    ExpandScattering,
    ExpandNormalization,
    ExpandIndices,
    ExpandIntegers,
    SpellEquations,
    ExpandFourier,
    RaiseRanks,
)
_FOR_RTX: tuple[type[Expansion], ...] = (ExpandRegions, ExpandDeformation)
"""What TensorRT itself has, as plugins that it brings along."""

_WITHOUT = frozenset(
    {
        *("AffineGrid", "Bernoulli", "CenterCropPad", "NegativeLogLikelihoodLoss"),
        *("SoftmaxCrossEntropyLoss", "SwiGLU"),
        # Its own kernels take half precision alone, and few shapes.
        "Attention",
    }
)
"""Operators of the standard that it lacks, and that ONNX defines by a body."""


def prepare_for_tensorrt(
    model: Model, target: Target, plugins: Collection[str] = ()
) -> list[Finding]:
    """Rewrites what TensorRT does not take, where standard ONNX can say it otherwise.

    Args:
        model: The model; changed in place.
        target: ``tensorrt`` or ``tensorrt-rtx``.
        plugins: Operators that plugins compute though they have bodies.

    Returns:
        A note for each kind of change.

    Raises:
        PassError: A body does not fit the model.
    """
    title = TITLES[target.backend]
    for node in model.ir.graph.all_nodes():
        # Errors name a node; a pass that names those without a name would count them.
        node.name = node.name or node.outputs[0].name
    findings = _choose_plugins(model, target, plugins)
    findings += inline_bodies(model, lacks, title)
    apply_passes([InferShapes()], model.ir)
    findings += _resolve_sequences(model, title)
    findings += _take_integers(model, title)
    findings += _widen_integers(model, title)
    expansions = _EXPANSIONS
    if target.backend == "tensorrt-rtx":
        # TensorRT itself has sizes that depend on values, and these operators.
        findings += pad_rows(model, title)
        expansions = (*_FOR_RTX, *_EXPANSIONS)
    for kind in expansions:
        expansion = kind()
        if apply_passes([expansion], model.ir):
            apply_passes([InferShapes()], model.ir)
            findings += expansion.findings(title)
    forget_inferred_names(model.ir)
    if target.backend == "tensorrt":
        findings += plug_in(model)
    return findings


def _choose_plugins(model: Model, target: Target, plugins: Collection[str]) -> list[Finding]:
    """Takes the bodies off operators that plugins compute, and says what was chosen for others."""
    findings = []
    for key in list(model.ir.functions):
        name = f"{key[0]}::{key[1]}"
        if name in plugins:
            del model.ir.functions[key]
            text = f"{name} has a body and a plugin: the plugin was asked for"
        elif target.backend == "tensorrt" and has_kernel(name):
            text = f"{name} has a body and a CUDA kernel: the body is taken, which needs no plugin"
        else:
            continue
        _LOG.debug("choose-plugins: %s", text)
        how = "prefer_plugins, with a library of plugins that has it, takes the plugin"
        fix = "" if name in plugins else how
        findings.append(Finding("body-or-plugin", Severity.NOTE, text, fix=fix))
    return findings


def lacks(node: ir.Node) -> bool:
    """Whether TensorRT lacks a node's operator, or the form of it, and a body may stand there."""
    if node.domain not in DEFAULT_DOMAIN:
        return True
    if node.op_type == "LayerNormalization":
        return any(value.uses() or value.is_graph_output() for value in node.outputs[1:])
    return node.op_type in _WITHOUT


def _resolve_sequences(model: Model, title: str) -> list[Finding]:
    if not apply_passes([ResolveSequences()], model.ir):
        return []
    text = (
        f"{title} has no sequences and optionals: the tensors that they hold stand in their place"
    )
    return [Finding("resolved-sequences", Severity.NOTE, text)]


def _take_integers(model: Model, title: str) -> list[Finding]:
    taking = TakeIntegers()
    apply_passes([taking], model.ir)
    findings = []
    seen = model.facts.seen_values
    for adapter in taking.taken:
        findings.append(
            Finding(
                "adapted-input",
                Severity.NOTE,
                f"{title} makes shapes of integers alone: the engine takes {adapter.tensor!r} as "
                f"int64, times 2 ** {adapter.bits}; modelport converts it, a run is given what the "
                "model declares",
                where=adapter.tensor,
            )
        )
        if adapter.tensor not in seen:
            findings.append(_assumed_values(adapter, title))
    return findings


def _assumed_values(adapter: FixedPoint, title: str) -> Finding:
    told = ", ".join(str(list(item)) for item in adapter.values)
    return Finding(
        "values-assumed",
        Severity.WARNING,
        f"shapes are made of the values of {adapter.tensor!r}, of which {title} must know the "
        f"least, the usual and the largest; assumed: {told}",
        where=adapter.tensor,
        fix="give the recipe cases with other values, or the option "
        f"values={{{adapter.tensor!r}: [least, usual, largest]}}",
    )


def _widen_integers(model: Model, title: str) -> list[Finding]:
    widening = WidenIntegers()
    apply_passes([widening], model.ir)
    return [
        Finding(
            "widened-integers",
            Severity.NOTE,
            f"{title} does not compute with {name}: {count} tensors are int32 inside of the graph",
        )
        for name, count in widening.widened.items()
    ]
