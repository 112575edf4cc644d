"""Reasons for failures, in plain words, recognized by the messages that users see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """A kind of failure.

    Attributes:
        title: What is the matter.
        way_out: What a user can do.
        pattern: What the class or the message has; a regular expression.
        apart: Whether it is the backend's set of operators alone, without a fallback graph.
    """

    title: str
    way_out: str
    pattern: str
    apart: bool = False


REASONS = (
    Reason(
        "TensorRT has no such operator",
        "cut the model before it, or compute it outside; ONNX Runtime and OpenVINO have it",
        r"it has no such operator|strings and files do not exist",
        apart=True,
    ),
    Reason(
        "sizes depend on values, and TensorRT for RTX has no such sizes",
        "pad to a fixed number of rows, or use TensorRT itself, which has them",
        r"depends on values, which TensorRT",
        apart=True,
    ),
    Reason(
        "the code decides by sizes, in Python",
        "declare the range in which one side holds: `Dim(name, min=..., max=..., multiple=...)`",
        r"\[branch-on-shape\]|\[shape-baked\]|\[batch-baked\]",
    ),
    Reason(
        "the code decides by values, or takes them out of the graph",
        "`torch.cond`, `torch.where`, or a rewrite of the function that is named",
        r"\[value-baked\]|\[loop-unrolled\]",
    ),
    Reason(
        "what was captured differs, and nothing says why",
        "`modelport bisect` finds the node",
        r"\[differs\]",
    ),
    Reason(
        "OpenVINO does not take the graph",
        "deploy to ONNX Runtime; `modelport bisect` finds the node",
        r"^BuildError: OpenVINO",
    ),
    Reason(
        "OpenVINO refuses some sizes of the declared range",
        "declare a range that begins higher",
        r"OpenVINO failed on",
    ),
    Reason(
        "OpenVINO computes something else",
        "deploy to ONNX Runtime; `modelport bisect` finds the node",
        r"^ProofError: the engine for openvino",
    ),
    Reason(
        "torch.export, and the tracer, cannot follow the code",
        "a rewrite of the function that is named (`modelport.rewrite`)",
        r"^ExportError",
    ),
    Reason(
        "the model took too few of the sizes that were drawn",
        "narrow the ranges, or give cases",
        r"the original model took only|cases prove anything",
    ),
    Reason(
        "the comparison would prove nothing",
        "other weights or inputs: these give the same outputs whatever goes in",
        r"^empty",
    ),
    Reason("it took too long", "a larger limit: `--seconds`", r"^timeout"),
    Reason("it held too much memory", "a larger limit: `--gib`", r"^memory"),
    Reason("a process was ended", "report it", r"^crash|^traceback"),
)
OTHER = Reason("something else", "see the message", "")


def reason_for(error: Mapping[str, str]) -> Reason:
    """The kind of a failure.

    Args:
        error: Its ``class``, and the ``message`` that the user saw.
    """
    text = f"{error['class']}: {error['message']}"
    return next((reason for reason in REASONS if re.search(reason.pattern, text)), OTHER)
