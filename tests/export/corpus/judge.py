"""Judges exports independently of modelport: bare ONNX Runtime against PyTorch's eager mode."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.export import Dim as TorchDim
from torch.utils import _pytree as pytree

import modelport
from tests.export.corpus.entry import Entry, Flagged, Inputs, Refused, Right, seeded


@dataclass(frozen=True)
class Outcome:
    """What became of an entry.

    Attributes:
        verdict: ``right``, ``wrong``, ``fails`` (bare torch) or ``refused`` (modelport).
        detail: The first disagreement, or the error's first line.
        rules: ``rule: severity`` of what modelport found; "warned" where bare torch gave a
            tracer's warning.
        error: What modelport raised.
    """

    verdict: str
    detail: str = ""
    rules: tuple[str, ...] = ()
    error: BaseException | None = field(default=None, compare=False)


def judge_bare(entry: Entry, strategy: str) -> Outcome:
    """Exports with ``torch.onnx.export`` alone, and compares."""
    with entry.around(), _quiet() as heard:
        try:
            graph = _export_bare(entry, strategy)
        except Exception as error:  # noqa: BLE001 - torch raises anything
            return Outcome("fails", _first_line(error))
        warned = any(warning.category.__name__ == "TracerWarning" for warning in heard)
    disagreement = find_disagreement(entry, graph)
    rules = ("warned",) if warned else ()
    return Outcome("wrong" if disagreement else "right", disagreement, rules)


def judge_modelport(entry: Entry, strategy: str) -> Outcome:
    """Exports with `modelport.export`, and compares."""
    args, kwargs = copy.deepcopy(entry.inputs())
    options = dict(entry.options) or {"dynamic": dict(entry.dynamic) or None}
    with entry.around(), _quiet():
        try:
            model = modelport.export(
                entry.model(), args, kwargs=kwargs or None, capture=strategy, **options
            )
        except modelport.ExportError as error:
            rules = _rules(getattr(error, "findings", ()))
            return Outcome("refused", _first_line(error), rules, error)
    import onnx_ir

    rules = _rules(model.findings)
    disagreement = find_disagreement(entry, onnx_ir.serde.serialize_model(model.ir))
    return Outcome("wrong" if disagreement else "right", disagreement, rules)


def find_fault(entry: Entry, strategy: str, outcome: Outcome) -> str:
    """Says how modelport's outcome contradicts the truth; empty where it does not."""
    truth = entry.truths[strategy]
    if outcome.verdict == "wrong" and not _has_error(outcome):
        return f"wrong and not refused: {outcome.detail}"
    if isinstance(truth, Refused):
        if outcome.verdict != "refused":
            return f"not refused: {outcome.rules}"
        said = " ".join((str(outcome.error), *outcome.rules))
        if truth.because and not any(text in said for text in truth.because):
            return f"refused for another reason than {truth.because}: {said}"
        return ""
    if outcome.verdict == "refused":
        return f"right, and refused: {outcome.error}"
    if _has_error(outcome):
        return f"right, and called wrong: {outcome.rules}"
    if isinstance(truth, Flagged):
        wanted = tuple(f"{rule}: {truth.severity or ''}" for rule in truth.rule.split("|"))
        if not any(rule.startswith(wanted) for rule in outcome.rules):
            return f"not flagged as {' or '.join(wanted)}: {outcome.rules}"
    return ""


def is_right(entry: Entry, strategy: str) -> bool:
    """Whether the truth is that a right export exists."""
    return isinstance(entry.truths[strategy], Right | Flagged)


def find_disagreement(entry: Entry, graph: onnx.ModelProto) -> str:
    """Runs a graph on the entry's example and on its further inputs.

    Returns:
        How it first differs from eager; empty where it never does.
    """
    present = {
        f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        for node in _all_nodes(graph.graph)
    } | {node.op_type for function in graph.functions for node in function.node}
    missing = [name for name in entry.nodes if name not in present]
    if missing:
        return f"the graph has no {', '.join(missing)}"
    if not entry.runnable:
        return ""
    try:
        session = open_session(graph)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common base
        return f"ONNX Runtime does not load it: {_first_line(error)}"
    for index, inputs in enumerate((entry.inputs(), *entry.checks())):
        disagreement = compare(entry, session, inputs)
        if disagreement:
            place = f"check {index - 1}" if index else "the example"
            return f"{place}: {disagreement}"
    return ""


def compare(entry: Entry, session: onnxruntime.InferenceSession, inputs: Inputs) -> str:
    """Says how one run of the graph differs from eager; empty where it does not."""
    feeds = make_feeds(session, named_leaves(entry.model(), *inputs))
    expected = run_eager(entry, inputs)
    try:
        actual = session.run(None, feeds)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common base
        return f"ONNX Runtime fails: {_first_line(error)}"
    if len(actual) != len(expected):
        return f"{len(actual)} outputs, not {len(expected)}"
    for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
        if one.shape != other.shape:
            return f"output {index} has shape {list(one.shape)}, not {list(other.shape)}"
        if one.dtype != other.dtype:
            return f"output {index} is {one.dtype}, not {other.dtype}"
        if not _close(one, other):
            return f"output {index} differs by {_largest_difference(one, other):.3g}"
    return ""


def run_eager(entry: Entry, inputs: Inputs) -> list[np.ndarray[Any, Any]]:
    """Outputs of a new model in evaluation mode; the inputs are copied first."""
    args, kwargs = copy.deepcopy(inputs)
    with torch.no_grad(), seeded():
        result = entry.model().eval()(*args, **kwargs)
    return [
        np.asarray(leaf.numpy() if isinstance(leaf, torch.Tensor) else leaf)
        for leaf in pytree.tree_leaves(result)
        if leaf is not None
    ]


def open_session(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """ONNX Runtime's CPU session of a graph, silent and with default optimizations."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def named_leaves(model: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors and numbers of a call by name: the parameter's, and keys and indices within it."""
    signature = inspect.signature(model.forward)
    named: dict[str, Any] = {}
    for parameter, value in signature.bind(*args, **kwargs).arguments.items():
        for path, leaf in pytree.tree_flatten_with_path(value)[0]:
            steps = [str(getattr(key, "key", getattr(key, "idx", key))) for key in path]
            if signature.parameters[parameter].kind is inspect.Parameter.VAR_KEYWORD:
                named["_".join(steps)] = leaf
            else:
                named["_".join([parameter, *steps])] = leaf
    return {name: leaf for name, leaf in named.items() if leaf is not None}


def make_feeds(
    session: onnxruntime.InferenceSession, leaves: Mapping[str, Any]
) -> dict[str, np.ndarray[Any, Any]]:
    """What a session takes of the given inputs; inputs that it lacks are left out.

    An input whose name is not known is taken by its place, which holds where an entry renames
    its inputs.
    """
    ordered = list(leaves.values())
    feeds = {}
    for index, value in enumerate(session.get_inputs()):
        leaf = leaves[value.name] if value.name in leaves else ordered[index]
        array = leaf.numpy() if isinstance(leaf, torch.Tensor) else np.asarray(leaf)
        if not isinstance(leaf, torch.Tensor):
            array = array.astype(_DTYPES[value.type]).reshape(value.shape)
        feeds[value.name] = array
    return feeds


_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


def _export_bare(entry: Entry, strategy: str) -> onnx.ModelProto:
    model = entry.model()
    args, kwargs = copy.deepcopy(entry.inputs())
    leaves = named_leaves(model, args, kwargs)
    names = [name for name, leaf in leaves.items() if isinstance(leaf, torch.Tensor)]
    options = copy.deepcopy({**entry.options, **(entry.bare_options or {})})
    if strategy in ("dynamo", "auto"):
        if entry.dynamic and not options.get("dynamic_shapes"):
            options["dynamic_shapes"] = _torch_shapes(entry, model, args, kwargs)
        if options.get("dynamic_shapes"):
            options.pop("dynamic_axes", None)
        program = torch.onnx.export(
            model, args, kwargs=kwargs or None, dynamo=True, verbose=False, **options
        )
        assert program is not None
        return program.model_proto
    options.pop("dynamic_shapes", None)
    # Without names TorchScript's inputs have none that say which is which.
    options.setdefault("input_names", names)
    if strategy == "script":
        model = torch.jit.script(model)
    if entry.dynamic:
        options["dynamic_axes"] = {
            name: {axis: getattr(dim, "name", dim) for axis, dim in axes.items()}
            for name, axes in entry.dynamic.items()
        }
    for name, axes in options.get("dynamic_axes", {}).items():
        # This exporter writes to a negative axis out of bounds, and the process crashes.
        if isinstance(axes, dict) and name in leaves:
            options["dynamic_axes"][name] = {
                axis % leaves[name].ndim: label for axis, label in axes.items()
            }
    file = io.BytesIO()
    torch.onnx.export(model, args, file, kwargs=kwargs or None, dynamo=False, **options)
    return onnx.load_model_from_string(file.getvalue())


def _torch_shapes(entry: Entry, model: nn.Module, args: Any, kwargs: Any) -> dict[str, Any]:
    """``dynamic_shapes`` with ``Dim.DYNAMIC``, in the structure of the model's parameters."""
    bound = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    shapes = {}
    for parameter, value in bound.items():
        pairs, structure = pytree.tree_flatten_with_path(value)
        leaves = []
        for path, leaf in pairs:
            steps = [str(getattr(key, "key", getattr(key, "idx", key))) for key in path]
            axes = entry.dynamic.get("_".join([parameter, *steps]), {})
            rank = leaf.ndim if isinstance(leaf, torch.Tensor) else 0
            leaves.append({axis % rank: _torch_dim(dim) for axis, dim in axes.items()} or None)
        shapes[parameter] = pytree.tree_unflatten(leaves, structure)
    return shapes


def _torch_dim(dim: Any) -> Any:
    if isinstance(dim, modelport.Dim) and (dim.min > 1 or dim.max is not None):
        return TorchDim.DYNAMIC(min=dim.min, max=dim.max)
    return TorchDim.DYNAMIC


def _close(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if one.dtype.kind not in "fc":
        return bool(np.array_equal(one, other))
    finite = np.abs(other[np.isfinite(other)])
    tolerance = 1e-4 * max(1.0, float(finite.max(initial=0)))
    return bool(np.allclose(one, other, rtol=1e-3, atol=tolerance, equal_nan=True))


def _largest_difference(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _all_nodes(subgraph)


def _rules(findings: Any) -> tuple[str, ...]:
    return tuple(sorted({f"{found.rule}: {found.severity}" for found in findings}))


def _has_error(outcome: Outcome) -> bool:
    return any(rule.endswith(": error") for rule in outcome.rules)


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


@contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Collects warnings, and silences what torch logs and prints."""
    names = ("torch.onnx", "torch.export", "torch._dynamo", "torch.fx")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(record=True) as heard,
        ):
            warnings.simplefilter("always")
            yield heard
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
