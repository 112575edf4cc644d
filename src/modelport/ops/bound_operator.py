"""`bind_operator`: an operator that PyTorch already has gets a node and kernels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport import source_location
from modelport.errors import OperatorError
from modelport.ops import registry
from modelport.ops.declaration import Operator, kernel_files, template_dtypes
from modelport.ops.schema import Attribute, Input, OperatorSchema, schema_of, split_name

_INPUTS = {"Tensor": "In", "Optional[Tensor]": "Opt", "List[Tensor]": "List"}
_ATTRIBUTES = {
    "int": "int",
    "float": "float",
    "bool": "bool",
    "str": "str",
    "List[int]": "list[int]",
    "List[float]": "list[float]",
    "List[str]": "list[str]",
}


def bind_operator(
    existing: Any,
    *,
    onnx: str,
    kernels: Sequence[str] = (),
    dtypes: Sequence[Any] = (),
    inputs: Mapping[int, str] | None = None,
    reference: Callable[..., Any] | None = None,
) -> Operator:
    """Gives an operator that exists in PyTorch its ONNX node and its kernels.

    Three things can be bound:

    - an operator of PyTorch's dispatcher: ``"torchvision::deform_conv2d"``, or
      ``torch.ops.torchvision.deform_conv2d``. Its schema is read; models that call it export the
      node.
    - a function, such as one of a pybind11 extension. ``reference`` gives the schema. Call the
      operator that is returned in place of the function; it calls the function.
    - an ``autograd.Function`` class with a ``symbolic`` that emits the node. ``reference`` gives
      the schema. The model stays as it is.

    Args:
        existing: What is there.
        onnx: Domain and type of the node, ``custom::foo``; the kernels' function has the name
            after the colons.
        kernels: Kernel files, as `operator` takes them, seen from the caller's folder.
        dtypes: Element types of the kernels' template parameters, as `operator` takes them.
        inputs: Attributes that the node takes as inputs: the name of each by its place among the
            node's inputs. The exporter writes them as constants, the kernel gets their values.
        reference: Its computation in plain PyTorch, with the annotations that `operator` reads;
            for an operator of the dispatcher, that operator itself by default.

    Returns:
        The operator; shape rule, body and cases can be declared on it.

    Raises:
        OperatorError: There is no such operator, its schema has a type that ONNX lacks, or the
            files or inputs are wrong.
    """
    import torch

    from modelport.ops import torch_private
    from modelport.ops.torch_op import EagerOperator

    folder = Path(source_location.of_caller().rpartition(":")[0] or ".").parent
    is_class = isinstance(existing, type) and issubclass(existing, torch.autograd.Function)
    overload = None if is_class else _overload(existing)
    if overload is not None:
        schema = _schema_of_overload(overload, onnx)
    elif reference is not None:
        schema = schema_of(onnx, reference)
    else:
        raise OperatorError(
            f"the schema of {onnx} is not known: {existing!r} is no operator of PyTorch's "
            "dispatcher",
            fix="pass reference=, a function with annotations that computes the same",
        )
    bound = Operator(
        schema,
        reference if reference is not None else overload,  # type: ignore[arg-type]
        kernel_files(onnx, folder, kernels),
        template_dtypes(dtypes),
        node_inputs=_node_inputs(schema, inputs or {}),
        folder=folder,
    )
    registry.require_addable(bound)
    if overload is not None:
        bound.existing = overload
        bound.torch_name = overload.name().partition(".")[0]
        bound.argument_names = tuple(item.name for item in torch_private.arguments(overload))
    elif is_class:
        bound.existing = existing.apply
        bound.torch_name = None
    else:
        bound.existing = existing
        bound.eager = EagerOperator.of(bound)
    registry.add(bound)
    return bound


def _overload(existing: Any) -> Any:
    """The overload of PyTorch's dispatcher that is meant; None for anything else."""
    import torch

    from modelport.ops import torch_private

    if isinstance(existing, str):
        domain, name = split_name(existing)
        existing = getattr(getattr(torch.ops, domain), name, None)
        if existing is None:
            raise OperatorError(
                f"PyTorch has no operator {domain}::{name}",
                fix="import the library that defines it first",
            )
    if hasattr(existing, "overloads"):
        names = existing.overloads()
        if len(names) != 1:
            raise OperatorError(
                f"{existing} has the overloads {', '.join(names)}",
                fix="pass one of them: torch.ops.<domain>.<name>.<overload>",
            )
        return getattr(existing, names[0])
    return existing if torch_private.is_overload(existing) else None


def _schema_of_overload(overload: Any, onnx: str) -> OperatorSchema:
    from modelport.ops import torch_private

    domain, name = split_name(onnx)
    inputs: list[Input] = []
    attributes: list[Attribute] = []
    for argument in torch_private.arguments(overload):
        written = str(argument.type)
        default = argument.default_value if argument.has_default_value() else inspect._empty
        if written in _INPUTS:
            kind: Any = _INPUTS[written]
            inputs.append(Input(argument.name, kind))
        elif written in _ATTRIBUTES:
            kind = _ATTRIBUTES[written]
            attributes.append(Attribute(argument.name, kind, default))
        else:
            raise OperatorError(
                f"{overload.name()}: the argument {argument.name!r} is a {written}",
                why="ONNX has no attribute of this type",
                fix="wrap the operator in one without this argument",
            )
    returns = [str(item.type) for item in torch_private.returns(overload)]
    if not returns or set(returns) != {"Tensor"}:
        raise OperatorError(
            f"{overload.name()} gives {', '.join(returns) or 'nothing'}",
            fix="an operator gives a fixed number of tensors",
        )
    outputs = [f"output_{place}" for place in range(len(returns))]
    if len(outputs) == 1:
        outputs = ["output"]
    return OperatorSchema(domain, name, tuple(inputs), tuple(attributes), tuple(outputs))


def _node_inputs(schema: OperatorSchema, places: Mapping[int, str]) -> list[str]:
    attributes = {item.name: item.kind for item in schema.attributes}
    order = [item.name for item in schema.inputs]
    for place, name in sorted(places.items()):
        if attributes.get(name) not in ("int", "float", "bool"):
            raise OperatorError(
                f"{schema.qualified_name}: {name!r} cannot be an input of the node",
                why="it is no attribute that is a single number",
                fix=f"its attributes are {', '.join(attributes) or 'none'}",
            )
        if not 0 <= place <= len(order):
            raise OperatorError(
                f"{schema.qualified_name}: its node has no input {place} for {name!r}",
                fix=f"a place from 0 to {len(order)}",
            )
        order.insert(place, name)
    if schema.inputs[-1].kind == "List" and order[-1] != schema.inputs[-1].name:
        raise OperatorError(f"{schema.qualified_name}: the list of tensors is the last input")
    return order
