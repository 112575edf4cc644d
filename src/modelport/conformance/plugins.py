"""`prove_plugins`: the TensorRT plugins of operators do what TensorRT asks of them."""

from __future__ import annotations

import struct
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from modelport.backends.tensorrt.plugins import NO_PLUGIN, build_plugins, find_headers
from modelport.backends.tensorrt.plugins.fields import DATA_TYPES, INPUTS_FIELD, plugin_fields
from modelport.backends.tensorrt.plugins.host_program import Played, PluginCase, build_host, play
from modelport.conformance.case import OperatorCase
from modelport.conformance.results import Check, Conformance
from modelport.conformance.tensors import differences, flat, map_item
from modelport.errors import ModelportError, UsageError
from modelport.ops.build import BuildOptions
from modelport.ops.declaration import Operator
from modelport.ops.kernel_call import DTYPES, tensor_infos
from modelport.ops.sampling import Draw
from modelport.ops.schema import join_texts
from modelport.ops.shapes import DataDependent, TensorInfo

_STRUCTS = {3: "b", 4: "h", 5: "i", 10: "q", 1: "f", 2: "d"}
_NAMES = {number: name for name, number in DATA_TYPES.items()}


def prove_plugins(
    operators: Sequence[Operator],
    *,
    cases: int = 20,
    seed: int = 0,
    options: BuildOptions | None = None,
    done: Callable[[str], None] = lambda what: None,
) -> list[Conformance]:
    """Builds the plugins of operators and calls them as TensorRT does, on drawn cases.

    A host program opens the library as TensorRT's registry does; creates every plugin from the
    fields that the ONNX parser would make; asks it for types, shapes (with expressions of its
    own), formats, tactics and workspace; serializes it, makes it anew as an engine does, attaches
    and changes its shapes. What it says is compared with the reference. With a GPU the plugin
    runs, and its outputs are compared as well. TensorRT itself is not needed, only its headers.

    float64, which TensorRT does not have, becomes float32; a case with bool or uint8 is left out.

    Args:
        operators: The operators; those without a CUDA kernel are left out.
        cases: How many cases to draw for each of them.
        seed: Of the draws.
        options: How to build: the compute capabilities, and whether with sanitizers.
        done: Told of every part that was built.

    Returns:
        What was found, operator by operator.

    Raises:
        UsageError: No operator has a CUDA kernel, or one declares no cases.
        OperatorError: The plugins cannot be built.
    """
    options = options or BuildOptions()
    by_domain: dict[str, list[Operator]] = defaultdict(list)
    for operator in operators:
        if operator.samples is None:
            raise UsageError(
                f"{operator.qualified_name} declares no cases",
                fix=f"write a function of a draw under @{operator.schema.name}.cases",
            )
        if "cuda" in operator.kernels:
            by_domain[operator.schema.domain].append(operator)
    if not by_domain:
        raise UsageError(
            "no operator has a CUDA kernel, which a TensorRT plugin needs",
            fix='add a .cu file to its kernels: kernels=["kernel.cpp", "kernel.cu"]',
        )
    found = find_headers()
    host = build_host(found, options, done)
    proven: list[Conformance] = []
    for group in by_domain.values():
        library = build_plugins(group, options, found, done)
        for operator in group:
            checks = _prove(operator, host, library, cases, seed)
            proven.append(Conformance(operator.qualified_name, tuple(checks)))
    return proven


def _prove(operator: Operator, host: Path, library: Path, cases: int, seed: int) -> Iterator[Check]:
    drawn = [_drawn(operator, number, seed + number) for number in range(cases)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fit = [item for item in drawn if _types_fit(item)]
        jobs = [_job(item, folder / str(item.number)) for item in fit]
        replies = play(host, library, jobs, folder)
        if operator.schema.name not in [name for _, name, *_ in replies.creators]:
            yield Check("plugin", "", None, NO_PLUGIN)
            return
        for item in drawn:
            if item not in fit:
                yield Check("plugin", item.name, None, "tensors of plugins are not bool or uint8")
                continue
            played = replies.cases.get(item.number, Played(wrong="the host did not come to it"))
            wrong = [played.wrong] if played.wrong else _wrong(item, played)
            yield Check("plugin", item.name, not wrong, "; ".join(wrong))
            if replies.no_gpu:
                yield Check("plugin, enqueue", item.name, None, replies.no_gpu)
            elif not wrong:
                yield _ran(item, folder / str(item.number))
    if not fit:
        yield Check("cases", "", False, "no case was drawn that a plugin can take")


def _drawn(operator: Operator, number: int, seed: int) -> OperatorCase:
    assert operator.samples is not None
    inputs, attributes = operator.samples(Draw(seed))
    single = [map_item(item, _without_double) for item in inputs]
    return OperatorCase(operator, single, attributes, number)


def _without_double(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype is torch.float64 else tensor


def _types_fit(item: OperatorCase) -> bool:
    infos = tensor_infos([*flat(item.inputs), *item.expected])
    return all(info.dtype in DATA_TYPES for info in infos)


def _job(item: OperatorCase, folder: Path) -> PluginCase:
    folder.mkdir()
    schema = item.operator.schema
    tensors = list(flat(item.inputs))
    for index, tensor in enumerate(tensors):
        raw = tensor.contiguous().flatten().view(torch.uint8) if tensor.numel() else tensor
        (folder / f"input_{index}").write_bytes(
            bytes(raw.numpy().tobytes()) if tensor.numel() else b""
        )
    present: list[int] = []
    for index, tensor_input in enumerate(item.inputs):
        count = (
            len(tensor_input)
            if isinstance(tensor_input, list | tuple)
            else int(tensor_input is not None)
        )
        present += range(index, index + count)
    inputs = None if present == list(range(len(present))) else present
    return PluginCase(
        item.number,
        schema.domain,
        schema.name,
        plugin_fields(item.operator, item.attributes, inputs),
        [(info.dtype, info.shape) for info in tensor_infos(tensors)],
        [(info.dtype, info.shape) for info in tensor_infos(item.expected)],
        _changed(item),
        folder,
    )


def _changed(item: OperatorCase) -> list[tuple[int, ...]]:
    """Shapes with a first dimension that is twice as large, where the rule takes them."""
    batch = next(flat(item.inputs)).shape[:1]

    def doubled(tensor: torch.Tensor) -> tuple[int, ...]:
        shape = tuple(tensor.shape)
        return (2 * shape[0], *shape[1:]) if shape and shape[:1] == batch else shape

    values = {**item.operator.schema.defaults, **item.attributes}
    infos: list[Any] = [
        map_item(
            tensor_input,
            lambda tensor: TensorInfo(doubled(tensor), tensor_infos([tensor])[0].dtype),
        )
        for tensor_input in item.inputs
    ]
    try:
        item.operator.infer(infos, values)
    except ModelportError:
        return []
    return [doubled(tensor) for tensor in flat(item.inputs)]


def _wrong(item: OperatorCase, played: Played) -> list[str]:
    values = {**item.operator.schema.defaults, **item.attributes}
    rule = item.operator.infer(tensor_infos(item.inputs), values)
    return [*_wrong_outputs(item, played, rule), *_wrong_fields(item, played, values)]


def _wrong_outputs(item: OperatorCase, played: Played, rule: Sequence[TensorInfo]) -> Iterator[str]:
    sizes = [
        (index, axis)
        for index, info in enumerate(rule)
        for axis, dim in enumerate(info.shape)
        if isinstance(dim, DataDependent)
    ]
    if played.sizes != sizes:
        yield f"the sizes that values decide are {played.sizes}, not {sizes}"
    if len(played.outputs) != len(rule) + len(sizes):
        yield f"there are {len(played.outputs)} outputs of {len(rule)} and {len(sizes)} sizes"
        return
    for index, (info, tensor) in enumerate(zip(rule, item.expected, strict=True)):
        number, shape = played.outputs[index]
        found = f"{_NAMES.get(number)}{list(shape)}"
        real = tensor_infos([tensor])[0]
        bounds = [dim.bound if isinstance(dim, DataDependent) else dim for dim in info.shape]
        if _NAMES.get(number) != real.dtype or list(shape) != bounds:
            yield f"output {index} is {found}; the rule says {info}, the reference returns {real}"
        for axis, size in enumerate(real.shape):
            exact = (index, axis) not in sizes
            if len(shape) != len(real.shape) or (
                size != shape[axis] if exact else size > shape[axis]
            ):
                yield f"output {index} is {found}; the reference returns {real}"
                break


def _wrong_fields(item: OperatorCase, played: Played, values: dict[str, Any]) -> Iterator[str]:
    for attribute in item.operator.schema.attributes:
        type_, length, data = played.fields[attribute.name]
        expected: Any = values[attribute.name]
        kept: Any
        if attribute.kind in ("str", "list[str]"):
            kept = data.decode()
            expected = join_texts(expected) if attribute.kind == "list[str]" else expected
        else:
            kept = list(struct.unpack(f"{length}{_STRUCTS[type_]}", data))
            numbers = list(expected) if attribute.kind.startswith("list[") else [expected]
            if "float" in attribute.kind:
                is_set = attribute.name in item.attributes
                expected = [_float32(number) if is_set else float(number) for number in numbers]
            else:
                expected = list(map(int, numbers))
        if kept != expected:
            yield f"the engine keeps {attribute.name} = {kept!r} of {expected!r}"
    extra = set(played.fields) - {item.name for item in item.operator.schema.attributes}
    if extra - {INPUTS_FIELD}:
        yield f"the engine keeps {', '.join(sorted(extra))}"


def _float32(number: float) -> float:
    """A value in the format of a node's attribute in ONNX."""
    (kept,) = struct.unpack("f", struct.pack("f", number))
    return float(kept)


def _ran(item: OperatorCase, folder: Path) -> Check:
    actual = []
    for index, tensor in enumerate(item.expected):
        shape = [int(size) for size in (folder / f"shape_{index}").read_text().split()]
        data = bytearray((folder / f"output_{index}").read_bytes())
        dtype = DTYPES[tensor_infos([tensor])[0].dtype]
        empty = torch.empty(shape, dtype=dtype)
        actual.append(torch.frombuffer(data, dtype=dtype).reshape(shape) if data else empty)
    wrong = differences(item.expected, actual)
    return Check("plugin, enqueue", item.name, not wrong, "; ".join(wrong))
