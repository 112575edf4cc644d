"""Private parts of torch that looking operators up needs.

tests/capture/support/test_survey.py fails where a name has moved.
"""

from __future__ import annotations

import copy
import functools
import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from modelport.errors import ExportError

if TYPE_CHECKING:
    import onnx_ir
    import torch

TESTED_TORCH = "2.13, 2.14 or 2.15"
"""The releases of torch that these accesses were tested with."""


@dataclass(frozen=True)
class TorchlibEntry:
    """A function of the new exporter that maps a PyTorch operator.

    Attributes:
        name: ``aten::asinh``, ``aten::upsample_bicubic2d.vec``.
        since: The opset that it needs.
        function: The onnxscript function, or a plain one.
        is_complex: Whether it is for complex inputs.
    """

    name: str
    since: int
    function: Any
    is_complex: bool


@functools.cache
def torchlib_entries() -> tuple[TorchlibEntry, ...]:
    """All functions that the new exporter has, for every opset."""
    registry = _access("torch.onnx._internal.exporter._torchlib._torchlib_registry")
    apis = _access("torch.onnx._internal._lazy_import", "onnxscript_apis")
    oldest = torchlib_opset()
    own = [
        TorchlibEntry(target_name(m.fx_target), m.opset_introduced, m.onnx_function, m.is_complex)
        for m in registry.get_torchlib_ops()
    ]
    with sources_unparsed():
        shared = [
            TorchlibEntry(m.qualified_name, oldest, m.function, m.is_complex)
            for m in apis.get_torchlib_ops()
        ]
    return (*own, *shared)


@contextmanager
def sources_unparsed() -> Iterator[None]:
    """Within, onnxscript lists its functions without the parsed source of each.

    It parses 500 of them for every list, and reads of each the domain, which all have in common.
    """
    traced = _access("onnxscript.values", "TracedOnnxFunction")
    parsed = vars(traced)["function_ir"]
    traced.function_ir = property(lambda function: SimpleNamespace(domain=function.opset.domain))
    try:
        yield
    finally:
        traced.function_ir = parsed


def torchlib_opset() -> int:
    """The lowest opset that the new exporter writes without converting down."""
    return int(_access("torch.onnx._internal.exporter._constants", "TORCHLIB_OPSET"))


@functools.cache
def symbolic_modules() -> Mapping[int, Any]:
    """The old exporter's modules of symbolic functions, by opset."""
    package = "torch.onnx._internal.torchscript_exporter"
    return {opset: _access(f"{package}.symbolic_opset{opset}") for opset in range(7, 21)}


def symbolic_functions() -> Mapping[str, Mapping[int, Callable[..., Any]]]:
    """The old exporter's symbolic functions, the user's included, by operator and opset."""
    symbolic_modules()  # Importing them fills the registry.
    registry = _access("torch.onnx._internal.torchscript_exporter.registration", "registry")
    return {
        name: dict(registry.get_function_group(name)._functions._merged)
        for name in registry.all_functions()
    }


def signatures(name: str) -> Mapping[str, str]:
    """Signatures of an operator that torch knows, by overload (``""`` for the default one)."""
    import torch

    schemas = _attribute(torch._C, "_jit_get_schemas_for_operator")(name)
    return {schema.overload_name: str(schema) for schema in schemas}


def operator_names() -> tuple[str, ...]:
    """Names of all operators of torch's dispatcher, without overloads, sorted."""
    import torch

    names = _attribute(torch._C, "_dispatch_get_all_op_names")()
    return tuple(sorted({name.partition(".")[0] for name in names}))


def kernels(name: str) -> Mapping[str, str]:
    """Where the dispatcher's kernels of an operator were registered, by dispatch key.

    Args:
        name: The operator with its overload, as in ``aten::asinh.out``.
    """
    import torch

    found = {}
    for line in _attribute(torch._C, "_dispatch_dump")(name).splitlines():
        key, separator, rest = line.partition(": registered at ")
        if separator and key not in ("debug",):
            found[key] = rest.partition(" :: ")[0]
    return found


@functools.cache
def decomposed_names() -> frozenset[str]:
    """Operators (with overload) that torch can write as others."""
    import torch

    table = _access("torch._decomp", "decomposition_table")
    targets = [*torch.export.default_decompositions(), *table]
    return frozenset(target.name() for target in targets if hasattr(target, "_schema"))


def mapped_function(node: torch.fx.Node, registry: Any) -> tuple[Any, int | None, str]:
    """The function that maps a node and the opset it needs, or the exporter's reason for none."""
    dispatch = _access("torch.onnx._internal.exporter._dispatching", "dispatch")
    function, reason = dispatch(node, registry)
    since = [
        m.opset_introduced for m in registry.get_decomps(node.target) if m.onnx_function is function
    ]
    return function, next(iter(since), None), str(reason)


def is_mapped(target: Any, registry: Any) -> bool:
    """Whether the registry has a function for a target, whatever the dtypes."""
    return bool(registry.is_registered(target))


def register_stand_in(registry: Any, target: Any, function: Callable[..., Any]) -> None:
    """Registers a function for a target of any kind, complex inputs included."""
    module = _access("torch.onnx._internal.exporter._registration")
    for is_complex in (False, True):
        meta = module.OnnxDecompMeta(
            onnx_function=function,
            fx_target=target,
            signature=None,
            is_custom=True,
            is_complex=is_complex,
            skip_signature_inference=True,
        )
        registry._register(target, meta)


def wrap_functions(registry: Any, targets: Mapping[str, Any], wrap: Callable[..., Any]) -> None:
    """Replaces the registry's functions for some targets by ``wrap(name, function)``."""
    for name, target in targets.items():
        key = target.name() if hasattr(target, "_schema") else target
        metas = registry.functions.get(key, [])
        # The metas belong to the shared registry: changed are copies.
        registry.functions[key] = [copy.copy(meta) for meta in metas]
        for meta in registry.functions[key]:
            meta.onnx_function = wrap(name, meta.onnx_function)


def prepared(program: torch.export.ExportedProgram, registry: Any) -> torch.export.ExportedProgram:
    """The program decomposed into what the registry has, as torch.onnx.export does it."""
    prepare = _access("torch.onnx._internal.exporter._core", "_prepare_exported_program_for_export")
    with warnings.catch_warnings():
        # torch warns of its own use of its own class.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        result: torch.export.ExportedProgram = prepare(program, registry=registry)
    return result


def translated(program: torch.export.ExportedProgram, registry: Any) -> onnx_ir.Model:
    """The ONNX graph of a prepared program; ``node.meta["node"]`` is the node it came from."""
    translate = _access("torch.onnx._internal.exporter._core", "_exported_program_to_onnx_program")
    model: onnx_ir.Model = translate(program, registry=registry).model
    return model


def translation_errors() -> tuple[type[Exception], ...]:
    """What `translated` raises where a function of the exporter fails."""
    errors = _access("torch.onnx._internal.exporter._errors")
    return (errors.ConversionError, errors.DispatchError, errors.GraphConstructionError)


@contextmanager
def recorded_operators(into: list[Any]) -> Iterator[None]:
    """Appends every operator overload that runs eagerly inside the block."""
    mode_class = _access("torch.utils._python_dispatch", "TorchDispatchMode")

    class Recorder(mode_class):  # type: ignore[misc, valid-type]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            into.append(func)
            return func(*args, **(kwargs or {}))

    with Recorder():
        yield


def target_name(target: Any) -> str:
    """``aten::add.Tensor``, ``higher_order::cond``, ``_operator::mul`` of a node's target."""
    if hasattr(target, "_schema"):
        return str(target.name())
    if hasattr(target, "namespace"):
        return f"{target.namespace}::{target.name()}"
    return f"{getattr(target, '__module__', '')}::{getattr(target, '__name__', target)}"


def _access(module: str, attribute: str | None = None) -> Any:
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise _moved(module) from error
    return found if attribute is None else _attribute(found, attribute)


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        raise _moved(f"{getattr(owner, '__name__', owner)}.{name}") from error


def _moved(name: str) -> ExportError:
    import torch

    return ExportError(
        f"torch {torch.__version__} has no {name}",
        why=f"it is private to torch, and was tested with torch {TESTED_TORCH} only",
        fix=f"install torch {TESTED_TORCH}, or a modelport made for torch {torch.__version__}",
    )
