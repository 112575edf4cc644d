"""An operator in PyTorch: eager, compiled and exported, on the kernels of its library."""

from __future__ import annotations

import contextlib
import ctypes
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from modelport.errors import OperatorError
from modelport.ops.libraries import open_library
from modelport.ops.native_library import ALLOCATE, BoundKernel, NativeKernel, NativeLibrary
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

if TYPE_CHECKING:
    from modelport.ops.declaration import Operator

_PLANS_KEPT = 1024
_DTYPE_NAMES = {
    dtype: str(dtype).removeprefix("torch.")
    for dtype in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int32, torch.int64, torch.int8, torch.uint8),
    )
}
_DTYPES = {name: dtype for dtype, name in _DTYPE_NAMES.items()}

_references = threading.local()


@contextlib.contextmanager
def use_references() -> Iterator[None]:
    """Within it, operators run their references in place of their kernels, in this thread.

    What is compared with a kernel must not come from the kernel itself.
    """
    before = getattr(_references, "on", False)
    _references.on = True
    try:
        yield
    finally:
        _references.on = before


class EagerOperator:
    """The PyTorch operator of a declaration.

    Attributes:
        overload: ``torch.ops.<domain>.<name>.default``.
    """

    _known: dict[str, EagerOperator] = {}  # noqa: RUF012

    def __init__(self, operator: Operator) -> None:
        schema = operator.schema
        self._operator = operator
        self._plans: dict[Any, _Plan] = {}
        self._lock = threading.Lock()
        self._library: Any = _new_library(schema.domain)
        try:
            self._library.define(schema.to_torch())
        except RuntimeError as error:
            raise OperatorError(
                f"PyTorch does not take the operator {schema.qualified_name}",
                where=str(operator.folder),
                why=str(error).splitlines()[0],
                fix="another library has an operator of this name: choose another domain",
            ) from error
        self.overload = getattr(getattr(torch.ops, schema.domain), schema.name).default
        for key in ("CPU", "CUDA"):
            self._library.impl(schema.name, self._run, key)
        torch.library.register_fake(schema.qualified_name, self._fake, lib=self._library)

    @classmethod
    def of(cls, operator: Operator) -> EagerOperator:
        """The PyTorch operator of a declaration; PyTorch lets a name be defined only once."""
        known = cls._known.get(operator.qualified_name)
        if known is None:
            known = cls._known[operator.qualified_name] = cls(operator)
        else:
            known._operator = operator
            known._plans = {}
        return known

    def register_gradient(self) -> None:
        """Registers the declared gradient formula."""
        name = self._operator.qualified_name
        torch.library.register_autograd(
            name, self._gradient, setup_context=_save, lib=self._library
        )

    def _gradient(self, context: Any, *gradients: Any) -> Any:
        formula = self._operator.gradient
        assert formula is not None
        saved = iter(context.saved_tensors)
        inputs = [_restore(item, saved) for item in context.pattern]
        given = formula(*gradients, *inputs, **context.attributes)
        return given[0] if isinstance(given, tuple) and len(given) == 1 else given

    def _fake(self, *inputs: Any, **attributes: Any) -> Any:
        operator = self._operator
        attributes = {**operator.schema.defaults, **attributes}
        infos = operator.infer(_infos(inputs), attributes)
        first = _first_tensor(inputs)
        context = None
        outputs = []
        for info in infos:
            shape = []
            for dim in info.shape:
                if dim is DATA_DEPENDENT:
                    context = context or torch.library.get_ctx()
                    dim = context.new_dynamic_size()
                shape.append(dim)
            outputs.append(first.new_empty(shape, dtype=_DTYPES[info.dtype]))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _run(self, *inputs: Any, **attributes: Any) -> Any:
        if getattr(_references, "on", False):
            return self._operator.reference(*inputs, **attributes)
        if inputs and type(inputs[-1]) in (list, tuple):
            inputs = (*inputs[:-1], *inputs[-1])
        key: list[Any] = [
            None if tensor is None else (tensor.dtype, tensor.shape) for tensor in inputs
        ]
        key.append(inputs[0].device.type)
        for value in attributes.values():
            key.append(tuple(value) if type(value) is list else value)
        key.append(tuple(attributes))
        hashed = tuple(key)
        plan = self._plans.get(hashed)
        if plan is None:
            plan = self._make_plan(inputs, attributes, hashed)
        return plan.run(inputs)

    def _make_plan(self, inputs: Sequence[Any], attributes: dict[str, Any], key: Any) -> _Plan:
        operator = self._operator
        library = open_library(operator.schema.domain, cuda=inputs[0].is_cuda)
        infos = _infos(inputs)
        kernel = _kernel_for(operator, library, inputs[0].device.type, infos)
        values = {**operator.schema.defaults, **attributes}
        kinds = [(item.kind, values[item.name]) for item in operator.schema.attributes]
        grouped: list[Any] = infos
        if operator.schema.inputs[-1].kind == "List":
            count = len(operator.schema.inputs) - 1
            grouped = [*infos[:count], infos[count:]]
        grouped += [None] * (len(operator.schema.inputs) - len(grouped))
        outputs = (
            operator.infer(grouped, values)
            if operator.shape_rule
            else [TensorInfo((DATA_DEPENDENT,), name) for name in kernel.output_dtypes]
        )
        for info, made in zip(outputs, kernel.output_dtypes, strict=True):
            if info.dtype != made:
                raise OperatorError(
                    f"{operator.qualified_name}: the shape rule says {info.dtype}, "
                    f"the kernel gives {made}",
                    where=str(operator.folder),
                )
        plan = _Plan(operator.qualified_name, BoundKernel(library, kernel, kinds), infos, outputs)
        with self._lock:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            self._plans[key] = plan
        return plan


class _Plan:
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
        self._call = bound.library.functions.modelport_call
        self._outputs: list[tuple[tuple[int, ...] | None, torch.dtype]] = []
        numbers = [len(inputs)]
        for item in inputs:
            numbers += [-1] if item is None else [len(item.shape), *item.shape]
        numbers.append(len(outputs))
        for info in outputs:
            known = DATA_DEPENDENT not in info.shape
            numbers += [len(info.shape), *info.shape] if known else [-1]
            self._outputs.append((info.shape if known else None, _DTYPES[info.dtype]))
        self._known = all(shape is not None for shape, _ in self._outputs)
        self._shapes = struct.pack(f"{len(numbers)}q", *numbers)
        self._buffers = struct.Struct(f"{len(inputs) + len(outputs)}Q")
        self._host = bound.kernel.host_inputs if bound.kernel.device == "cuda" else ()
        self._cuda = bound.kernel.device == "cuda"

    def run(self, inputs: Sequence[Any]) -> Any:
        """Runs the kernel on tensors of the plan's shapes."""
        device = inputs[0].device
        tensors = [
            item if item is None or item.is_contiguous() else item.contiguous() for item in inputs
        ]
        for place in self._host:
            if tensors[place] is not None:
                tensors[place] = tensors[place].cpu()
        outputs = [
            None if shape is None else torch.empty(shape, dtype=dtype, device=device)
            for shape, dtype in self._outputs
        ]
        buffers = self._buffers.pack(
            *[0 if item is None else item.data_ptr() for item in tensors],
            *[0 if item is None else item.data_ptr() for item in outputs],
        )
        stream = torch.cuda.current_stream(device).cuda_stream if self._cuda else None
        allocate = None if self._known else self._allocator(outputs, device)
        failed = self._call(
            *(self._bound.handle, torch.get_num_threads(), stream, self._shapes, buffers),
            allocate and ctypes.cast(allocate, ctypes.c_void_p),
        )
        if failed:
            raise OperatorError(
                f"{self._name} failed",
                why=self._bound.library.error(),
                fix="the reason is the kernel's own: mend the inputs that it names",
            )
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _allocator(self, outputs: list[Any], device: torch.device) -> Any:
        def allocate(place: int, rank: int, dims: Any) -> int | None:
            dtype = self._outputs[place][1]
            outputs[place] = torch.empty(dims[:rank], dtype=dtype, device=device)
            pointer: int = outputs[place].data_ptr()
            return pointer or None

        return ALLOCATE(allocate)


def _new_library(namespace: str) -> Any:
    make: Any = torch.library.Library
    return make(namespace, "FRAGMENT")


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


def _infos(inputs: Sequence[Any]) -> list[Any]:
    infos: list[Any] = []
    for item in inputs:
        if item is None:
            infos.append(None)
        elif isinstance(item, list | tuple):
            infos.append(_infos(item))
        else:
            infos.append(TensorInfo(item.shape, _DTYPE_NAMES.get(item.dtype, str(item.dtype))))
    return infos


def _first_tensor(inputs: Sequence[Any]) -> Any:
    first = inputs[0]
    return first[0] if isinstance(first, list | tuple) else first


def _save(ctx: Any, inputs: Any, keyword_only_inputs: Any, output: Any) -> None:
    tensors: list[Any] = []
    pattern: list[Any] = []
    for item in inputs:
        if isinstance(item, list | tuple):
            pattern.append(len(item))
            tensors += item
        else:
            pattern.append(item is not None)
            tensors += [] if item is None else [item]
    ctx.save_for_backward(*tensors)
    ctx.pattern = pattern
    ctx.attributes = keyword_only_inputs


def _restore(item: bool | int, saved: Iterator[Any]) -> Any:
    if item is True:
        return next(saved)
    return None if item is False else [next(saved) for _ in range(item)]
