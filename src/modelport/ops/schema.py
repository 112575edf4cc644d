"""What an operator takes and gives, read from the signature of its reference."""

from __future__ import annotations

import inspect
import math
import re
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal

from modelport.errors import OperatorError

AttributeKind = Literal["int", "float", "bool", "str", "list[int]", "list[float]", "list[str]"]
InputKind = Literal["In", "Opt", "List"]

TEXT_END = "\x1f"
"""What ends every text of an attribute that is a list of texts: kernels get them as one."""

_QUALIFIED = re.compile(r"[A-Za-z_]\w*::[A-Za-z_]\w*")
_LISTS: dict[Any, AttributeKind] = {int: "list[int]", float: "list[float]", str: "list[str]"}
_SCALARS: dict[Any, AttributeKind] = {int: "int", float: "float", bool: "bool", str: "str"}


@dataclass(frozen=True)
class Input:
    """A tensor that an operator takes.

    Attributes:
        name: Its name.
        kind: ``In`` (always there), ``Opt`` (may be absent) or ``List`` (any number of tensors).
    """

    name: str
    kind: InputKind = "In"


@dataclass(frozen=True)
class Attribute:
    """A value that is fixed when a graph is made.

    Attributes:
        name: Its name.
        kind: Its Python type, as it is written.
        default: Its value where it is not given; `required` where there is none.
    """

    name: str
    kind: AttributeKind
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class OperatorSchema:
    """The inputs, attributes and outputs of an operator.

    Attributes:
        domain: The operator's domain: PyTorch's namespace and ONNX's domain.
        name: The operator's name in it.
        inputs: The tensors it takes, by position.
        attributes: The values it takes, by keyword.
        outputs: The names of the tensors it gives.
    """

    domain: str
    name: str
    inputs: tuple[Input, ...]
    attributes: tuple[Attribute, ...]
    outputs: tuple[str, ...]

    @property
    def qualified_name(self) -> str:
        """``domain::name``."""
        return f"{self.domain}::{self.name}"

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of attributes that have a default."""
        return {item.name: item.default for item in self.attributes if not item.required}

    def to_torch(self) -> str:
        """The schema in the language of ``torch.library``."""
        types = {"In": "Tensor", "Opt": "Tensor?", "List": "Tensor[]"}
        parts = [f"{types[item.kind]} {item.name}" for item in self.inputs]
        # An optional tensor may be left out only where everything after it may be, too.
        for index in reversed(range(len(parts))):
            if self.inputs[index].kind != "Opt":
                break
            parts[index] += "=None"
        if self.attributes:
            parts += ["*", *map(_attribute_to_torch, self.attributes)]
        outputs = ", ".join(["Tensor"] * len(self.outputs))
        outputs = outputs if len(self.outputs) == 1 else f"({outputs})"
        return f"{self.name}({', '.join(parts)}) -> {outputs}"


def split_name(qualified_name: str) -> tuple[str, str]:
    """The domain and the name of ``domain::name``.

    Raises:
        OperatorError: It is written otherwise.
    """
    if not _QUALIFIED.fullmatch(qualified_name):
        raise OperatorError(
            f"{qualified_name!r} is not the name of an operator",
            why="a name has a domain and a name, both of letters, digits and underscores",
            fix='write it as "domain::name", like "points::knn_query"',
        )
    domain, _, name = qualified_name.partition("::")
    return domain, name


def join_texts(texts: Sequence[str]) -> str:
    """A list of texts as nodes and kernels keep it: as one.

    Raises:
        OperatorError: A text contains what separates them.
    """
    for text in texts:
        if TEXT_END in text:
            raise OperatorError(
                f"the text {text!r} cannot be in an attribute that is a list of texts",
                why="texts of a list are kept as one, separated by the character U+001F",
                fix="pass the text without this character",
            )
    return "".join(f"{text}{TEXT_END}" for text in texts)


def schema_of(qualified_name: str, reference: Callable[..., Any]) -> OperatorSchema:
    """Reads an operator's schema from the signature of its reference.

    Args:
        qualified_name: ``domain::name``.
        reference: A function whose positional parameters are annotated ``Tensor``,
            ``Tensor | None`` or (the last one) ``list[Tensor]``, whose keyword-only parameters
            are annotated int, float, bool, str or a list of int, float or str, and that gives a
            ``Tensor`` or a ``tuple`` of them.

    Returns:
        The schema.

    Raises:
        OperatorError: The signature says something else; the message names the parameter.
    """
    domain, name = split_name(qualified_name)
    place = _place_of(reference)
    try:
        hints = typing.get_type_hints(reference)
    except (AttributeError, NameError, SyntaxError, TypeError) as error:
        raise OperatorError(
            f"the annotations of {qualified_name} cannot be read", where=place, why=str(error)
        ) from error
    inputs: list[Input] = []
    attributes: list[Attribute] = []
    for parameter in inspect.signature(reference).parameters.values():
        hint = hints.get(parameter.name, inspect.Parameter.empty)
        if parameter.kind is parameter.KEYWORD_ONLY:
            attributes.append(_attribute(qualified_name, place, parameter, hint))
        else:
            inputs.append(_input(qualified_name, place, parameter, hint))
    if any(item.kind == "List" for item in inputs[:-1]):
        raise OperatorError(
            f"{qualified_name} takes a list of tensors before other tensors",
            where=place,
            fix="the list is the last input",
        )
    if not inputs or inputs[0].kind == "Opt":
        raise OperatorError(
            f"{qualified_name} has no first input that is always there",
            where=place,
            why="the device of a call is that of its first tensor",
            fix="begin with a parameter annotated Tensor",
        )
    outputs = _outputs(qualified_name, place, hints.get("return"))
    return OperatorSchema(domain, name, tuple(inputs), tuple(attributes), outputs)


def _input(operator: str, place: str, parameter: inspect.Parameter, hint: Any) -> Input:
    kinds = {"Tensor": "In", "Tensor | None": "Opt", "list[Tensor]": "List"}
    kind = kinds.get(_written(hint))
    if kind is None or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
        raise OperatorError(
            f"{operator}: the parameter {parameter.name!r} is not a tensor",
            where=place,
            why=f"it is annotated {_written(hint)}",
            fix="annotate it Tensor, Tensor | None or list[Tensor]; attributes come after a `*`",
        )
    return Input(parameter.name, typing.cast(InputKind, kind))


def _attribute(operator: str, place: str, parameter: inspect.Parameter, hint: Any) -> Attribute:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    kind = _SCALARS.get(hint)
    if origin in (list, Sequence) and len(arguments) == 1:
        kind = _LISTS.get(arguments[0])
    if kind is None:
        raise OperatorError(
            f"{operator}: the attribute {parameter.name!r} has no type that ONNX knows",
            where=place,
            why=f"it is annotated {_written(hint)}",
            fix="int, float, bool, str, list[int], list[float] or list[str]",
        )
    default = parameter.default
    if isinstance(default, tuple):
        default = list(default)
    attribute = Attribute(parameter.name, kind, default)
    if not attribute.required and not _is_of(kind, default):
        raise OperatorError(
            f"{operator}: the default of the attribute {parameter.name!r} is {default!r}",
            where=place,
            why=f"it is annotated {_written(hint)}",
            fix="give a default of this type, or none",
        )
    return attribute


def _is_of(kind: str, value: Any) -> bool:
    """Whether a value is of an attribute's kind."""
    if kind.startswith("list["):
        return isinstance(value, list) and all(_is_of(kind[5:-1], item) for item in value)
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    wanted = {"int": int, "bool": bool, "str": str}[kind]
    return isinstance(value, wanted) and isinstance(value, bool) == (kind == "bool")


def _outputs(operator: str, place: str, hint: Any) -> tuple[str, ...]:
    if _written(hint) == "Tensor":
        return ("output",)
    arguments = typing.get_args(hint)
    if arguments and all(_written(item) == "Tensor" for item in arguments):
        return tuple(f"output_{index}" for index in range(len(arguments)))
    raise OperatorError(
        f"{operator}: what it gives is annotated {_written(hint)}",
        where=place,
        fix="annotate it Tensor, or tuple[Tensor, Tensor] with one Tensor for each output",
    )


def _written(hint: Any) -> str:
    if hint is inspect.Parameter.empty or hint is None:
        return "nothing"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
        inner = next(item for item in arguments if item is not NoneType)
        return f"{_written(inner)} | None"
    if origin in (list, Sequence) and len(arguments) == 1:
        return f"list[{_written(arguments[0])}]"
    return getattr(hint, "__name__", str(hint))


def _attribute_to_torch(attribute: Attribute) -> str:
    types = {"list[int]": "int[]", "list[float]": "float[]", "list[str]": "str[]"}
    written = f"{types.get(attribute.kind, attribute.kind)} {attribute.name}"
    if attribute.required:
        return written
    default = attribute.default
    if attribute.kind == "list[str]" or not _is_finite(default):
        # PyTorch's language has no such defaults; who calls the operator fills them in.
        return written.replace(" ", "? ", 1) + "=None"
    if isinstance(default, str):
        return written + '="' + default.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(default, list):
        return f"{written}=[{', '.join(map(str, default))}]"
    return f"{written}={default}"


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _place_of(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
