"""The bridge: symbolic functions of the old exporter, honoured by the new one."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import onnx_ir as ir
import torch

from modelport.capture.symbolic import hook, record
from modelport.capture.symbolic.arguments import TensorSlot, find_samples, put_together, take_apart
from modelport.capture.symbolic.calls import (
    FunctionCall,
    apply_opaque,
    call_operator,
    find_call,
    find_writes,
    new_call,
    place_of,
)
from modelport.capture.symbolic.node_validation import HasKernel, Judge, has_standard_kernel
from modelport.capture.symbolic.operators import RegisteredOperators
from modelport.capture.symbolic.replay import Replay
from modelport.capture.torch_private import access, fakes, functions, symbolics
from modelport.errors import ExportError, ModelportError, causes
from modelport.findings import Finding


class SymbolicBridge:
    """What `honour_symbolics` gives: the table for torch.onnx.export, and what was found.

    Attributes:
        translation_table: Pass it as ``custom_translation_table`` (merged with one's own).
        recorded: How often each class with `symbolic` was applied in the eager run.
        traced: How often each was applied while PyTorch captured the model.
    """

    def __init__(self, opset: int, has_kernel: HasKernel = has_standard_kernel) -> None:
        self.recorded: Counter[type] = Counter()
        self.traced: Counter[type] = Counter()
        self._judge = Judge(has_kernel)
        self._samples: dict[type, list[tuple[Any, ...]]] = {}
        self._calls: list[FunctionCall] = []
        self._seen_by_dynamo: set[type] = set()
        # PyTorch is patched only where there is something to honour.
        self._hooked = bool(hook.function_classes())
        self._failures: list[Exception] = []
        self._operators = RegisteredOperators(opset, self._judge)

        # Without annotations, which the exporter would read as an operator's signature, and
        # not the method itself, because the exporter sets an attribute on it.
        def translate(key, tensors, sizes):  # type: ignore[no-untyped-def]
            return self._translate(key, tensors, sizes)

        self.translation_table: dict[Any, Callable[..., Any]] = {
            call_operator(): translate,
            **self._operators.table,
        }
        self._untested = access.check_version()

    @property
    def findings(self) -> list[Finding]:
        """What was noticed so far: dropped operands, missing kernels, an untested PyTorch."""
        used = bool(self._calls or self._operators.table)
        return [*([self._untested] if self._untested and used else []), *self._judge.findings]

    @property
    def honoured(self) -> list[str]:
        """The classes and operators whose symbolic function made nodes, for the report."""
        return sorted({call.describe() for call in self._calls} | self._operators.translated)

    def record(self, model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Runs the model once in eager mode, to see which symbolic functions it meets.

        It does so only where a class with `symbolic`, or an operator that cannot be traced,
        exists at all. The model's state and that of chance are as before afterwards.

        Args:
            model: The model; anything but a plain nn.Module is left alone.
            args: Its example inputs.
            kwargs: Its example keyword inputs.
        """
        if not (self._hooked or self._operators.opaque):
            return
        if not isinstance(model, torch.nn.Module) or isinstance(model, torch.jit.ScriptModule):
            return
        try:
            with hook.handle_functions(self._record_call), self._operators.watch():
                record.run_unchanged(model, args, kwargs)
        except ModelportError:
            raise
        except Exception as error:  # noqa: BLE001 - a model that only exports may fail anyhow
            self._judge.note_failed_run(error)

    @contextmanager
    def open(self) -> Iterator[SymbolicBridge]:
        """Honours symbolic functions in every export in this thread while it is open."""
        with ExitStack() as stack:
            if self._hooked:
                stack.enter_context(hook.handle_functions(self._trace_call, self._seen_by_dynamo))
            stack.enter_context(self._operators.fakes())
            try:
                yield self
            except Exception as error:  # torch wraps what the user's code and modelport raise
                self._raise_own(error)
                raise
            finally:
                self._samples.clear()
                for call in self._calls:
                    call.samples = None

    def examine(self, program: Any) -> list[Finding]:
        """Checks that an exported program honours every symbolic function that the model met.

        Args:
            program: What torch.onnx.export returned.

        Returns:
            The findings.

        Raises:
            ExportError: The forward of a class with `symbolic` was exported in its place.
        """
        strategy = symbolics.capture_strategy(program)
        # Where PyTorch fell back to dynamo, only what dynamo saw counts, not the first attempt.
        seen = set(self.traced) if "NonStrict" in strategy else self._seen_by_dynamo
        missing = set(self.recorded) - seen
        if missing:
            self._raise_inlined(missing, strategy)
        if not self._hooked:
            self._judge.note_late_classes([place_of(cls) for cls in hook.function_classes()])
        return self.findings

    def _raise_inlined(self, classes: set[type], strategy: str) -> None:
        names = ", ".join(sorted(f"{cls.__qualname__} ({place_of(cls)})" for cls in classes))
        cause = self._failures[0] if self._failures else None
        why = "its forward was traced in its place"
        if "NonStrict" not in strategy:
            why += f", because PyTorch fell back to {strategy or 'another capture strategy'}"
            if cause is not None:
                why += f" after: {cause}"
        raise ExportError(
            f"the symbolic function of {names} was not honoured",
            where=names,
            why=why,
            fix="make the model traceable without strict mode, or declare the operation with "
            "torch.library and register_symbolic",
        ) from cause

    def _raise_own(self, error: Exception) -> None:
        """Raises the ExportError that PyTorch wrapped or dropped, if there is one."""
        for candidate in (error, *self._failures):
            own = _find_own(candidate)
            if own is error:
                return
            if own is not None:
                raise own from own.__cause__

    def _record_call(self, cls: type, args: tuple[Any, ...]) -> Any:
        if any(map(fakes.is_fake, args)):
            return functions.original_apply(cls)(*args)  # Dynamo, looking ahead.
        self.recorded[cls] += 1
        self._samples.setdefault(cls, []).append(record.keep(args))
        tensors = take_apart(args).tensors
        counts = [fakes.change_count(tensor) for tensor in tensors]
        result = functions.original_apply(cls)(*args)
        # Only here are all writes seen: without data, those without mark_dirty leave no trace.
        find_writes(cls, tensors, counts, take_apart((result,)).tensors)
        return result

    def _trace_call(self, cls: type, args: tuple[Any, ...]) -> Any:
        if not torch.compiler.is_exporting():
            return functions.original_apply(cls)(*args)
        taken = take_apart(args)
        call = new_call(cls, taken.template, self._find_samples(cls, taken.template))
        self._calls.append(call)
        try:
            results = apply_opaque(call, taken.tensors, taken.sizes)
        except Exception as error:  # the user's forward may raise anything
            # PyTorch goes on to its next strategy, and would drop the reason.
            self._failures.append(error)
            raise
        self.traced[cls] += 1
        return results

    def _find_samples(
        self, cls: type, template: tuple[Any, ...]
    ) -> tuple[list[torch.Tensor], list[int]] | None:
        kept = self._samples.get(cls, [])
        # The n-th call of a class is the n-th call that was recorded; or else any that fits.
        first = self.traced[cls]
        for args in [*kept[first : first + 1], *kept]:
            samples = find_samples(template, args)
            if samples is not None:
                return samples
        return None

    def _translate(self, key: str, tensors: list[ir.Value], sizes: list[Any]) -> list[ir.Value]:
        call = find_call(key)
        replay = Replay(symbolics.recorder().opset.version)
        operands = [replay.tensor(value) for value in tensors]

        def size(index: int) -> Any:
            value = sizes[index]
            return replay.tensor(value) if isinstance(value, ir.Value) else value

        args = put_together(call.template, operands.__getitem__, size, operands.__getitem__)
        symbolic: Any = call.cls.symbolic  # type: ignore[attr-defined]
        args = _with_defaults(call.cls, args)
        results = replay.call(symbolic, args, call.describe())
        outputs, emitted = replay.emit(_match_outputs(call, results), call.key)
        names = _parameter_names(call, tensors)
        opset = symbolics.recorder().opset.version
        self._judge.examine(emitted, names, call.cls.__qualname__, place_of(symbolic), opset)
        return outputs


@contextmanager
def honour_symbolics(
    model: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    opset: int = 18,
    *,
    has_kernel: HasKernel = has_standard_kernel,
) -> Iterator[SymbolicBridge]:
    """Honours symbolic functions in a ``torch.onnx.export(..., dynamo=True)`` in its block.

    Both kinds count: `torch.autograd.Function` classes with a static `symbolic`, and functions
    registered with `register_symbolic` or `torch.onnx.register_custom_op_symbolic`.

        with honour_symbolics(model, args, opset=18) as bridge:
            program = torch.onnx.export(
                model, args, dynamo=True, custom_translation_table=bridge.translation_table
            )
            findings = bridge.examine(program)

    Args:
        model: The model.
        args: Its example inputs.
        kwargs: Its example keyword inputs.
        opset: The version of the default domain that the export asks for. Below 18 PyTorch
            exports at 18 and converts down, and symbolic functions see 18.
        has_kernel: Whether an operator, by domain and type, has a kernel or a function body.

    Yields:
        The bridge. Keep it as long as the exported program is to be run or transformed.

    Raises:
        ExportError: A symbolic function failed, and where.
    """
    bridge = SymbolicBridge(max(opset, 18), has_kernel)
    bridge.record(model, args, kwargs or {})
    with bridge.open():
        yield bridge


def _find_own(error: BaseException | None) -> ExportError | None:
    found = causes(error, contexts=True)
    return next((cause for cause in found if isinstance(cause, ExportError)), None)


def _with_defaults(cls: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Adds defaults of forward that the caller left out, as far as `symbolic` demands them."""
    context = 0 if functions.has_setup_context(cls) else 1
    known = list(inspect.signature(cls.forward).parameters.values())[context:]
    wanted = list(inspect.signature(cls.symbolic).parameters.values())[1:]
    empty = inspect.Parameter.empty
    missing = zip(known[len(args) :], wanted[len(args) :], strict=False)
    return (*args, *(a.default for a, b in missing if b.default is empty is not a.default))


def _match_outputs(call: FunctionCall, results: list[Any]) -> list[Any]:
    """Finds which results stand for the tensors that forward returns."""
    is_tensor = [isinstance(item, TensorSlot) for item in call.outputs]
    wanted = sum(is_tensor)
    if len(results) == len(is_tensor):
        chosen = [r for r, tensor in zip(results, is_tensor, strict=True) if tensor]
    elif len(results) == wanted:
        chosen = results
    else:
        raise ExportError(
            f"the symbolic function of {call.describe()} returned {len(results)} outputs, "
            f"but forward returns {wanted} tensors",
            where=place_of(call.cls.symbolic),  # type: ignore[attr-defined]
            why="each tensor that forward returns needs a value in the ONNX graph",
            fix=f"return {wanted} values, e.g. from g.op(..., outputs={wanted})",
        )
    if any(item is None for item in chosen):
        raise ExportError(
            f"the symbolic function of {call.describe()} returned None for a tensor",
            where=place_of(call.cls.symbolic),  # type: ignore[attr-defined]
            why="forward returns a tensor there",
            fix="return what g.op(...) gives for it",
        )
    return chosen


def _parameter_names(call: FunctionCall, tensors: list[ir.Value]) -> dict[ir.Value, str]:
    """Names of forward's parameters, by the tensor that is passed for each."""
    parameters = list(inspect.signature(call.cls.forward).parameters)  # type: ignore[attr-defined]
    if not functions.has_setup_context(call.cls):
        parameters = parameters[1:]  # The context.
    return {
        tensors[item.index]: name
        for name, item in zip(parameters, call.template, strict=False)
        if isinstance(item, TensorSlot)
    }
