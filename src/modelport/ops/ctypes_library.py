"""A built library of operators, opened for use without a runtime."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.errors import OperatorError
from modelport.ops.elf_check import require_loadable
from modelport.ops.schema import join_texts
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

if TYPE_CHECKING:
    from modelport.ops.declaration import Operator

_ABI = 1
ALLOCATE = ctypes.CFUNCTYPE(
    ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64)
)
"""Gives a kernel the buffer of an output: takes the output, its rank and its dimensions."""


@dataclass(frozen=True)
class NativeKernel:
    """A kernel of a library.

    Attributes:
        place: Its place in the library.
        operator: The operator's name.
        device: ``cpu`` or ``cuda``.
        level: The level of processor that its code was compiled for.
        parameters: Its parameters, as their C++ types say: ``In<float32,2>``, ``int``.
    """

    place: int
    operator: str
    device: str
    level: int
    parameters: tuple[str, ...]

    @property
    def inputs(self) -> list[str]:
        """The inputs among its parameters."""
        return [
            item for item in self.parameters if "In<" in item or "Opt<" in item or "List<" in item
        ]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The element types of its inputs."""
        return tuple(_element(item) for item in self.inputs)

    @property
    def output_dtypes(self) -> tuple[str, ...]:
        """The element types of its outputs."""
        return tuple(_element(item) for item in self.parameters if item.startswith("Out<"))

    @property
    def host_inputs(self) -> frozenset[int]:
        """The inputs that it wants in the memory of the CPU, whatever its device."""
        return frozenset(i for i, item in enumerate(self.inputs) if item.startswith("Host"))


class NativeLibrary:
    """An opened library.

    Attributes:
        path: Its file.
        kernels: The kernels that are used on this processor.
    """

    def __init__(self, path: Path) -> None:
        """Opens a library.

        Args:
            path: The file.

        Raises:
            OperatorError: It is no library of operators for this platform, processor and version.
        """
        self.path = path
        require_loadable(path)
        try:
            self.functions = ctypes.CDLL(str(path))
            abi = self.functions.modelport_abi
        except (OSError, AttributeError) as error:
            raise OperatorError(
                f"{path.name} is not a library of operators for this machine",
                where=str(path),
                why=str(error),
                fix="build it here: modelport ops build",
            ) from error
        abi.restype = ctypes.c_int64
        if abi() != _ABI:
            raise OperatorError(
                f"{path.name} was built by another version of modelport",
                where=str(path),
                fix="build it again: modelport ops build",
            )
        self._declare()
        refusal = self.functions.modelport_refusal()
        if refusal:
            raise OperatorError(refusal.decode(), where=str(path))
        described = self.functions.modelport_kernels()
        if described is None:
            raise _failure(self, "the kernels of a library cannot be listed")
        lines = described.decode().splitlines()
        self.kernels = [_parse(place, line) for place, line in enumerate(lines)]

    def error(self) -> str:
        """What the last failed call of this thread said."""
        text: bytes = self.functions.modelport_error()
        return text.decode(errors="replace")

    def _declare(self) -> None:
        number, pointer, text = ctypes.c_int64, ctypes.c_void_p, ctypes.c_char_p
        results = {"refusal": text, "kernels": text, "error": text, "bind": pointer, "call": number}
        arguments: dict[str, list[Any]] = {
            "bind": [number],
            "unbind": [pointer],
            "set_int": [pointer, number, number],
            "set_float": [pointer, number, ctypes.c_double],
            "set_str": [pointer, number, text, number],
            "set_strs": [pointer, number, text, number],
            "set_ints": [pointer, number, pointer, number],
            "set_floats": [pointer, number, pointer, number],
            "call": [pointer, number, pointer, text, text, pointer],
        }
        for name in {*results, *arguments}:
            function = getattr(self.functions, f"modelport_{name}")
            function.restype = results.get(name)
            function.argtypes = arguments.get(name, [])


class BoundKernel:
    """A kernel with the values of its attributes; it lives as long as it is referred to."""

    def __init__(
        self, library: NativeLibrary, kernel: NativeKernel, values: Sequence[tuple[str, Any]]
    ) -> None:
        """Binds attribute values.

        Args:
            library: Where the kernel is.
            kernel: The kernel.
            values: The kind and the value of every attribute, in the order of the declaration.

        Raises:
            OperatorError: There is no memory, or no such kernel.
        """
        self.library = library
        self.kernel = kernel
        self.handle: int | None = library.functions.modelport_bind(kernel.place)
        if self.handle is None:
            raise _failure(library, f"the kernel of {kernel.operator} cannot be bound")
        for place, (kind, value) in enumerate(values):
            self._set(place, kind, value)

    def _set(self, place: int, kind: str, value: Any) -> None:
        functions = self.library.functions
        if kind in ("int", "bool"):
            functions.modelport_set_int(self.handle, place, int(value))
        elif kind == "float":
            functions.modelport_set_float(self.handle, place, float(value))
        elif kind == "str":
            data = value.encode()
            functions.modelport_set_str(self.handle, place, data, len(data))
        elif kind == "list[str]":
            data = join_texts(value).encode()
            functions.modelport_set_strs(self.handle, place, data, len(data))
        elif kind == "list[int]":
            numbers = (ctypes.c_int64 * len(value))(*value)
            functions.modelport_set_ints(self.handle, place, numbers, len(value))
        else:
            reals = (ctypes.c_double * len(value))(*value)
            functions.modelport_set_floats(self.handle, place, reals, len(value))

    def __del__(self) -> None:
        if self.handle is not None:
            self.library.functions.modelport_unbind(self.handle)


def pack_shapes(inputs: Sequence[TensorInfo | None], outputs: Sequence[TensorInfo]) -> bytes:
    """The shapes of a call as ``modelport_call`` takes them.

    Args:
        inputs: The inputs; None for an absent one.
        outputs: The outputs; one with a size that values decide is left to the kernel.
    """
    numbers = [len(inputs)]
    for item in inputs:
        numbers += [-1] if item is None else [len(item.shape), *item.shape]
    numbers.append(len(outputs))
    for info in outputs:
        known = DATA_DEPENDENT not in info.shape
        numbers += [len(info.shape), *info.shape] if known else [-1]
    return struct.pack(f"{len(numbers)}q", *numbers)


def require_declared(library: NativeLibrary, operators: Sequence[Operator]) -> None:
    """Raises `OperatorError` where a kernel's C++ signature differs from the declaration."""
    by_name = {operator.schema.name: operator for operator in operators}
    for kernel in library.kernels:
        operator = by_name[kernel.operator]
        declared = _declared(operator)
        found = [item.removeprefix("Host").partition("<")[0] for item in kernel.parameters]
        if [kind for kind, _ in declared] == found:
            continue
        rows = [("declaration", "kernel")]
        for index in range(max(len(declared), len(found))):
            left = " ".join(declared[index]) if index < len(declared) else "-"
            right = kernel.parameters[index] if index < len(found) else "-"
            mark = (
                index >= len(declared) or index >= len(found) or declared[index][0] != found[index]
            )
            rows.append((left, right + ("   <-- differs" if mark else "")))
        width = max(len(left) for left, _ in rows)
        raise OperatorError(
            f"the kernel of {operator.qualified_name} has another signature than its declaration",
            where=str(operator.kernels[kernel.device]),
            why="\n" + "\n".join(f"    {left:{width}}   {right}" for left, right in rows),
            fix="after the context come the inputs, the outputs, the attributes, in the order of "
            "the declaration",
        )


def _declared(operator: Operator) -> list[tuple[str, str]]:
    schema = operator.schema
    return [
        *((item.kind, item.name) for item in schema.inputs),
        *(("Out", name) for name in schema.outputs),
        *((item.kind, item.name) for item in schema.attributes),
    ]


def _failure(library: NativeLibrary, what: str) -> OperatorError:
    return OperatorError(
        what,
        where=str(library.path),
        why=library.error(),
        fix="build the library again: modelport ops build",
    )


def _parse(place: int, line: str) -> NativeKernel:
    operator, device, level, *parameters = line.split("|")
    return NativeKernel(place, operator, device, int(level), tuple(parameters))


def _element(parameter: str) -> str:
    return parameter.partition("<")[2].rstrip(">").partition(",")[0]
