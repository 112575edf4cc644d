"""An operator in PyTorch: eager, compiled and exported, on the kernels of its library."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from modelport.errors import OperatorError
from modelport.ops.autograd import differentiable
from modelport.ops.kernel_call import DTYPES, Plan, make_plan, tensor_infos
from modelport.ops.shapes import DataDependent

if TYPE_CHECKING:
    from modelport.ops.declaration import Operator

_PLANS_KEPT = 1024


class _Thread(threading.local):
    """What is switched on in this thread; a default in the class is read at once."""

    references = False


_thread = _Thread()


@contextlib.contextmanager
def use_references() -> Iterator[None]:
    """Within it, operators run their references in place of their kernels, in this thread.

    What is compared with a kernel must not come from the kernel itself.
    """
    before = _thread.references
    _thread.references = True
    try:
        yield
    finally:
        _thread.references = before


class EagerOperator:
    """The PyTorch operator of a declaration.

    Attributes:
        overload: ``torch.ops.<domain>.<name>.default``.
    """

    _known: dict[str, EagerOperator] = {}  # noqa: RUF012

    def __init__(self, operator: Operator) -> None:
        schema = operator.schema
        self._operator = operator
        self._plans: dict[str, dict[Any, Plan]] = {"cpu": {}, "cuda": {}}
        self._lock = threading.Lock()
        self._differentiable: Callable[..., Any] | None = None
        self._library: Any = _new_library(schema.domain)
        try:
            self._library.define(schema.to_torch())
        except RuntimeError as error:
            raise OperatorError(
                f"PyTorch does not take the operator {schema.qualified_name}",
                where=str(operator.folder),
                why=" ".join(str(error).split()),
                fix="where another library has an operator of this name, choose another domain",
            ) from error
        self.overload = getattr(getattr(torch.ops, schema.domain), schema.name).default
        for device in self._plans:
            self._library.impl(schema.name, self._runner(device), device.upper())
        torch.library.register_fake(schema.qualified_name, self._fake, lib=self._library)

    @classmethod
    def of(cls, operator: Operator) -> EagerOperator:
        """The PyTorch operator of a declaration; PyTorch lets a name be defined only once."""
        known = cls._known.get(operator.qualified_name)
        if known is None:
            known = cls._known[operator.qualified_name] = cls(operator)
        else:
            known._operator = operator
            known.forget_plans()
        return known

    def forget_plans(self) -> None:
        """What was worked out for shapes before no longer holds."""
        for plans in self._plans.values():
            plans.clear()

    def register_gradient(self) -> None:
        """Registers the declared gradient formula."""
        if self._differentiable is not None:
            return
        self._differentiable = differentiable(self.overload, lambda: self._operator.gradient)
        self._library.impl(self._operator.schema.name, self._differentiable, "Autograd")

    def _fake(self, *inputs: Any, **attributes: Any) -> Any:
        operator = self._operator
        attributes = {**operator.schema.defaults, **attributes}
        infos = operator.infer(tensor_infos(self._padded(inputs)), attributes)
        first = _first_tensor(inputs)
        context = None
        outputs = []
        for info in infos:
            shape = []
            for dim in info.shape:
                if isinstance(dim, DataDependent):
                    context = context or torch.library.get_ctx()
                    dim = context.new_dynamic_size()
                shape.append(dim)
            outputs.append(first.new_empty(shape, dtype=DTYPES[info.dtype]))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _padded(self, inputs: Sequence[Any]) -> list[Any]:
        """An entry for every input: PyTorch leaves out the last ones where they are None."""
        return [*inputs, *[None] * (len(self._operator.schema.inputs) - len(inputs))]

    def _runner(self, device: str) -> Callable[..., Any]:
        """The implementation for one device, as fast as Python allows."""
        plans = self._plans[device]
        takes_list = self._operator.schema.inputs[-1].kind == "List"

        def run(*inputs: Any, **attributes: Any) -> Any:
            if _thread.references:
                return self._operator.reference(*self._padded(inputs), **attributes)
            tensors = (*inputs[:-1], *inputs[-1]) if takes_list else inputs
            key: Any = [None if item is None else (item.dtype, item.shape) for item in tensors]
            if attributes:
                key += [
                    (name, tuple(value) if type(value) is list else value)
                    for name, value in attributes.items()
                ]
            key = tuple(key)
            plan = plans.get(key)
            if plan is None:
                operator = self._operator
                if operator.existing is not None:
                    return operator.existing(*self._padded(inputs), **attributes)
                if device not in operator.kernels:
                    return operator.reference(*self._padded(inputs), **attributes)
                plan = make_plan(operator, device, tensors, attributes)
                with self._lock:
                    if len(plans) >= _PLANS_KEPT:
                        plans.clear()
                    plans[key] = plan
            return plan.run(tensors)

        return run


def _new_library(namespace: str) -> Any:
    make: Any = torch.library.Library
    return make(namespace, "FRAGMENT")


def _first_tensor(inputs: Sequence[Any]) -> Any:
    first = inputs[0]
    return first[0] if isinstance(first, list | tuple) else first
