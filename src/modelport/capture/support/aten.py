"""What a PyTorch operator is: declared where, with which signature, and mapped to ONNX by what."""

from __future__ import annotations

import functools
import re
from dataclasses import asdict, dataclass
from typing import Any

from modelport.capture.support.declarations import (
    Declaration,
    NativeFunction,
    called_operators,
    declarations,
    functional_sources,
    native_functions,
    read,
    relative,
)
from modelport.capture.support.emitted_operators import emitted, where
from modelport.capture.torch_private import operators as private
from modelport.errors import UsageError
from modelport.ops.catalog.operators import first_opset

OLDEST_SYMBOLIC_OPSET = 9
"""torch keeps lists of refusals, not mappings, for the opsets below."""

_PREFIXES = (
    ("torch.nn.functional.", ""),
    ("torch.linalg.", "linalg_"),
    ("torch.special.", "special_"),
    ("torch.fft.", "fft_"),
    ("torch.Tensor.", ""),
    ("torch.ops.aten.", ""),
    ("torch._C._nn.", ""),
    ("Tensor.", ""),
    ("torch.", ""),
    ("F.", ""),
)


@dataclass(frozen=True)
class OnnxUse:
    """An ONNX operator that a mapping may write.

    Attributes:
        name: Its name, with its domain unless it is the default one.
        since: The first opset that has it; None for an operator that ONNX does not define.
    """

    name: str
    since: int | None

    def __str__(self) -> str:
        return self.name if self.since is None else f"{self.name} (since {self.since})"


@dataclass(frozen=True)
class Mapping:
    """A function of one of torch's exporters that maps a PyTorch operator to ONNX.

    Attributes:
        exporter: ``dynamo``: the exporter of ``torch.onnx.export(dynamo=True)``; ``torchscript``:
            the one of ``dynamo=False``.
        operator: The operator, with its overload where the exporter tells overloads apart.
        since: The opset from which the mapping holds. The new exporter writes opset 18 and newer.
        place: ``file:line`` of the function, from the folder that torch is installed in.
        onnx: What it may write, read from its source: all branches, those of helpers included.
        is_complex: Whether it is for complex inputs only.
        custom: Whether the user registered it.
    """

    exporter: str
    operator: str
    since: int
    place: str
    onnx: tuple[OnnxUse, ...]
    is_complex: bool = False
    custom: bool = False


@dataclass(frozen=True)
class AtenOperator:
    """A PyTorch operator, or a function of ``torch.nn.functional`` written in Python.

    Attributes:
        name: ``aten::asinh``, or ``torch.nn.functional.interpolate`` for a Python function.
        declared: Where Python code finds it declared.
        signatures: Native signatures of its overloads.
        native: Its entries in torch's native_functions.yaml, which name the C++ functions.
        registered: Where the CPU, CUDA or composite kernel was registered with the dispatcher, by
            dispatch key, for the default overload.
        mappings: The mappings to ONNX, of both exporters, every version.
        decomposes: Whether torch can write it as other operators, which an export then does.
        calls: For a Python function: the operators that it may call.
    """

    name: str
    declared: tuple[Declaration, ...]
    signatures: tuple[str, ...]
    native: tuple[NativeFunction, ...]
    registered: dict[str, str]
    mappings: tuple[Mapping, ...]
    decomposes: bool
    calls: tuple[str, ...] = ()

    def mapped_by(self, exporter: str) -> tuple[Mapping, ...]:
        """The mappings of one exporter, ``dynamo`` or ``torchscript``; empty where it has none."""
        return tuple(mapping for mapping in self.mappings if mapping.exporter == exporter)

    @property
    def status(self) -> str:
        """In one word what becomes of it in a new export.

        ``mapped``; ``decomposed``: written as other operators first, which may or may not have
        mappings (`modelport.capture.support` tells, for a model); ``missing``; ``composed`` for a
        Python function, which is as good as the operators it calls.
        """
        if self.calls:
            return "composed"
        if self.mapped_by("dynamo"):
            return "mapped"
        return "decomposed" if self.decomposes else "missing"

    def to_json(self) -> dict[str, Any]:
        """The operator as plain dicts and lists."""
        return asdict(self) | {"status": self.status}


def describe_aten(name: str) -> AtenOperator:
    """Looks a PyTorch operator up.

    Args:
        name: ``asinh``, ``aten::asinh``, ``torch.linalg.svd``, ``torch.nn.functional.interpolate``,
            ``torchvision::nms`` (where the library is imported), or an overload of one.

    Returns:
        What is known about it. An operator without an ONNX mapping has no ``mappings``.

    Raises:
        UsageError: torch has no such operator.
    """
    qualified = qualified_name(name)
    short = qualified.rpartition("::")[2]
    python = functional_sources().get(short)
    native = native_functions(short) if qualified.startswith("aten::") else ()
    signatures = private.signatures(qualified)
    known = bool(native or signatures)
    if not known and python is None and not mappings(qualified):
        raise UsageError(
            f"PyTorch has no operator {name!r}",
            fix="search with modelport ops find TEXT, or import the library that defines it",
        )
    if not known and python is not None:
        return _python_function(short, *python)
    return AtenOperator(
        name=qualified,
        declared=declarations(short),
        signatures=tuple(signatures.values()),
        native=native,
        registered=_registered(qualified, "" in signatures),
        mappings=mappings(qualified),
        decomposes=_decomposes(qualified),
    )


def qualified_name(name: str) -> str:
    """``namespace::name`` of a PyTorch operator written in any of the usual ways."""
    if "::" in name:
        namespace, _, rest = name.partition("::")
        return f"{namespace}::{rest.partition('.')[0]}"
    for prefix, replacement in _PREFIXES:
        if name.startswith(prefix):
            return f"aten::{replacement}{name.removeprefix(prefix).partition('.')[0]}"
    return f"aten::{name.partition('.')[0]}"


def mappings(name: str) -> tuple[Mapping, ...]:
    """The mappings of an operator in both exporters.

    Args:
        name: ``aten::asinh``, for all its overloads.

    Returns:
        The new exporter's first, then the old one's, by overload and opset.
    """
    return (*_torchlib_mappings(name), *_symbolic_mappings(name))


def _python_function(name: str, place: str, source: str) -> AtenOperator:
    called = [f"aten::{other}" for other in called_operators(source)]
    calls = tuple(other for other in called if mappings(other) or private.signatures(other))
    return AtenOperator(
        name=f"torch.nn.functional.{name}",
        declared=(
            *declarations(name),
            Declaration(f"torch.nn.functional.{name}", place, "its Python source"),
        ),
        signatures=(),
        native=(),
        registered={},
        mappings=mappings(f"aten::{name}") or _symbolic_mappings(f"aten::__{name}"),
        decomposes=False,
        calls=calls,
    )


@functools.cache
def _torchlib_mappings(name: str) -> tuple[Mapping, ...]:
    found = [
        Mapping(
            exporter="dynamo",
            operator=entry.name,
            since=entry.since,
            place=function_place(entry.function),
            onnx=_uses(entry.function),
            is_complex=entry.is_complex,
        )
        for entry in _torchlib_index().get(name, ())
    ]
    return tuple(sorted(found, key=lambda mapping: (mapping.operator, mapping.since)))


@functools.cache
def _torchlib_index() -> dict[str, list[private.TorchlibEntry]]:
    """The new exporter's functions by operator, overloads together."""
    found: dict[str, list[private.TorchlibEntry]] = {}
    for entry in private.torchlib_entries():
        found.setdefault(entry.name.partition(".")[0], []).append(entry)
    return found


def _symbolic_mappings(name: str) -> tuple[Mapping, ...]:
    functions = private.symbolic_functions().get(name, {})
    return tuple(
        Mapping(
            exporter="torchscript",
            operator=name,
            since=opset,
            place=_symbolic_place(name, opset, function),
            onnx=_uses(function),
            custom=not function_place(function).startswith("torch/"),
        )
        for opset, function in sorted(functions.items())
        if opset >= OLDEST_SYMBOLIC_OPSET or not function_place(function).startswith("torch/")
    )


def _uses(function: Any) -> tuple[OnnxUse, ...]:
    return tuple(OnnxUse(name, first_opset(name)) for name in emitted(function))


def function_place(function: Any) -> str:
    """``file:line`` of a Python function, from the folder that torch is installed in."""
    found = where(function)
    return f"{relative(found[0])}:{found[1]}" if found else "(no source)"


def _symbolic_place(name: str, opset: int, function: Any) -> str:
    """Where a symbolic function is registered: its own place may be a helper that made it."""
    own = function_place(function)
    file = f"torch/onnx/_internal/torchscript_exporter/symbolic_opset{opset}.py"
    if own.startswith(file) or not own.startswith("torch/"):
        return own
    line = re.search(rf'"{re.escape(name)}"', read(file))
    return f"{file}:{read(file).count(chr(10), 0, line.start()) + 1}" if line else own


def _registered(name: str, has_default: bool) -> dict[str, str]:
    if not has_default:
        return {}
    wanted = ("CPU", "CUDA", "CompositeImplicitAutograd", "CompositeExplicitAutograd")
    found = private.kernels(name)
    return {
        key.removesuffix("[alias]"): re.sub(r"^.*?/pytorch/(?:pytorch/)?", "", place)
        for key, place in found.items()
        if key.removesuffix("[alias]") in wanted
    }


def _decomposes(name: str) -> bool:
    return any(other.partition(".")[0] == name for other in private.decomposed_names())
