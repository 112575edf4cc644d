"""One call of an operator's kernel on PyTorch's tensors."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from modelport.errors import OperatorError
from modelport.ops.ctypes_library import (
    ALLOCATE,
    BoundKernel,
    NativeKernel,
    NativeLibrary,
    pack_shapes,
)
from modelport.ops.library_store import open_library
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

if TYPE_CHECKING:
    from modelport.ops.declaration import Operator

_DTYPE_NAMES = {
    dtype: str(dtype).removeprefix("torch.")
    for dtype in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int32, torch.int64, torch.int8, torch.uint8),
    )
}
DTYPES = {name: dtype for dtype, name in _DTYPE_NAMES.items()}
"""PyTorch's element types that kernels may have, by NumPy's name."""


class Plan:
    """All of a call that depends on shapes, dtypes and attributes alone."""

    def __init__(
        self,
        name: str,
        bound: BoundKernel,
        inputs: Sequence[TensorInfo | None],
        outputs: Sequence[TensorInfo],
    ) -> None:
        self._name = name
        self._bound = bound
        self._handle = ctypes.c_void_p(bound.handle)
        self._call = bound.library.functions.modelport_call
        # The shape (None where only the kernel knows it) and the dtype of every output.
        self._outputs: list[tuple[tuple[int, ...] | None, torch.dtype]] = []
        for info in outputs:
            known = DATA_DEPENDENT not in info.shape
            self._outputs.append((info.shape if known else None, DTYPES[info.dtype]))
        self._like_first = (
            len(outputs) == 1 and repr(outputs[0]) == repr(inputs[0])  # shape and dtype
        )
        self._known = all(shape is not None for shape, _ in self._outputs)
        self._shapes = pack_shapes(inputs, outputs)
        self._buffers = struct.Struct(f"{len(inputs) + len(outputs)}Q")
        self._host = bound.kernel.host_inputs if bound.kernel.device == "cuda" else ()
        self._cuda = bound.kernel.device == "cuda"

    def run(self, inputs: Sequence[Any]) -> Any:
        """Runs the kernel on tensors of the plan's shapes."""
        # `contiguous` gives a contiguous tensor itself.
        tensors: list[Any] = [item if item is None else item.contiguous() for item in inputs]
        for place in self._host:
            if tensors[place] is not None:
                tensors[place] = tensors[place].cpu()
        # PyTorch makes a tensor like another one in half the time.
        outputs = (
            [torch.empty_like(tensors[0])] if self._like_first else self._empty(inputs[0].device)
        )
        buffers = self._buffers.pack(
            *[0 if item is None else item.data_ptr() for item in tensors + outputs]
        )
        stream = allocate = None
        if self._cuda:
            stream = torch.cuda.current_stream(inputs[0].device).cuda_stream
        if not self._known:
            kept = self._allocator(outputs, inputs[0].device)
            allocate = ctypes.cast(kept, ctypes.c_void_p)
        if self._call(
            self._handle, torch.get_num_threads(), stream, self._shapes, buffers, allocate
        ):
            raise OperatorError(
                f"{self._name} failed",
                why=self._bound.library.error(),
                fix="the reason is the kernel's own: mend the inputs that it names",
            )
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _empty(self, device: torch.device) -> list[Any]:
        return [
            None if shape is None else torch.empty(shape, dtype=dtype, device=device)
            for shape, dtype in self._outputs
        ]

    def _allocator(self, outputs: list[Any], device: torch.device) -> Any:
        def allocate(place: int, rank: int, dims: Any) -> int | None:
            dtype = self._outputs[place][1]
            outputs[place] = torch.empty(dims[:rank], dtype=dtype, device=device)
            pointer: int = outputs[place].data_ptr()
            return pointer or None

        return ALLOCATE(allocate)


def make_plan(
    operator: Operator, device: str, inputs: Sequence[Any], attributes: Mapping[str, Any]
) -> Plan:
    """Chooses the kernel for a call, and works out its output shapes.

    Args:
        operator: The operator.
        device: ``cpu`` or ``cuda``.
        inputs: Its tensors, None for an absent one; those of a list one after the other.
        attributes: The attributes that are given.

    Raises:
        OperatorError: The library cannot be built, no kernel takes these dtypes, or the shape
            rule contradicts the kernel.
    """
    library = open_library(operator.schema.domain, cuda=device == "cuda")
    infos = tensor_infos(inputs)
    kernel = _kernel_for(operator, library, device, infos)
    values = {**operator.schema.defaults, **attributes}
    kinds = [(item.kind, values[item.name]) for item in operator.schema.attributes]
    outputs = [TensorInfo((DATA_DEPENDENT,), name) for name in kernel.output_dtypes]
    if operator.shape_rule is not None:
        outputs = operator.infer(_grouped(operator, infos), values)
    for info, made in zip(outputs, kernel.output_dtypes, strict=True):
        if info.dtype != made:
            raise OperatorError(
                f"{operator.qualified_name}: the shape rule says {info.dtype}, "
                f"the kernel gives {made}",
                where=str(operator.folder),
                fix="let the rule and the kernel agree",
            )
    return Plan(operator.qualified_name, BoundKernel(library, kernel, kinds), infos, outputs)


def _grouped(operator: Operator, infos: list[Any]) -> list[Any]:
    """An entry for every declared input."""
    declared = operator.schema.inputs
    if declared[-1].kind == "List":
        return [*infos[: len(declared) - 1], infos[len(declared) - 1 :]]
    return [*infos, *[None] * (len(declared) - len(infos))]


def _kernel_for(
    operator: Operator, library: NativeLibrary, device: str, inputs: Sequence[TensorInfo | None]
) -> NativeKernel:
    own = [
        kernel
        for kernel in library.kernels
        if kernel.operator == operator.schema.name and kernel.device == device
    ]
    given = [None if item is None else item.dtype for item in inputs]
    for kernel in own:
        dtypes = [*kernel.dtypes, *[kernel.dtypes[-1]] * (len(given) - len(kernel.dtypes))]
        if all(dtype in (None, wanted) for dtype, wanted in zip(given, dtypes, strict=False)):
            return kernel
    written = ", ".join(dtype or "none" for dtype in given)
    raise OperatorError(
        f"{operator.qualified_name} has no {device} kernel for ({written})",
        where=str(operator.kernels.get(device, operator.folder)),
        why="its kernels take " + " or ".join(f"({', '.join(item.dtypes)})" for item in own)
        if own
        else f"it has no kernel for {device} at all",
        fix="convert the inputs, or declare the kernel for this dtype",
    )


def tensor_infos(inputs: Sequence[Any]) -> list[Any]:
    """The shape and dtype of every tensor; None for an absent one, a list for a list."""
    infos: list[Any] = []
    for item in inputs:
        if item is None:
            infos.append(None)
        elif isinstance(item, list | tuple):
            infos.append(tensor_infos(item))
        else:
            name = _DTYPE_NAMES.get(item.dtype) or str(item.dtype).removeprefix("torch.")
            infos.append(TensorInfo(item.shape, name))
    return infos
