"""Declared operators on their way into the graph: their nodes, and the bodies of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from modelport.capture.symbolic import has_standard_kernel, register_symbolic
from modelport.capture.torch_private import graphs
from modelport.errors import ExportError
from modelport.findings import Finding, Severity
from modelport.ir.constants import tensor_of
from modelport.ir.values import input_of
from modelport.ops import onnxruntime_extensions, registry
from modelport.ops.schema import TEXT_END, Attribute, join_texts
from modelport.passes.foreign_ops import is_adoptable
from modelport.pipeline import image_decoder

if TYPE_CHECKING:
    import onnx_ir

    from modelport.ops.declaration import Operator

_SUFFIXES = {
    "int": "i",
    "bool": "i",
    "float": "f",
    "str": "s",
    "list[int]": "i",
    "list[float]": "f",
    "list[str]": "s",
}
_PARSERS: dict[str, Any] = {
    "int": "i",
    "bool": "b",
    "float": "f",
    "str": "s",
    "list[int]": "v",
    "list[float]": "v",
    "list[str]": "v",
}


def has_kernel(domain: str, name: str) -> bool:
    """Whether something computes an operator: ONNX itself, a declaration, or one that adopts it."""
    operator = registry.find(f"{domain}::{name}")
    own = operator is not None and operator.is_runnable
    known = own or domain == onnxruntime_extensions.DOMAIN
    return known or has_standard_kernel(domain, name) or is_adoptable(domain, name)


@contextmanager
def declared_operators() -> Iterator[None]:
    """While a model is captured, declared operators become nodes of their domain."""
    with ExitStack() as stack:
        for operator in registry.declared():
            if operator.torch_name is not None:
                symbolic = symbolic_of(operator)
                stack.enter_context(register_symbolic(operator.torch_name, symbolic, opset=9))
        stack.enter_context(register_symbolic(image_decoder.NAME, image_decoder.symbolic, opset=9))
        yield


def symbolic_of(operator: Operator) -> Callable[..., Any]:
    """The symbolic function that makes the node of a declared operator."""
    from torch.onnx import symbolic_helper

    from modelport.capture.operator_types import set_output_types

    schema = operator.schema
    names = operator.argument_names

    def symbolic(g: Any, *arguments: Any) -> Any:
        given = dict(zip(names, arguments, strict=True))
        kinds: dict[str, str] = {item.name: item.kind for item in schema.attributes}
        for item in schema.inputs:
            if item.kind == "List":
                given[item.name] = list(symbolic_helper._unpack_list(given[item.name]))
        for name, kind in kinds.items():
            if kind.startswith("list["):
                given[name] = _listed(given[name], kind)
        values: list[Any] = []
        for name in operator.node_inputs:
            values += _node_values(g, given[name], is_attribute=name in kinds)
        attributes = {
            f"{name}_{_SUFFIXES[kinds[name]]}": value
            for name, value in attribute_values(operator, given).items()
            if name not in operator.node_inputs
        }
        while values and _is_absent(values[-1]):
            values.pop()
        made = g.op(operator.qualified_name, *values, outputs=len(schema.outputs), **attributes)
        known = {name: given[name] for name in kinds if given[name] is not None}
        set_output_types(operator, given, {**schema.defaults, **known}, made)
        return made

    # The parser pairs its letters with the names of parameters.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ["g", *names]]
    symbolic.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    parsers = {item.name: _PARSERS[item.kind] for item in schema.attributes}
    letters = [parsers.get(name, "v") for name in names]
    parsed: Callable[..., Any] = symbolic_helper.parse_args(*letters)(symbolic)
    return parsed


def _node_values(g: Any, value: Any, *, is_attribute: bool) -> list[Any]:
    import torch

    if is_attribute:
        return [g.op("Constant", value_t=torch.tensor(value))]
    return value if isinstance(value, list) else [value]


def _listed(value: Any, kind: str) -> Any:
    """A list attribute as Python has it; the parser knows lists of integers alone."""
    from torch.onnx import symbolic_helper

    get_const: Any = symbolic_helper._get_const
    if not graphs.is_value(value):
        return value
    if value.node().mustBeNone():
        return None
    if value.node().kind() == "prim::ListConstruct":
        letter = _SUFFIXES[kind]
        return [get_const(item, letter, kind) for item in value.node().inputs()]
    return get_const(value, _SUFFIXES[kind] + "s", kind)


def _is_absent(value: Any) -> bool:
    return value is None or (hasattr(value, "node") and bool(value.node().mustBeNone()))


def attribute_values(operator: Operator, given: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of an operator as its node holds them."""
    # An argument whose default PyTorch cannot write comes as None where it is not given.
    known = {name: value for name, value in given.items() if value is not None}
    values = {**operator.schema.defaults, **known}
    return {item.name: _onnx_value(item, values[item.name]) for item in operator.schema.attributes}


def _onnx_value(attribute: Attribute, value: Any) -> Any:
    if attribute.kind == "list[str]":
        return join_texts(value)
    if attribute.kind in ("float", "list[float]"):
        return float(value) if attribute.kind == "float" else [float(item) for item in value]
    return int(value) if attribute.kind == "bool" else value


def add_bodies(model: onnx_ir.Model) -> list[Finding]:
    """Gives every node of a declared operator with a decomposition that as its function body.

    A runtime that has the operator's kernel takes the kernel, any other one the body. Nodes that
    differ in attributes, or in which inputs they have, get bodies of their own: overloads.

    Args:
        model: The graph; changed in place.

    Returns:
        A note for each operator that has nodes without a body, and why.

    Raises:
        ExportError: A decomposition fails.
    """
    findings: dict[str, Finding] = {}
    overloads: dict[str, dict[Any, str]] = {}
    nodes = list(model.graph.all_nodes())
    names = {f"{node.domain}::{node.op_type}" for node in nodes}
    declared = {name: registry.find(name) for name in names}
    for node in nodes:
        operator = declared[f"{node.domain}::{node.op_type}"]
        if operator is None or operator.decomposition is None:
            continue
        opset = model.opset_imports.get("", 0)
        if opset < operator.decomposition_since:
            findings[operator.qualified_name] = _too_old(operator, opset)
            continue
        attributes = attributes_of(operator, node)
        if attributes is None:
            findings[operator.qualified_name] = _not_constant(operator)
            continue
        known = overloads.setdefault(operator.qualified_name, {})
        key = (repr(attributes), tuple(value and value.dtype for value in node.inputs))
        if key not in known:
            known[key] = str(len(known)) if known else ""
            body = _body(operator, node, attributes, opset, known[key])
            model.functions[body.identifier()] = body
        node.overload = known[key]
    if any(len(known) > 1 for known in overloads.values()):
        # The first version of the format that has overloads.
        model.ir_version = max(model.ir_version or 0, 10)
    return list(findings.values())


def attributes_of(operator: Operator, node: onnx_ir.Node) -> dict[str, Any] | None:
    """The values of an operator's attributes at a node, defaults filled in.

    None where one of them is computed in the graph.
    """

    values: dict[str, Any] = {}
    for item in operator.schema.attributes:
        if item.name in operator.node_inputs:
            place = operator.node_inputs.index(item.name)
            value = input_of(node, place)
            if value is not None:
                constant = tensor_of(value, default=True)
                if constant is None:
                    return None
                values[item.name] = constant.numpy().item()
                continue
        elif item.name in node.attributes:
            values[item.name] = _python_value(item, node.attributes[item.name].value)
            continue
        if not item.required:
            values[item.name] = item.default
    return values


def _python_value(attribute: Attribute, value: Any) -> Any:
    if attribute.kind == "list[str]":
        return str(value).split(TEXT_END)[:-1]
    return bool(value) if attribute.kind == "bool" else value


def _body(
    operator: Operator, node: onnx_ir.Node, attributes: dict[str, Any], opset: int, overload: str
) -> onnx_ir.Function:
    import onnx_ir
    import onnxscript

    names = _formal_names(operator, len(node.inputs))
    formal: list[Any] = [
        onnx_ir.Value(name=name, type=value.type, shape=_rank_only(value)) if value else None
        for name, value in zip(names, node.inputs, strict=True)
    ]
    narrow = onnx_ir.DataType.BFLOAT16
    decomposition = operator.decomposition
    assert decomposition is not None

    def trace(op: Any, *_: Any) -> list[Any]:
        # Hardly any runtime, nor ONNX itself, has the operators of a body in bfloat16.
        values = [
            op.Cast(value, to=onnx_ir.DataType.FLOAT)
            if value is not None and value.dtype == narrow
            else value
            for value in formal
        ]
        tensors = dict(zip(names, values, strict=True))
        given: list[Any] = [tensors.get(item.name) for item in operator.schema.inputs]
        if operator.schema.inputs[-1].kind == "List":
            given[-1:] = [values[len(operator.schema.inputs) - 1 :]]
        made = decomposition(op, *given, **attributes)
        outputs = list(made) if isinstance(made, Sequence) else [made]
        return [
            op.Cast(value, to=narrow) if output.dtype == narrow else value
            for value, output in zip(outputs, node.outputs, strict=True)
        ]

    try:
        built = onnxscript.build_function(
            trace,
            formal,
            domain=node.domain,
            name=node.op_type,
            opset_imports={"": opset},
        )
    except Exception as error:  # the author's code, and onnxscript's, raise anything
        raise ExportError(
            f"the decomposition of {operator.qualified_name} fails: "
            f"{type(error).__name__}: {error}",
            where=str(operator.folder),
            fix="mend the function under @" + operator.schema.name + ".onnx",
        ) from error
    declared = {
        item.name: onnx_ir.Attr(item.name, onnx_ir.AttributeType.UNDEFINED, None)
        for item in operator.schema.attributes
        if item.name not in operator.node_inputs
    }
    return onnx_ir.Function(
        node.domain,
        node.op_type,
        overload,
        graph=built.graph,
        attributes={
            name: attribute for name, attribute in declared.items() if name in node.attributes
        },
    )


def _formal_names(operator: Operator, count: int) -> list[str]:
    names: Sequence[str] = operator.node_inputs
    return [*names, *(f"{names[-1]}_{index}" for index in range(1, count))][:count]


def _rank_only(value: onnx_ir.Value) -> onnx_ir.Shape | None:
    import onnx_ir

    # A body is for nodes of many shapes; their rank is that of the first.
    return None if value.shape is None else onnx_ir.Shape([None] * len(value.shape))


def _not_constant(operator: Operator) -> Finding:
    names = [item.name for item in operator.schema.attributes if item.name in operator.node_inputs]
    return Finding(
        "no-body",
        Severity.NOTE,
        f"nodes of {operator.qualified_name} have no function body: {' or '.join(names)} is "
        "computed in the graph, and a decomposition is made for one value",
        fix="pass a number, if a runtime without the kernel is to run it",
    )


def _too_old(operator: Operator, opset: int) -> Finding:
    return Finding(
        "no-body",
        Severity.NOTE,
        f"the nodes of {operator.qualified_name} have no function body: its decomposition needs "
        f"opset {operator.decomposition_since}, the graph has {opset}",
        fix=f"export with opset {operator.decomposition_since}, if a runtime without the kernel "
        "is to run it",
    )
