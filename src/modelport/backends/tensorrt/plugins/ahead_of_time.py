"""Ahead-of-time plugins: the compiled kernel lies in the engine, which then needs no library.

Written against ``tensorrt.plugin`` of TensorRT 10.9 and later; it has not run on hardware.
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends.tensorrt.plugins.fields import DATA_TYPES
from modelport.errors import OperatorError
from modelport.ops.build import toolchain
from modelport.ops.build.cache import kept, key_of
from modelport.ops.build.generated_sources import literal
from modelport.ops.build.parts import OWN_HEADERS, headers
from modelport.ops.declaration import Operator, cpp_type
from modelport.ops.shapes import TensorInfo
from modelport.ops.templates import render

THREADS = 256
"""The threads of a block of such a kernel."""

_NAMES = {number: name for name, number in DATA_TYPES.items()}


@dataclass(frozen=True)
class AheadKernel:
    """A compiled kernel.

    Attributes:
        name: Its symbol.
        ptx: Its code, which the driver compiles for its GPU.
    """

    name: str
    ptx: str


def has_ahead(operator: Operator) -> bool:
    """Whether an operator's CUDA file has the function that `compile_ahead` needs."""
    source = operator.kernels.get("cuda")
    name = operator.schema.name
    return source is not None and bool(
        re.search(rf"\b{name}_ahead\s*\(", source.read_text(encoding="utf-8"))
    )


def compile_ahead(
    operator: Operator,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Mapping[str, Any],
    capability: int = 75,
) -> AheadKernel:
    """Compiles an operator to one kernel.

    The operator's CUDA file has a device function ``NAME_ahead`` that takes the inputs, the number
    of elements of the first output, the outputs and the attributes, and works from any grid of
    one dimension. Attributes become constants of the code.

    Args:
        operator: The operator.
        inputs: NumPy's names of the inputs' element types.
        outputs: Those of the outputs.
        attributes: The attributes that are given.
        capability: The least compute capability that it must run on.

    Returns:
        The kernel; its parameters are the inputs, an int32 and the outputs.

    Raises:
        OperatorError: There is no such function, it does not compile, or an attribute is a text
            or a list.
    """
    if not has_ahead(operator):
        raise OperatorError(
            f"{operator.qualified_name} cannot lie in an engine as a compiled kernel",
            where=str(operator.kernels.get("cuda", operator.folder)),
            why=f"it has no device function {operator.schema.name}_ahead: only an operator that is "
            "a single launch can have one",
            fix="build a library of plugins: modelport ops build --tensorrt",
        )
    values = {**operator.schema.defaults, **attributes}
    literals = []
    for item in operator.schema.attributes:
        if item.kind not in ("int", "float", "bool"):
            raise OperatorError(
                f"{operator.qualified_name}: the attribute {item.name} is a {item.kind}",
                why="a compiled kernel has numbers alone",
                fix="build a library of plugins: modelport ops build --tensorrt",
            )
        literals.append(
            literal(float(values[item.name]) if item.kind == "float" else values[item.name])
        )
    source, symbol = operator.kernels["cuda"], operator.qualified_name.replace("::", "_")
    text = render(
        "ahead.cu.jinja",
        operator=operator,
        source=source,
        symbol=symbol,
        inputs=list(map(cpp_type, inputs)),
        outputs=list(map(cpp_type, outputs)),
        attributes=literals,
    )
    probe = toolchain.ptx_command(Path("source"), Path("made"), capability)
    included = [source, *headers(source.parent), *OWN_HEADERS]

    def make(path: Path) -> None:
        generated = path.with_suffix(".cu")
        generated.write_text(text, encoding="utf-8")
        command = toolchain.ptx_command(generated, path, capability)
        toolchain.run(command, operator.qualified_name, source, f"{operator.schema.name}_ahead")

    key = key_of([*probe, toolchain.identity(probe[0]), text, *included])
    compiled = kept(f"ahead/{key}/{operator.schema.name}.ptx", make)
    return AheadKernel(symbol, compiled.read_text(encoding="utf-8"))


def register_ahead(operator: Operator, tensorrt: Any, capability: int = 75) -> None:
    """Registers an operator as an ahead-of-time plugin with this process's TensorRT.

    Nodes of the operator's name are then built with the compiled kernel; the engine runs without
    Python and without a library of plugins.

    Args:
        operator: The operator.
        tensorrt: The module ``tensorrt``.
        capability: The least compute capability that engines must run on.

    Raises:
        OperatorError: The operator has no function for it, takes optional inputs or lists, or
            attributes that are texts or lists.
    """
    plugin = importlib.import_module(f"{tensorrt.__name__}.plugin")
    if any(item.kind != "In" for item in operator.schema.inputs):
        raise OperatorError(
            f"{operator.qualified_name} has inputs that may be absent, or a list of them",
            why="an ahead-of-time plugin has a fixed number of tensors",
            fix="build a library of plugins: modelport ops build --tensorrt",
        )
    dtypes = operator.dtypes[0] if operator.dtypes else ("float32",)
    trial = [item for item in dtypes if item in DATA_TYPES][:1] * len(operator.schema.inputs)
    compile_ahead(operator, trial, trial[:1] * len(operator.schema.outputs), {}, capability)
    plugin.register(operator.qualified_name)(_description(operator, tensorrt, plugin))
    plugin.aot_impl(operator.qualified_name)(_implementation(operator, plugin, capability))


def _description(operator: Operator, tensorrt: Any, plugin: Any) -> Callable[..., Any]:
    def describe(*given: Any) -> Any:
        tensors, attributes = _taken_apart(operator, given)
        infos = [TensorInfo(list(item.shape_expr), _NAMES[int(item.dtype)]) for item in tensors]
        made = []
        for info in operator.infer(infos, attributes):
            dtype = tensorrt.DataType(DATA_TYPES[info.dtype])
            made.append(plugin.from_shape_expr(tuple(info.shape), dtype=dtype))
        return made[0] if len(made) == 1 else tuple(made)

    count = len(operator.schema.outputs)
    result = plugin.TensorDesc if count == 1 else _tensors(plugin, count)
    return _signed(describe, _parameters(operator, plugin), result)


def _implementation(operator: Operator, plugin: Any, capability: int) -> Callable[..., Any]:
    def implement(*given: Any) -> Any:
        *given_first, outputs, _tactic = given
        tensors, attributes = _taken_apart(operator, given_first)
        inputs, results = (
            [_NAMES[int(item.dtype)] for item in group] for group in (tensors, outputs)
        )
        kernel = compile_ahead(operator, inputs, results, attributes, capability)
        count = outputs[0].shape_expr.numel()
        launch = plugin.KernelLaunchParams()
        launch.grid_x = plugin.cdiv(count, THREADS)
        launch.block_x = THREADS
        launch.shared_mem = 0
        numbers = plugin.SymIntExprs(1)
        numbers[0] = plugin.SymInt32(count)
        return kernel.name, kernel.ptx, launch, numbers

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        *_parameters(operator, plugin),
        inspect.Parameter(
            "outputs", kind, annotation=_tensors(plugin, len(operator.schema.outputs))
        ),
        inspect.Parameter("tactic", kind, annotation=int),
    ]
    result = tuple[str, str, plugin.KernelLaunchParams, plugin.SymIntExprs]
    return _signed(implement, parameters, result)


def _tensors(plugin: Any, count: int) -> Any:
    """The annotation of several tensors."""
    return types.GenericAlias(tuple, (plugin.TensorDesc,) * count)


def _taken_apart(operator: Operator, given: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    count = len(operator.schema.inputs)
    names = [item.name for item in operator.schema.attributes]
    return list(given[:count]), dict(zip(names, given[count:], strict=True))


def _parameters(operator: Operator, plugin: Any) -> list[inspect.Parameter]:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    python = {"int": int, "float": float, "bool": bool}
    tensors = [
        inspect.Parameter(item.name, kind, annotation=plugin.TensorDesc)
        for item in operator.schema.inputs
    ]
    attributes = [
        inspect.Parameter(item.name, kind, annotation=python[item.kind])
        for item in operator.schema.attributes
    ]
    return [*tensors, *attributes]


def _signed(
    function: Callable[..., Any], parameters: list[inspect.Parameter], result: Any
) -> Callable[..., Any]:
    """With annotations that are types: TensorRT reads them, and takes no texts."""
    signature = inspect.Signature(parameters, return_annotation=result)
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function
