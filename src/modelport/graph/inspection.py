"""Contents of a model: operators, weights, sizes, and work. Weights are not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from modelport.graph.copies import ir_of
from modelport.graph.format import dtype_text, operator_text, type_text
from modelport.graph.lookup import module_path
from modelport.graph.macs import macs_of
from modelport.graph.tensors import initializers
from modelport.ir.constants import nbytes_of
from modelport.ir.domains import STANDARD_DOMAINS
from modelport.ir.shape_inference import infer_shapes
from modelport.ir.subgraphs import subgraphs
from modelport.ir.symbolic_sizes import total

if TYPE_CHECKING:
    import onnx_ir

    from modelport.model import Model


@dataclass(frozen=True)
class TensorInfo:
    """An input, an output or a weight.

    Attributes:
        name: Its name.
        type: Its dtype and shape, such as ``float32[batch, 3]``.
        bytes: Bytes of its data; 0 if it is not a weight.
    """

    name: str
    type: str
    bytes: int = 0


@dataclass(frozen=True)
class NodeInfo:
    """A node.

    Attributes:
        name: Its name.
        op: Its operator.
        module: Path of the PyTorch module that it was captured from; empty where none is known.
        inside: The node that it is inside of; empty in the main graph.
        inputs: Names of what it reads.
        outputs: Its results.
        parameters: Elements of the initializers that it reads.
        bytes: Their bytes.
        macs: Multiply-accumulates of a run, as a number or an expression of dynamic dimensions;
            None if they are not known.
    """

    name: str
    op: str
    module: str
    inside: str
    inputs: tuple[str, ...]
    outputs: tuple[TensorInfo, ...]
    parameters: int
    bytes: int
    macs: int | str | None


@dataclass(frozen=True)
class Inspection:
    """Contents of a model.

    Attributes:
        ir_version: Version of the format.
        producer: What wrote it.
        opsets: Versions by domain; the default domain is ``ai.onnx``.
        inputs: The inputs.
        outputs: The outputs.
        dims: Dynamic dimensions of inputs and outputs, with the tensors that have them.
        operators: How often each operator occurs, by domain.
        nodes: All nodes, those inside of others included.
        weights: All initializers.
        parameters: Elements of all initializers.
        bytes: Their bytes.
        macs: Multiply-accumulates of a run, where all are known as numbers, else an expression;
            bodies of loops count once.
        macs_unknown: Nodes of an operator with work whose sizes are not known.
        subgraphs: Graphs inside of nodes.
        functions: Functions that the model brings along.
        custom: Operators outside of the standard, and what can run them.
    """

    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    dims: Mapping[str, tuple[str, ...]]
    operators: Mapping[str, Mapping[str, int]]
    nodes: tuple[NodeInfo, ...]
    weights: tuple[TensorInfo, ...]
    parameters: int
    bytes: int
    macs: int | str
    macs_unknown: int
    subgraphs: int
    functions: tuple[str, ...]
    custom: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The whole as plain dicts and lists."""
        return asdict(self)


def inspect(model: Model | onnx_ir.Model) -> Inspection:
    """Says what is in a model. No weights are read.

    MACs are those of Conv, ConvTranspose, MatMul, Gemm, Einsum and the recurrent operators, by
    the usual formulas (one multiplication with its addition is one MAC; biases and elementwise
    operators count nothing).

    Args:
        model: The model; missing shapes are inferred in a copy.

    Returns:
        What was found.
    """
    ir = ir_of(model).clone()
    infer_shapes(ir)
    nodes = tuple(_nodes(ir.graph, ""))
    weights = tuple(map(_weight, initializers(ir)))
    known = [node.macs for node in nodes if node.macs is not None]
    counts: dict[str, Counter[str]] = {}
    for node in ir.graph.all_nodes():
        counts.setdefault(node.domain or "ai.onnx", Counter())[node.op_type] += 1
    inputs = [value for value in ir.graph.inputs if not value.is_initializer()]
    return Inspection(
        ir_version=ir.ir_version,
        producer=" ".join(filter(None, (ir.producer_name, ir.producer_version))),
        opsets={domain or "ai.onnx": version for domain, version in ir.opset_imports.items()},
        inputs=tuple(map(_tensor, inputs)),
        outputs=tuple(map(_tensor, ir.graph.outputs)),
        dims=_dims([*inputs, *ir.graph.outputs]),
        operators={domain: dict(count.most_common()) for domain, count in sorted(counts.items())},
        nodes=nodes,
        weights=weights,
        parameters=sum(_size(value) for value in initializers(ir)),
        bytes=sum(weight.bytes for weight in weights),
        macs=total(known),
        macs_unknown=sum(node.macs is None for node in nodes),
        subgraphs=sum(1 for _ in ir.graph.subgraphs()),
        functions=tuple(f"{key[0]}::{key[1]}" for key in ir.functions),
        custom=_custom(ir),
    )


def _nodes(graph: onnx_ir.Graph, inside: str) -> list[NodeInfo]:
    infos = []
    for node in graph:
        weights = {value for value in node.inputs if value is not None and value.is_initializer()}
        infos.append(
            NodeInfo(
                name=node.name or "",
                op=operator_text(node),
                module=module_path(node),
                inside=inside,
                inputs=tuple(
                    (value.name or "") if value is not None else "" for value in node.inputs
                ),
                outputs=tuple(map(_tensor, node.outputs)),
                parameters=sum(map(_size, weights)),
                bytes=sum(map(_bytes, weights)),
                macs=macs_of(node),
            )
        )
        for inner in subgraphs(node):
            infos += _nodes(inner, node.name or node.op_type)
    return infos


def _tensor(value: onnx_ir.Value) -> TensorInfo:
    return TensorInfo(value.name or "", type_text(value))


def _weight(value: onnx_ir.Value) -> TensorInfo:
    tensor = value.const_value
    if tensor is None:
        return _tensor(value)
    shape = ", ".join(map(str, tensor.shape))
    return TensorInfo(value.name or "", f"{dtype_text(tensor.dtype)}[{shape}]", _bytes(value))


def _size(value: onnx_ir.Value) -> int:
    return 0 if value.const_value is None else int(value.const_value.size)


def _bytes(value: onnx_ir.Value) -> int:
    return 0 if value.const_value is None else nbytes_of(value.const_value)


def _dims(values: list[onnx_ir.Value]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for value in values:
        for axis, dim in enumerate(value.shape or ()):
            if not isinstance(dim, int):
                found.setdefault(dim.value or "?", []).append(f"{value.name}[{axis}]")
    return {name: tuple(axes) for name, axes in found.items()}


def _custom(ir: onnx_ir.Model) -> dict[str, str]:
    bodies = {(key[0], key[1]) for key in ir.functions}
    found = {}
    for node in ir.graph.all_nodes():
        if node.domain in STANDARD_DOMAINS:
            continue
        if (node.domain, node.op_type) in bodies:
            found[operator_text(node)] = "a function of the model"
        elif _runtime_has(node.domain, node.op_type):
            found[operator_text(node)] = "a kernel of ONNX Runtime"
        else:
            found[operator_text(node)] = "no kernel known"
    return found


def _runtime_has(domain: str, name: str) -> bool:
    """Return True if ONNX Runtime ships the operator, which is of another domain than ONNX's."""
    if not domain.startswith(("com.microsoft", "com.ms.", "ai.onnx.contrib")):
        return False
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    if not hasattr(state, "get_all_operator_schema"):
        return domain == "com.microsoft"
    return any(
        schema.domain == domain and schema.name == name
        for schema in state.get_all_operator_schema()
    )
