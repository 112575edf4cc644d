"""The record of an operator that is declared once, for PyTorch, ONNX and every runtime."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.errors import OperatorError
from modelport.ops.schema import OperatorSchema
from modelport.ops.shapes import TensorInfo

if TYPE_CHECKING:
    from modelport.ops.torch_op import EagerOperator

DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int32",
    "int64",
    "int8",
    "uint8",
    "bool",
)
"""Element types that kernels may have."""

DEVICE_OF_SUFFIX = {".cpp": "cpu", ".cu": "cuda"}

ShapeRule = Callable[..., TensorInfo | Sequence[TensorInfo]]


class Operator:
    """An operator that is declared once.

    Calling it calls the PyTorch operator ``torch.ops.<domain>.<name>``.

    Attributes:
        schema: Its inputs, attributes and outputs.
        reference: The function that says what the kernels must compute, in plain PyTorch.
        kernels: The file of its kernels, by device (``cpu``, ``cuda``); a device that is not
            there runs the reference.
        dtypes: The element types that a template parameter of the kernels takes, for every
            parameter; empty where the kernel is no template.
        shape_rule: Output shapes and dtypes from those of the inputs.
        decomposition: Standard ONNX operators that compute the same.
        decomposition_since: The opset from which on it holds.
        gradient: The gradients of the inputs from those of the outputs.
        samples: Draws inputs and attributes for tests.
        node_inputs: The inputs of the ONNX node in their order: names of inputs, and of
            attributes that the node takes as a tensor.
        folder: Where it is declared.
        torch_name: The PyTorch operator that becomes the node; None where a ``symbolic`` of the
            user's emits it.
        argument_names: That operator's arguments, in order.
        existing: What computes it in PyTorch, where that was there before.
    """

    def __init__(
        self,
        schema: OperatorSchema,
        reference: Callable[..., Any],
        kernels: Mapping[str, Path],
        dtypes: Sequence[Sequence[str]],
        node_inputs: Sequence[str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.schema = schema
        self.reference = reference
        self.kernels = dict(kernels)
        self.dtypes = tuple(map(tuple, dtypes))
        self.node_inputs = tuple(node_inputs or (item.name for item in schema.inputs))
        self.shape_rule: ShapeRule | None = None
        self.decomposition: Callable[..., Any] | None = None
        self.decomposition_since = 18
        self.gradient: Callable[..., Any] | None = None
        self.samples: Callable[..., Any] | None = None
        self.folder = folder or folder_of(reference)
        self.torch_name: str | None = schema.qualified_name
        names = [*(item.name for item in schema.inputs), *(item.name for item in schema.attributes)]
        self.argument_names = tuple(names)
        self.existing: Callable[..., Any] | None = None
        self.eager: EagerOperator | None = None

    @property
    def qualified_name(self) -> str:
        """``domain::name``."""
        return self.schema.qualified_name

    @property
    def is_runnable(self) -> bool:
        """Whether a runtime can run its node: by a kernel, or by the body."""
        return bool(self.kernels) or self.decomposition is not None

    def instances(self, without: Collection[str] = ()) -> list[str]:
        """The C++ functions that are its kernels: the plain name, or every instance of it.

        Args:
            without: Element types that none of the instances has.
        """
        if not self.dtypes:
            return [self.schema.name]
        return [
            f"{self.schema.name}<{', '.join(map(cpp_type, chosen))}>"
            for chosen in itertools.product(*self.dtypes)
            if not set(chosen) & set(without)
        ]

    def shapes(self, rule: ShapeRule) -> ShapeRule:
        """Declares the shape rule, by decoration.

        Args:
            rule: Takes a `TensorInfo` for every input (None for an absent one) and the attributes
                by keyword; gives a `TensorInfo` for every output. It runs on numbers and on
                symbolic sizes alike. A size that only the kernel knows is `DATA_DEPENDENT`, or
                with its largest value `DATA_DEPENDENT.at_most(n)`, which TensorRT needs.
        """
        self.shape_rule = rule
        if self.eager is not None:
            self.eager.forget_plans()
        return rule

    def onnx(
        self, decomposition: Callable[..., Any] | None = None, *, since: int = 18
    ) -> Callable[..., Any]:
        """Declares the decomposition into standard ONNX operators, by decoration.

        Args:
            decomposition: Takes ``op`` (whose methods are ONNX's operators: ``op.Add(a, b)``; a
                Python number beside a tensor takes its type), a value for every input (None for
                an absent one) and the attributes by keyword; gives the output values.
            since: The opset of the standard operators from which on it holds.
        """
        if decomposition is None:
            return lambda given: self.onnx(given, since=since)
        self.decomposition = decomposition
        self.decomposition_since = since
        return decomposition

    def backward(self, gradient: Callable[..., Any]) -> Callable[..., Any]:
        """Declares the gradient formula, by decoration.

        Args:
            gradient: Takes the gradient of every output, then the inputs, then the attributes by
                keyword; gives a gradient (or None) for every input.
        """
        self.gradient = gradient
        if self.eager is not None:
            self.eager.register_gradient()
        return gradient

    def cases(self, samples: Callable[..., Any]) -> Callable[..., Any]:
        """Declares how inputs are drawn for tests, by decoration.

        Args:
            samples: Takes a `Draw`; gives the inputs (a sequence) and the attributes (a dict).
        """
        self.samples = samples
        return samples

    def infer(
        self, inputs: Sequence[TensorInfo | None], attributes: Mapping[str, Any]
    ) -> list[TensorInfo]:
        """The shapes and dtypes of the outputs, by the shape rule.

        Raises:
            OperatorError: There is no rule, or it gives something else.
        """
        if self.shape_rule is None:
            raise OperatorError(
                f"{self.qualified_name} has no shape rule",
                fix=f"declare one under @{self.schema.name}.shapes",
            )
        given = self.shape_rule(*inputs, **attributes)
        outputs: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
        for info in outputs:
            if not isinstance(info, TensorInfo) or info.dtype not in DTYPES:
                raise OperatorError(
                    f"the shape rule of {self.qualified_name} gives {info!r}",
                    where=str(self.folder),
                    fix="give a TensorInfo for each output; its dtype is one of "
                    + ", ".join(map(repr, DTYPES)),
                )
        if len(outputs) != len(self.schema.outputs):
            raise OperatorError(
                f"the shape rule of {self.qualified_name} gives {len(outputs)} outputs",
                why=f"the operator has {len(self.schema.outputs)}",
                fix="give one TensorInfo for each output",
            )
        return outputs

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        """Calls the PyTorch operator."""
        called = self.existing if self.eager is None else self.eager.overload
        assert called is not None
        return called(*inputs, **attributes)

    def __repr__(self) -> str:
        return f"<operator {self.qualified_name}>"


def kernel_files(name: str, folder: Path, files: Sequence[str]) -> dict[str, Path]:
    """The kernel files of an operator by their device.

    Raises:
        OperatorError: A file does not exist, or is of no known sort.
    """
    found: dict[str, Path] = {}
    for file in files:
        path = (folder / file).resolve()
        device = DEVICE_OF_SUFFIX.get(path.suffix)
        if device is None or device in found:
            raise OperatorError(
                f"{name}: {file} is not a kernel file, or the second one for its device",
                fix="kernels are one .cpp file for the CPU and one .cu file for CUDA",
            )
        if not path.is_file():
            raise OperatorError(
                f"{name}: the kernel file {file} does not exist",
                where=str(folder),
                fix="files are named as they are seen from the declaration's folder",
            )
        found[device] = path
    return found


def template_dtypes(dtypes: Sequence[Any]) -> list[tuple[str, ...]]:
    """The element types of every template parameter of the kernels.

    Raises:
        OperatorError: Kernels cannot have one of them.
    """
    if not dtypes:
        return []
    lists = [tuple(dtypes)] if isinstance(dtypes[0], str) else [tuple(item) for item in dtypes]
    for dtype in itertools.chain.from_iterable(lists):
        if dtype not in DTYPES:
            raise OperatorError(
                f"kernels cannot have the element type {dtype!r}", fix=f"one of {', '.join(DTYPES)}"
            )
    return lists


def folder_of(reference: Callable[..., Any]) -> Path:
    """The folder of the file that has a function."""
    return Path(inspect.unwrap(reference).__code__.co_filename).parent


def cpp_type(dtype: str) -> str:
    """The C++ type of an element type."""
    named = {"float32": "float", "float64": "double"}
    if dtype in ("float16", "bfloat16"):
        return f"modelport::{dtype}"
    return named.get(dtype) or (dtype if dtype == "bool" else f"{dtype}_t")
