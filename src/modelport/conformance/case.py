"""One drawn case of an operator, and its execution paths."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from modelport.arrays import from_numpy, to_numpy
from modelport.backends import REFERENCE_RUNTIME
from modelport.backends.base import Engine
from modelport.capture.custom_operators import add_bodies
from modelport.conformance.graphs import (
    OPSET,
    NotPossibleError,
    OperatorModule,
    node_inputs,
    node_model,
    open_engine,
)
from modelport.conformance.results import Check
from modelport.conformance.tensors import (
    Item,
    Tensors,
    as_tuple,
    described,
    differences,
    fits,
    flat,
    strided,
    unwritten_memory_marked,
    wide,
    with_leaves,
)
from modelport.deployment.exporter import export
from modelport.errors import ModelportError
from modelport.ops.declaration import Operator
from modelport.ops.kernel_call import tensor_infos


class OperatorCase:
    """One drawn case, and its execution paths."""

    def __init__(
        self, operator: Operator, inputs: Sequence[Item], attributes: dict[str, Any], number: int
    ) -> None:
        self.operator = operator
        self.number = number
        self.inputs = [*inputs, *[None] * (len(operator.schema.inputs) - len(inputs))]
        self.attributes = attributes
        shapes = ", ".join(map(described, self.inputs))
        options = ", ".join(f"{name}={value!r}" for name, value in attributes.items())
        self.name = f"#{number}: ({shapes}) {options}".rstrip()
        self._node_inputs = node_inputs(operator, self.inputs, attributes)
        with torch.no_grad():
            self.expected = as_tuple(operator.reference(*self.inputs, **attributes))

    @property
    def elements(self) -> int:
        """Number of elements to compare."""
        return sum(tensor.numel() for tensor in self.expected)

    def in_pytorch(self) -> Iterator[Check]:
        """The PyTorch operator, the shape rule and the gradient."""
        yield self._compared("kernel", lambda: self._call(self.inputs))
        yield self._compared("kernel, strided", lambda: self._call(strided(self.inputs)))
        if self.operator.shape_rule is not None:
            yield self._shape_rule()
        if self.operator.gradient is not None:
            yield from self._gradient()

    def in_onnxruntime(self) -> Iterator[Check]:
        """A graph of one node, with the library of kernels and, by its body, without."""
        if self.operator.kernels:
            yield self._compared(REFERENCE_RUNTIME.backend, lambda: self._run_node(with_body=False))
        if self.operator.decomposition is not None:
            yield self._compared("body", lambda: self._run_node(with_body=True))

    def exported(self) -> Iterator[Check]:
        """``opcheck``, and both exporters."""
        if self.operator.eager is not None:
            yield self._opcheck()
        for capture in ("dynamo", "trace"):
            if capture == "trace" and self._has_texts():
                yield Check(capture, self.name, None, "torch cannot trace a list of texts")
                continue
            yield self._compared(capture, functools.partial(self._run_export, capture))

    def _has_texts(self) -> bool:
        kinds = {item.name: item.kind for item in self.operator.schema.attributes}
        return any(kinds[name] == "list[str]" for name in self.attributes)

    def _call(self, inputs: Sequence[Item]) -> Tensors:
        with torch.no_grad(), unwritten_memory_marked():
            return as_tuple(self.operator(*inputs, **self.attributes))

    def _compared(self, way: str, run: Callable[[], Sequence[torch.Tensor]]) -> Check:
        try:
            actual = run()
        except NotPossibleError as reason:
            return Check(way, self.name, None, str(reason))
        except (ModelportError, RuntimeError) as error:
            return Check(way, self.name, False, f"{type(error).__name__}: {error}")
        wrong = differences(self.expected, actual)
        return Check(way, self.name, not wrong, "; ".join(wrong))

    def _shape_rule(self) -> Check:
        values = {**self.operator.schema.defaults, **self.attributes}
        infos = self.operator.infer(tensor_infos(self.inputs), values)
        wrong = [
            f"output {index}: the rule says {info}, the reference returns {found}"
            for index, (info, found) in enumerate(
                zip(infos, tensor_infos(self.expected), strict=True)
            )
            if not fits(info, found)
        ]
        return Check("shape rule", self.name, not wrong, "; ".join(wrong))

    def _gradient(self) -> Iterator[Check]:
        if not all(tensor.is_floating_point() for tensor in self.expected):
            return
        exact = [wide(item) for item in self.inputs]
        differentiable = [item for item in flat(exact) if item.is_floating_point()]
        if not differentiable or not all(
            tensor.dtype is torch.float64 for tensor in differentiable
        ):
            return
        weights = [torch.rand(item.shape, dtype=torch.float64) for item in self.expected]

        def gradients(function: Callable[..., Any]) -> list[torch.Tensor]:
            leaves = [tensor.detach().requires_grad_() for tensor in differentiable]
            inputs = with_leaves(exact, leaves)
            outputs = as_tuple(function(*inputs, **self.attributes))
            products = [
                (output.double() * weight).sum()
                for output, weight in zip(outputs, weights, strict=True)
            ]
            total = torch.stack(products).sum()
            found = torch.autograd.grad(total, leaves, allow_unused=True)
            return [
                torch.zeros_like(leaf) if item is None else item
                for leaf, item in zip(leaves, found, strict=True)
            ]

        try:
            wrong = differences(gradients(self.operator.reference), gradients(self.operator))
        except (ModelportError, RuntimeError) as error:
            if "no cpu kernel" in str(error):
                yield Check("gradient", self.name, None, "no kernel for float64")
                return
            wrong = [f"{type(error).__name__}: {error}"]
        yield Check("gradient", self.name, not wrong, "; ".join(wrong))

    def _opcheck(self) -> Check:
        eager = self.operator.eager
        assert eager is not None
        if any(_is_beyond_opcheck(tensor) for tensor in flat(self.inputs)):
            why = "opcheck cannot copy a tensor with several dimensions of 0"
            return Check("opcheck", self.name, None, why)
        found = torch.library.opcheck(
            eager.overload, tuple(self.inputs), self.attributes, raise_exception=False
        )
        wrong = [
            f"{test}: {' '.join(str(error).split())[:500]}"
            for test, error in found.items()
            if error != "SUCCESS"
        ]
        return Check("opcheck", self.name, not wrong, "; ".join(wrong))

    def _run_node(self, *, with_body: bool) -> list[torch.Tensor]:
        model = node_model(self.operator, self._node_inputs, self.attributes, self.expected)
        if with_body:
            add_bodies(model.ir)
            if not model.ir.functions:
                raise NotPossibleError(f"the body needs a later opset than {OPSET}")
        with tempfile.TemporaryDirectory() as folder:
            engine = open_engine(model, Path(folder), with_kernels=not with_body)
            return self._run_engine(engine)

    def _run_engine(self, engine: Engine) -> list[torch.Tensor]:
        tensors = [tensor for tensor in flat(self._node_inputs) if tensor is not None]
        specs = engine.signature.inputs
        arrays = {spec.name: to_numpy(tensor) for spec, tensor in zip(specs, tensors, strict=True)}
        outputs = engine.run(arrays)
        return [from_numpy(array) for array in outputs.values()]

    def _run_export(self, capture: str) -> list[torch.Tensor]:
        tensors = list(flat(self.inputs))
        names = [f"input_{index}" for index in range(len(tensors))]
        model = export(
            OperatorModule(self.operator, self.inputs, self.attributes),
            tuple(tensors),
            input_names=names,
            capture=capture,
            opset=OPSET,
            probes=False,
        )
        with tempfile.TemporaryDirectory() as folder:
            engine = open_engine(model, Path(folder), with_kernels=True)
            known = {spec.name for spec in engine.signature.inputs}
            arrays = {
                name: to_numpy(tensor)
                for name, tensor in zip(names, tensors, strict=True)
                if name in known
            }
            return [from_numpy(item) for item in engine.run(arrays).values()]


def _is_beyond_opcheck(tensor: torch.Tensor) -> bool:
    # It makes memory from the first to the last element, which is less than none here.
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return sum((size - 1) * stride for size, stride in sizes) < -1
