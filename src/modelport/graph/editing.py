"""Editing a graph by hand. Each function returns a copy with one change; weights are shared."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.errors import PassError, UsageError
from modelport.graph.copies import AnyModel, changed
from modelport.graph.lookup import Tensors, did_you_mean, find_node
from modelport.graph.shapes import infer_types
from modelport.graph.tensors import initializers, read_array

if TYPE_CHECKING:
    import onnx_ir

ReshapeRule = Callable[[str, tuple[int, ...] | None], Sequence[int] | None]
"""Takes a Reshape's name and its target (None where it is computed); returns a new target."""


def rename(model: AnyModel, names: Mapping[str, str]) -> AnyModel:
    """Gives tensors and nodes other names.

    Args:
        model: The model; it stays as it is.
        names: New names by old ones, of tensors or else of nodes. Names may be swapped.

    Raises:
        UsageError: A name is unknown, or a new name is taken.
    """

    def apply(ir: onnx_ir.Model) -> None:
        known = Tensors(ir.graph)
        tensors = {old: known[old] for old in names if old in known}
        nodes = {old: find_node(ir.graph, old) for old in names if old not in known}
        left = set(known) - set(tensors)
        for old in tensors:
            if not names[old] or names[old] in left:
                raise UsageError(
                    f"{old!r} cannot be renamed: the name {names[old]!r} is taken or empty",
                    fix="choose another one",
                )
            left.add(names[old])
        for number, value in enumerate(tensors.values()):
            value.name = f"{number}\0"
        for old, value in tensors.items():
            value.name = names[old]
        for old, node in nodes.items():
            node.name = names[old]

    return changed(model, apply)


def replace_initializer(model: AnyModel, name: str, array: np.ndarray[Any, Any]) -> AnyModel:
    """Gives a weight other values, of any shape.

    Args:
        model: The model; it stays as it is.
        name: The initializer's name.
        array: The new values; they must have the dtype of the old ones.

    Raises:
        UsageError: There is no such initializer, or the dtype differs.
    """

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        found = [value for value in initializers(ir) if value.name == name]
        if not found:
            there = [value.name or "" for value in initializers(ir)]
            raise UsageError(
                f"the model has no initializer {name!r}", fix=did_you_mean(name, there)
            )
        for value in found:
            tensor = onnx_ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
            old = value.dtype if value.const_value is None else value.const_value.dtype
            if tensor.dtype is not old:
                raise UsageError(
                    f"the initializer {name!r} is {old}, the new values are {tensor.dtype}",
                    fix="convert them with array.astype",
                )
            value.const_value = tensor
            value.shape = onnx_ir.Shape(list(array.shape))
            value.type = onnx_ir.TensorType(tensor.dtype)
        _infer_anew(ir)

    return changed(model, apply)


def set_dims(model: AnyModel, dims: Mapping[str, Mapping[int, int | str]]) -> AnyModel:
    """Makes dimensions of inputs fixed or dynamic.

    What is between is inferred anew. A dimension that a constant inside of the graph relies on
    (the target of a Reshape) does not become dynamic by this alone; `reshape_targets` helps.

    Args:
        model: The model; it stays as it is.
        dims: For an input and an axis a size, or the name of a dynamic dimension. Where the
            dimension had a name before, all inputs' dimensions of that name change.

    Raises:
        UsageError: There is no such input or axis, or a size is negative.
    """

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        given = {value.name or "": value for value in ir.graph.inputs}
        for name, axes in dims.items():
            if name not in given:
                raise UsageError(f"the model has no input {name!r}", fix=did_you_mean(name, given))
            for axis, size in axes.items():
                shape = given[name].shape
                if shape is None or not -len(shape) <= axis < len(shape):
                    raise UsageError(f"the input {name!r} has no axis {axis}: its shape is {shape}")
                if size == "" or (isinstance(size, int) and size < 0):
                    raise UsageError(f"{size!r} is neither a size nor the name of a dimension")
                old = shape[axis]
                for value in ir.graph.inputs:
                    if value is given[name] or (
                        value.shape is not None and not isinstance(old, int) and old.value
                    ):
                        value.shape = onnx_ir.Shape(
                            [
                                size
                                if (value is given[name] and place == axis % len(shape))
                                or (not isinstance(old, int) and old.value and dim == old)
                                else dim
                                for place, dim in enumerate(value.shape or ())
                            ]
                        )
        _infer_anew(ir)

    return changed(model, apply)


def convert_opset(model: AnyModel, version: int) -> AnyModel:
    """Rewrites a model for another opset of the default domain, by ONNX's own converter.

    Args:
        model: The model; it stays as it is.
        version: The opset.

    Raises:
        UsageError: There is no such opset.
        PassError: The converters cannot do it: an operator changed in a way that they do not know.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not 7 <= version <= newest:
        raise UsageError(f"there is no opset {version} to convert to", fix=f"from 7 to {newest}")

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        before = ir.opset_imports.get("", version)
        if version == before:
            return
        try:
            proto = onnx.version_converter.convert_version(onnx_ir.to_proto(_loaded(ir)), version)
        except (RuntimeError, ValueError) as error:
            raise PassError(
                f"the model cannot be converted from opset {before} to {version}",
                why=" ".join(str(error).split())[:500],
                fix="export the model anew with that opset",
            ) from error
        new = onnx_ir.from_proto(proto)
        ir.graph = new.graph
        ir.graph.opset_imports[""] = version
        ir.functions.clear()
        ir.functions.update(new.functions)

    return changed(model, apply)


def _loaded(ir: onnx_ir.Model) -> onnx_ir.Model:
    import onnx_ir

    onnx_ir.external_data.load_to_model(ir)
    return ir


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
        for place, other in enumerate(others, 1):
            node.replace_input_with(place, other)
        order = {item: place for place, item in enumerate(graph)}
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
            value.name = _free(known, f"{own}_before_{op}")
            result.name = own
        else:
            result.name = _free(known, f"{tensor}_{op}")
        ir.graph.sort()
        _infer_anew(ir)

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
        _infer_anew(ir)

    return changed(model, apply)


def delete_node(model: AnyModel, node: str) -> AnyModel:
    """Takes a node out: what read its output reads its first input then.

    Args:
        model: The model; it stays as it is.
        node: The node's name, or one of its outputs'.

    Raises:
        UsageError: There is no such node; it reads nothing; further outputs of it are used; or
            its input has another element type than its output.
    """

    def apply(ir: onnx_ir.Model) -> None:
        infer_types(ir)
        old = find_node(ir.graph, node)
        used = [value for value in old.outputs if value.uses() or value.is_graph_output()]
        if used and (used[0] is not old.outputs[0] or len(used) > 1 or not any(old.inputs[:1])):
            raise UsageError(
                f"the node {node!r} ({old.op_type}) cannot be taken out: what it gives is needed",
                why="only a node that reads a tensor and whose first output alone is used can be",
            )
        if used:
            before, after = old.inputs[0], old.outputs[0]
            assert before is not None
            if None not in (before.dtype, after.dtype) and before.dtype is not after.dtype:
                raise UsageError(
                    f"the node {node!r} ({old.op_type}) cannot be taken out: it reads "
                    f"{before.dtype} and gives {after.dtype}",
                    fix="replace it by a Cast",
                )
            if after.is_graph_output():
                if before.is_graph_input() or before.is_graph_output() or before.is_initializer():
                    raise UsageError(
                        f"the node {node!r} cannot be taken out: {after.name!r} is an output, and "
                        f"{before.name!r} an input, an initializer or an output as well",
                        fix="replace it by an Identity",
                    )
                own, after.name = after.name, None
                before.name = own
            after.replace_all_uses_with(before, replace_graph_outputs=True)
        assert old.graph is not None
        old.graph.remove(old, safe=True)
        _infer_anew(ir)

    return changed(model, apply)


def reshape_targets(model: AnyModel, rule: ReshapeRule) -> AnyModel:
    """Changes the targets of Reshape nodes by a rule on their names.

        reshape_targets(model, lambda name, shape: [-1, 25] if name == "view" else None)

    Args:
        model: The model; it stays as it is.
        rule: Called for every Reshape with its name and its target, None where that is computed;
            what it returns becomes the target, None leaves it.

    Raises:
        UsageError: The rule returns something else than integers from -1 up, at most one -1.
    """

    def apply(ir: onnx_ir.Model) -> None:
        import onnx_ir

        known = Tensors(ir.graph)
        for node in list(ir.graph.all_nodes()):
            if node.op_type != "Reshape" or node.domain:
                continue
            old = onnx_ir.convenience.get_const_tensor(node.inputs[1]) if node.inputs[1] else None
            name = node.name or node.outputs[0].name or ""
            was = None if old is None else tuple(map(int, read_array(name, old)))
            new = rule(name, was)
            if new is None or tuple(new) == was:
                continue
            target = list(new)
            if any(type(size) is not int or size < -1 for size in target) or target.count(-1) > 1:
                raise UsageError(
                    f"the rule gives the Reshape {name!r} the target {target}",
                    fix="a target is a list of sizes, of which one may be -1",
                )
            assert node.graph is not None
            tensor = onnx_ir.tensor(np.array(target, np.int64), name=_free(known, f"{name}_target"))
            value = onnx_ir.Value(
                name=tensor.name, const_value=tensor, type=onnx_ir.TensorType(tensor.dtype)
            )
            value.shape = onnx_ir.Shape([len(target)])
            ir.graph.register_initializer(value)
            node.replace_input_with(1, value)
        _infer_anew(ir)

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


def _free(known: Tensors, name: str) -> str:
    candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in known)


def _infer_anew(ir: onnx_ir.Model) -> None:
    """Forgets the shapes of all that nodes compute, and infers them again."""
    outputs = {value: value.shape for value in ir.graph.outputs}
    types = {}
    for node in ir.graph.all_nodes():
        for value in node.outputs:
            types[value] = value.type
            value.shape = value.type = None
    infer_types(ir)
    for value, kind in types.items():
        value.type = value.type or kind
    for value, shape in outputs.items():
        if value.shape is None and shape is not None:
            value.shape = shape
