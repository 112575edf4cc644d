"""Operators whose symbolic function was registered: their translation, and their fake kernels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import onnx_ir as ir
import torch
from onnx_ir import tensor_adapters

from modelport.capture.symbolic import record
from modelport.capture.symbolic.arguments import find_samples, put_together, take_apart
from modelport.capture.symbolic.calls import place_of
from modelport.capture.symbolic.node_validation import Judge
from modelport.capture.symbolic.replay import Replay
from modelport.capture.symbolic.shape_inference_by_trial import Prober
from modelport.capture.torch_private import dispatch, fakes, graphs, symbolics
from modelport.errors import ExportError


class RegisteredOperators:
    """The operators for which users registered a symbolic function.

    Attributes:
        table: Translations, for ``custom_translation_table``.
        opaque: Operators that PyTorch cannot trace: they have no fake kernel.
        translated: Names of the operators that were translated so far.
    """

    def __init__(self, opset: int, judge: Judge) -> None:
        self.table: dict[Any, Callable[..., Any]] = {}
        self.opaque: list[Any] = []
        self.translated: set[str] = set()
        self._judge = judge
        self._numbers = itertools.count()
        self._samples: dict[Any, list[tuple[Any, ...]]] = {}
        for name, symbolic in symbolics.overriding_symbolics(opset).items():
            for operator in _overloads(name):
                self.table[operator] = self._translation(operator, name, symbolic)
                if not fakes.has_fake_kernel(operator):
                    self.opaque.append(operator)

    def watch(self) -> AbstractContextManager[Any]:
        """Keeps what the operators without fake kernels are given in its block."""
        if not self.opaque:
            return nullcontext()

        def seen(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if operator in self.opaque:
                bound = _bind(operator, args, kwargs)
                self._samples.setdefault(operator, []).append(record.keep(bound))

        return dispatch.watch_operators(seen)

    @contextmanager
    def fakes(self) -> Iterator[None]:
        """Gives the operators without fake kernels one that probes them, for its block."""
        with ExitStack() as stack:
            for operator in self.opaque:
                stack.enter_context(fakes.fake_kernel(operator, self._fake(operator)))
            yield

    def _fake(self, operator: Any) -> Callable[..., Any]:
        def fake(*args: Any, **kwargs: Any) -> Any:
            taken = take_apart(_bind(operator, args, kwargs))
            fitting = (find_samples(taken.template, a) for a in self._samples.get(operator, []))
            samples = next((found for found in fitting if found is not None), None)
            if samples is None:
                raise ExportError(
                    f"the output shapes of {operator.name()} cannot be found",
                    why="it has no fake kernel, and it was not seen in the eager run",
                    fix="declare its shapes with torch.library.register_fake",
                )
            run = _runner(operator, taken.template)
            rule = Prober(run, *samples).find(taken.tensors, taken.sizes)
            made = rule.make(taken.tensors, taken.sizes)
            return made[0] if dispatch.returns_one_tensor(operator) else tuple(made)

        return fake

    def _translation(
        self, operator: Any, name: str, symbolic: Callable[..., Any]
    ) -> Callable[..., Any]:
        # Without annotations, because the exporter reads them as an operator's signature.
        def translate(*args, **kwargs):  # type: ignore[no-untyped-def]
            opset = symbolics.recorder().opset.version
            replay = Replay(opset)
            bound = _bind(operator, args, kwargs)
            values = [replay.constant(_plain(value)) for value in bound]
            results = replay.call(symbolic, values, name)
            results = _match_returns(operator, name, symbolic, results)
            prefix = f"{name.replace('::', '_')}_{next(self._numbers)}"
            outputs, emitted = replay.emit(results, prefix)
            parameters = dispatch.parameter_names(operator)
            names = {
                value: parameter
                for value, parameter in zip(bound, parameters, strict=True)
                if isinstance(value, ir.Value)
            }
            self._judge.examine(emitted, names, name, place_of(symbolic), opset)
            self.translated.add(name)
            return outputs[0] if dispatch.returns_one_tensor(operator) else outputs

        return translate


def _overloads(name: str) -> list[Any]:
    """The overloads of an operator that do not write to their arguments."""
    namespace, _, operator = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace), operator, None)
    if packet is None:
        return []  # Its library is not loaded, so that no model can use it.
    overloads = (getattr(packet, overload) for overload in packet.overloads())
    return [
        overload
        for overload in overloads
        if dispatch.in_dispatcher(overload) and not dispatch.mutates(overload)
    ]


def _bind(operator: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """All arguments of an operator in the order of its schema, defaults filled in."""
    bound = list(args)
    for name, default in dispatch.parameters(operator)[len(args) :]:
        bound.append(kwargs.get(name, default))
    return tuple(bound)


def _plain(value: Any) -> Any:
    if isinstance(value, ir.DataType):
        return graphs.scalar_type_code(tensor_adapters.to_torch_dtype(value))
    return value


def _runner(operator: Any, template: Any) -> Callable[..., tuple[list[torch.Tensor], Any]]:
    def run(tensors: Sequence[torch.Tensor], sizes: Sequence[Any]) -> tuple[list[Any], Any]:
        args = put_together(
            template, tensors.__getitem__, sizes.__getitem__, lambda i: tensors[i].item()
        )
        positional = dispatch.positional_count(operator)
        names = dispatch.parameter_names(operator)
        keywords = dict(zip(names[positional:], args[positional:], strict=True))
        with torch.no_grad():
            result = operator(*args[:positional], **keywords)
        return (list(result) if isinstance(result, tuple | list) else [result]), None

    return run


def _match_returns(
    operator: Any, name: str, symbolic: Callable[..., Any], results: list[Any]
) -> list[Any]:
    wanted = dispatch.return_count(operator)
    if wanted is not None and len(results) == 1 and wanted != 1:
        results = graphs.unpacked(results[0])
    elif wanted is None:
        results = [item for result in results for item in graphs.unpacked(result)]
    if (wanted is not None and len(results) != wanted) or any(item is None for item in results):
        raise ExportError(
            f"the symbolic function of {name} returned {len(results)} outputs, "
            f"but the operator returns {wanted}",
            where=place_of(symbolic),
            why="each tensor that the operator returns needs a value in the ONNX graph",
            fix=f"return {wanted} values, e.g. from g.op(..., outputs={wanted})",
        )
    return results
