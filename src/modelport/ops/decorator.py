"""`operator`: the declaration of an operator, by decoration of its reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modelport.ops import registry
from modelport.ops.declaration import Operator, folder_of, kernel_files, template_dtypes
from modelport.ops.schema import schema_of
from modelport.ops.torch_op import EagerOperator


def operator(
    name: str,
    *,
    kernels: Sequence[str] = (),
    dtypes: Sequence[str] | Sequence[Sequence[str]] = (),
) -> Callable[[Callable[..., Any]], Operator]:
    """Declares an operator; the decorated function is its reference.

    Args:
        name: ``domain::name``, for PyTorch and ONNX alike.
        kernels: Files beside the declaration: a ``.cpp`` with the kernel for the CPU, a ``.cu``
            with that for CUDA. Each has a function of the operator's name; see
            ``modelport/kernel.h``.
        dtypes: Where that function is a template: the element types of its parameter, or a list
            of them for every parameter.

    Returns:
        A decorator that gives the `Operator`.

    Raises:
        OperatorError: The name, the signature, a file or a dtype is wrong; or another operator
            of this name was declared before.
    """

    def declare(reference: Callable[..., Any]) -> Operator:
        schema = schema_of(name, reference)
        files = kernel_files(name, folder_of(reference), kernels)
        declared = Operator(schema, reference, files, template_dtypes(dtypes))
        registry.require_addable(declared)
        declared.eager = EagerOperator.of(declared)
        registry.add(declared)
        return declared

    return declare
