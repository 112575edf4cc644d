"""Nodes inserted, replaced and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError
from modelport.graph.copies import AnyModel, changed
from modelport.graph.lookup import Tensors, find_node, free_name
from modelport.ir.shape_inference import infer_shapes, infer_shapes_anew

if TYPE_CHECKING:
    import onnx_ir


def insert_node(
    model: AnyModel,
    tensor: str,
    op: str,
    *,
    inputs: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    domain: str = "",
    name: str | None = None,
) -> AnyModel:
    """Puts a node behind a tensor: all that read the tensor read the node's output then.

    Args:
        model: The model; it stays as it is.
        tensor: The tensor, which becomes the node's first input.
        op: The node's operator.
        inputs: Names of further inputs, tensors of the model.
        attributes: The node's attributes.
        domain: The operator's domain.
        name: The node's name.

    Raises:
        UsageError: A tensor is unknown, or cannot have a node behind it.
    """

    def apply(ir: onnx_ir.Model) -> None:
        known = Tensors(ir.graph)
        value = known[tensor]
        others: list[onnx_ir.Value] = [known[other] for other in inputs]
        graph = value.graph
        if graph is None or any(known.is_inner(other) for other in others):
            raise UsageError(f"no node can be put behind {tensor!r} with inputs inside of a node")
        node = _node(ir, domain, op, [value, *others], attributes, name)
        result = node.outputs[0]
        result.type, result.shape = value.type, value.shape
        producers = [p for v in (value, *others) if (p := v.producer()) and p.graph is graph]
        value.replace_all_uses_with(result, replace_graph_outputs=True)
        node.replace_input_with(0, value)
        for index, other in enumerate(others, 1):
            node.replace_input_with(index, other)
        order = {item: index for index, item in enumerate(graph)}
        last = max(producers, key=order.__getitem__, default=None)
        if last is not None:
            graph.insert_after(last, node)
        elif len(order):
            graph.insert_before(next(iter(graph)), node)
        else:
            graph.append(node)
        if result.is_graph_output():
            # The output keeps its name; the tensor before it gets another one.
            if value.is_graph_input() or value.is_initializer():
                raise UsageError(f"{tensor!r} is an input and an output of the model at once")
            own = value.name
            value.name = free_name(known, f"{own}_before_{op}")
            result.name = own
        else:
            result.name = free_name(known, f"{tensor}_{op}")
        ir.graph.sort()
        infer_shapes_anew(ir)

    return changed(model, apply)


def replace_node(
    model: AnyModel,
    node: str,
    op: str,
    *,
    attributes: Mapping[str, Any] | None = None,
    domain: str = "",
) -> AnyModel:
    """Puts another operator in a node's place; inputs, outputs and the name stay.

    Args:
        model: The model; it stays as it is.
        node: The node's name, or one of its outputs'.
        op: The new operator.
        attributes: Its attributes; those that were there go.
        domain: The operator's domain.

    Raises:
        UsageError: There is no such node.
    """

    def apply(ir: onnx_ir.Model) -> None:
        old = find_node(ir.graph, node)
        new = _node(ir, domain, op, [], attributes, None)
        old.domain, old.op_type, old.overload = domain, op, ""
        old.attributes.clear()
        old.attributes.update(new.attributes)
        infer_shapes_anew(ir)

    return changed(model, apply)


def delete_node(model: AnyModel, node: str) -> AnyModel:
    """Removes a node: the readers of its output read its first input instead.

    Args:
        model: The model; it stays as it is.
        node: The node's name, or one of its outputs'.

    Raises:
        UsageError: There is no such node; it reads nothing; further outputs of it are used; or
            its input has another element type than its output.
    """

    def apply(ir: onnx_ir.Model) -> None:
        infer_shapes(ir)
        old = find_node(ir.graph, node)
        used = [value for value in old.outputs if value.uses() or value.is_graph_output()]
        if used and (used[0] is not old.outputs[0] or len(used) > 1 or not any(old.inputs[:1])):
            raise UsageError(
                f"the node {node!r} ({old.op_type}) cannot be removed: its output is in use",
                why="a node can be removed if it reads a tensor and only its first output is used",
            )
        if used:
            before, after = old.inputs[0], old.outputs[0]
            assert before is not None
            if None not in (before.dtype, after.dtype) and before.dtype is not after.dtype:
                raise UsageError(
                    f"the node {node!r} ({old.op_type}) cannot be removed: it reads "
                    f"{before.dtype} and computes {after.dtype}",
                    fix="replace it by a Cast",
                )
            if after.is_graph_output():
                if before.is_graph_input() or before.is_graph_output() or before.is_initializer():
                    raise UsageError(
                        f"the node {node!r} cannot be removed: {after.name!r} is an output, and "
                        f"{before.name!r} an input, an initializer or an output as well",
                        fix="replace it by an Identity",
                    )
                own, after.name = after.name, None
                before.name = own
            after.replace_all_uses_with(before, replace_graph_outputs=True)
        assert old.graph is not None
        old.graph.remove(old, safe=True)
        infer_shapes_anew(ir)

    return changed(model, apply)


def _node(
    ir: onnx_ir.Model,
    domain: str,
    op: str,
    inputs: Sequence[onnx_ir.Value],
    attributes: Mapping[str, Any] | None,
    name: str | None,
) -> onnx_ir.Node:
    import onnx_ir

    ir.graph.opset_imports.setdefault(domain, 1)
    try:
        converted = onnx_ir.convenience.convert_attributes(attributes or {})
    except (TypeError, ValueError) as error:
        raise UsageError(f"the attributes of {op} are not ONNX's: {error}") from error
    return onnx_ir.Node(domain, op, inputs, converted, name=name, num_outputs=1)
