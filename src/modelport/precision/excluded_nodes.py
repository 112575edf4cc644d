"""Nodes that stay in float32 when a graph turns to 16 bits, each with its reason."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import onnx_ir as ir

from modelport.errors import UsageError
from modelport.graph.lookup import did_you_mean
from modelport.ir.constants import tensor_of
from modelport.ir.domains import is_onnx
from modelport.ir.random_operators import RANDOM_OPERATORS
from modelport.ir.subgraphs import has_subgraphs
from modelport.passes.expand import INSTEAD_OF
from modelport.precision.scheme import NAMES, Form, form_of

_LOG = logging.getLogger("modelport.precision")

SENSITIVE = frozenset(
    {
        *("Acos", "Acosh", "Asin", "Asinh", "Atanh", "Cosh", "Sinh", "Tan", "Sin", "Cos"),
        *("Exp", "Log", "Pow", "Reciprocal", "Softplus", "Sqrt", "CumSum", "Det"),
        *("Softmax", "LogSoftmax", "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"),
        *("LayerNormalization", "InstanceNormalization", "GroupNormalization"),
        *("RMSNormalization", "LpNormalization", "MeanVarianceNormalization", "LRN", "LpPool"),
        *("ReduceSum", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
        *("ReduceLogSum", "ReduceLogSumExp", "LSTM", "GRU", "RNN"),
    }
)
"""Operators that `torch.autocast` computes in float32 (PyTorch's "CUDA Ops that can autocast to
float32"), by their names in ONNX, and their like: sums of many terms, functions that are steep or
whose argument is large, and recurrences, whose rounding adds up over the steps (ONNX Runtime 1.31,
moreover, may crash while it optimizes casts next to a recurrent node)."""

_COORDINATES = frozenset(
    {"GridSample", "RoiAlign", "AffineGrid", "NonMaxSuppression", "MaxRoiPool", "DeformConv"}
)
"""Operators on positions, and their expansions: from 2,048 on, 16 bits cannot distinguish
neighbouring pixels."""

_GENERATORS = frozenset(
    {
        *("Constant", "ConstantOfShape", "EyeLike", "Range"),
        *RANDOM_OPERATORS,
        *("BlackmanWindow", "HammingWindow", "HannWindow"),
    }
)
_QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})

ELEMENTWISE = frozenset(
    {
        *("Abs", "Add", "Ceil", "Clip", "Div", "Erf", "Floor", "Max", "Mean", "Min", "Mul", "Neg"),
        *("Relu", "Round", "Sign", "Sub", "Sum", "Where", "Mod"),
    }
)
MOVEMENT = frozenset(
    {
        *("Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split"),
        *("Squeeze", "Tile", "Transpose", "Unsqueeze"),
    }
)
SATURATING = frozenset({"Add", "Clip", "Max", "Min", "Pad", "Sub", "Where"})
"""Operators whose constants stand for "as far away as can be" where they are huge: a mask's -1e9
does the same as -65504."""

MARGIN = 2.0
"""Factor by which a tensor may exceed its range on the calibration data."""

_UNDERFLOW = 0.1
"""Share of a weight's elements that may become zero."""


def kept_nodes(
    graph: ir.Graph,
    opset: int,
    dtype: ir.DataType,
    keep: Iterable[str] = (),
    largest: Mapping[str, float] | None = None,
) -> dict[ir.Node, str]:
    """The nodes that are to stay in float32, each with the reason.

    Args:
        graph: The main graph; those inside of its nodes are looked at, too.
        opset: Version of the default domain.
        dtype: FLOAT16 or BFLOAT16.
        keep: Names of nodes, or patterns of them with ``*``, and operators.
        largest: The largest magnitude of a tensor on calibration data, by its name.

    Returns:
        The reasons by node.

    Raises:
        UsageError: A name in `keep` is that of nothing.
    """
    nodes = list(graph.all_nodes())
    kept = asked_for(nodes, keep)
    for node in nodes:
        reason = _own_reason(node, opset, dtype) or _range_reason(node, dtype, largest or {})
        if reason:
            kept.setdefault(node, reason)
    _follow_integers(nodes, kept)
    _follow_kept(nodes, kept)
    _precede_kept(nodes, kept)
    _follow_kept(nodes, kept)
    for node, reason in kept.items():
        _LOG.debug(
            "node %r (%s): excluded from %s, %s", node.name, node.op_type, dtype.name, reason
        )
    return kept


def asked_for(nodes: Iterable[ir.Node], keep: Iterable[str]) -> dict[ir.Node, str]:
    """The nodes that a list of names, patterns and operators means.

    Raises:
        UsageError: A name is that of nothing.
    """
    nodes = list(nodes)
    found: dict[ir.Node, str] = {}
    for name in keep:
        mine = [node for node in nodes if _is_meant(node, name)]
        if not mine:
            names = {node.name or "" for node in nodes} | {node.op_type for node in nodes}
            raise UsageError(
                f"no node and no operator of the model is called {name!r}",
                fix=did_you_mean(name, sorted(names - {""})),
            )
        found.update(dict.fromkeys(mine, "asked for"))
    return found


def _is_meant(node: ir.Node, name: str) -> bool:
    return name in (node.op_type, node.name) or fnmatch.fnmatchcase(node.name or "", name)


def _own_reason(node: ir.Node, opset: int, dtype: ir.DataType) -> str:
    if has_subgraphs(node) or is_onnx(node, *_CONTROL):
        return "control flow: what is inside is converted, its border is not"
    if any(_is_unclear(value) for value in (*node.inputs, *node.outputs)):
        return "the type of one of its tensors is not known, or is not a tensor type"
    if is_onnx(node, *_GENERATORS):
        return "it makes values instead of computing with them"
    if is_onnx(node, *_QUANTIZING):
        return "scales are float32"
    if is_onnx(node, *_COORDINATES) or node.metadata_props.get(INSTEAD_OF) in _COORDINATES:
        return "positions need more than 16 bits"
    if is_onnx(node, *SENSITIVE):
        return "a sensitive operator"
    form = form_of(node, opset, dtype)
    return form if isinstance(form, str) else _weight_reason(node, form, dtype)


def _is_unclear(value: ir.Value | None) -> bool:
    # An optional output that is left out has no name.
    return value is not None and bool(value.name) and not isinstance(value.type, ir.TensorType)


def _weight_reason(node: ir.Node, form: Form, dtype: ir.DataType) -> str:
    """The reason why a node's constants do not fit into 16 bits; empty where they do."""
    for value, half in zip(node.inputs, form.inputs, strict=True):
        tensor = tensor_of(value)
        if half is False or tensor is None or tensor.dtype is not ir.DataType.FLOAT:
            continue
        assert value is not None
        array = np.abs(np.asarray(tensor.numpy()))
        finite = array[np.isfinite(array)]
        largest = float(finite.max(initial=0.0))
        if largest > limit_of(dtype) and node.op_type not in SATURATING:
            return f"overflow: the weight {value.name!r} reaches {largest:.4g}"
        with np.errstate(under="ignore", over="ignore"):
            lost = int(np.count_nonzero((finite > 0) & (finite.astype(dtype.numpy()) == 0)))
        if lost > _UNDERFLOW * max(1, int(np.count_nonzero(finite))):
            return f"underflow: {lost} elements of {value.name!r} would become 0"
    return ""


def _range_reason(node: ir.Node, dtype: ir.DataType, largest: Mapping[str, float]) -> str:
    for value in (*node.inputs, *node.outputs):
        reached = 0.0 if value is None else largest.get(value.name or "", 0.0)
        if not reached * MARGIN <= limit_of(dtype):
            assert value is not None
            return f"overflow: {value.name!r} reaches {reached:.4g} on the calibration data"
    return ""


def limit_of(dtype: ir.DataType) -> float:
    """The largest finite number of a type."""
    return float(dtype.max)


def _follow_integers(nodes: Collection[ir.Node], kept: dict[ir.Node, str]) -> None:
    """Excludes nodes on integers alone (positions and sizes), up to the first weights."""
    tainted: set[ir.Value] = set()
    for node in nodes:
        floats = [v for v in node.inputs if v is not None and v.dtype is ir.DataType.FLOAT]
        moving = [value for value in floats if tensor_of(value) is None]
        if is_onnx(node, "Cast", "Range"):
            source = node.inputs[0]
            from_integers = source is not None and (
                source in tainted or (source.dtype is not None and source.dtype.is_integer())
            )
        else:
            from_integers = bool(moving) and all(value in tainted for value in moving)
        if not from_integers or any(map(_is_matrix, node.inputs)):
            continue
        tainted.update(v for v in node.outputs if v.dtype is ir.DataType.FLOAT)
        kept.setdefault(node, "computed from integers: positions or sizes")


def _is_matrix(value: ir.Value | None) -> bool:
    tensor = tensor_of(value)
    return tensor is not None and sum(size != 1 for size in tensor.shape) > 1


def _follow_kept(nodes: Collection[ir.Node], kept: dict[ir.Node, str]) -> None:
    """Excludes divisions by excluded values, and nodes that only move them."""
    for node in nodes:
        if node in kept:
            continue
        if is_onnx(node, "Div", "Mul"):
            inverse = ("Reciprocal",) if node.op_type == "Mul" else None
            indices = range(2) if inverse else range(1, 2)
            if any(_comes_from(node.inputs[index], kept, inverse) for index in indices):
                kept[node] = "scales by what is kept"
        elif is_onnx(node, *MOVEMENT):
            data = [v for v in node.inputs if v is not None and v.dtype is ir.DataType.FLOAT]
            moving = [value for value in data if tensor_of(value) is None]
            if moving and all(_comes_from(value, kept, None) for value in moving):
                kept[node] = "moves what is kept"


def _comes_from(
    value: ir.Value | None, kept: Mapping[ir.Node, str], operators: tuple[str, ...] | None
) -> bool:
    producer = None if value is None else value.producer()
    if producer is None or producer not in kept or is_onnx(producer, *_GENERATORS):
        return False
    return operators is None or is_onnx(producer, *operators)


def _precede_kept(nodes: Collection[ir.Node], kept: dict[ir.Node, str]) -> None:
    """Excludes elementwise nodes whose readers are all excluded: rounding saves nothing."""
    for node in reversed(list(nodes)):
        if node in kept or not is_onnx(node, *ELEMENTWISE, *MOVEMENT):
            continue
        readers = [reader for value in node.outputs for reader, _ in value.uses()]
        outside = any(value.is_graph_output() for value in node.outputs)
        if readers and not outside and all(_wants_float(reader, kept) for reader in readers):
            kept[node] = "read by what is kept"


def _wants_float(node: ir.Node, kept: Mapping[ir.Node, str]) -> bool:
    to_integer = is_onnx(node, "Cast") and not any(
        value.dtype in (ir.DataType.FLOAT, *NAMES) for value in node.outputs
    )
    return node in kept or to_integer
