"""The opaque operator that stands for a Function with `symbolic` while a model is captured."""

from __future__ import annotations

import inspect
import itertools
import re
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from modelport.capture.symbolic import hook
from modelport.capture.symbolic.arguments import put_together, take_apart
from modelport.capture.symbolic.shape_inference_by_trial import ShapeRule
from modelport.capture.symbolic.shapes import OutputShapes
from modelport.capture.torch_private import dispatch, fakes, functions
from modelport.errors import ExportError

_NAMESPACE = "modelport_symbolic"
# One operator serves every Function: what to run is looked up by the key. The list of outputs
# is as long as the Function's forward says.
_LIBRARY: Any = dispatch.new_library(_NAMESPACE)
_LIBRARY.define(
    "call(str key, Tensor[] tensors, SymInt[] sizes) -> Tensor[]",
    tags=(torch.Tag.pt2_compliant_tag,),
)
# Weak: an exported program that outlives its bridge cannot be run, and nothing leaks.
_CALLS: weakref.WeakValueDictionary[str, FunctionCall] = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


@dataclass(eq=False)
class FunctionCall:
    """One call of a Function in a model's forward.

    Attributes:
        cls: The Function's class.
        key: What the call is found by.
        template: The call's arguments, with slots for what varies.
        samples: Tensors and sizes of the same call in the eager run; None where it was not seen.
        rule: How the output shapes follow from the inputs, where forward cannot be traced.
        outputs: The results of forward, with slots for the tensors.
        output_sizes: What the size slots in `outputs` stand for.
        single: Whether forward returns one thing, not a tuple.
        mutated: For each input that forward writes to: the output that is this input.
    """

    cls: type
    key: str
    template: tuple[Any, ...]
    samples: tuple[list[torch.Tensor], list[int]] | None = None
    rule: ShapeRule | None = None
    outputs: tuple[Any, ...] = ()
    output_sizes: Sequence[Any] = ()
    single: bool = True
    mutated: dict[int, int] = field(default_factory=dict)

    def run(
        self, tensors: Sequence[torch.Tensor], sizes: Sequence[Any]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Runs the Function's forward.

        Returns:
            The tensors that forward returns, and its input tensors as they are after it.
        """
        inputs = [tensor.detach().clone() for tensor in tensors]
        counts = [fakes.change_count(tensor) for tensor in inputs]
        args = put_together(
            self.template, inputs.__getitem__, sizes.__getitem__, lambda i: inputs[i].item()
        )
        with torch.no_grad(), hook.aside():
            result = functions.original_apply(self.cls)(*args)
        self.single = not isinstance(result, tuple)
        taken = take_apart((result,) if self.single else result)
        self.outputs, self.output_sizes = taken.template, taken.sizes
        self.mutated = find_writes(self.cls, inputs, counts, taken.tensors)
        return taken.tensors, inputs

    def describe(self) -> str:
        """The class and its place in the user's source."""
        return f"{self.cls.__module__}.{self.cls.__qualname__} ({place_of(self.cls)})"


def find_writes(
    cls: type,
    inputs: Sequence[torch.Tensor],
    counts: Sequence[int],
    outputs: Sequence[torch.Tensor],
) -> dict[int, int]:
    """Finds the inputs that a forward wrote to.

    Args:
        cls: The Function's class.
        inputs: Its input tensors after the run.
        counts: How often each had been written to before.
        outputs: Its output tensors.

    Returns:
        By the index of such an input: the index of the output that is this tensor.

    Raises:
        ExportError: The input is not returned.
    """
    found = {}
    for index, (tensor, count) in enumerate(zip(inputs, counts, strict=True)):
        if fakes.change_count(tensor) == count:
            continue
        same = [i for i, output in enumerate(outputs) if output is tensor]
        if not same:
            raise ExportError(
                f"{cls.__name__}.forward writes to an input that it does not return",
                where=place_of(cls),
                why="an ONNX node cannot change its inputs, and `symbolic` gives outputs only",
                fix="return the changed tensor (with ctx.mark_dirty), or work on a clone",
            )
        found[index] = same[0]
    return found


def new_call(
    cls: type, template: tuple[Any, ...], samples: tuple[list[torch.Tensor], list[int]] | None
) -> FunctionCall:
    """Makes a call and a key to find it by."""
    name = re.sub(r"\W", "_", cls.__qualname__.split(".<locals>.")[-1])
    call = FunctionCall(cls, f"{name}_{next(_NUMBERS)}", template, samples)
    _CALLS[call.key] = call
    return call


def find_call(key: str) -> FunctionCall:
    """Finds a call by its key.

    Raises:
        ExportError: The bridge that made the call is gone.
    """
    call = _CALLS.get(key)
    if call is None:
        raise ExportError(
            f"the call {key} of a Function with `symbolic` is no longer known",
            why="an exported program only runs as long as its bridge exists",
            fix="keep the bridge, or run the original model",
        )
    return call


def call_operator() -> Any:
    """The opaque operator."""
    return getattr(torch.ops, _NAMESPACE).call.default


def place_of(thing: Any) -> str:
    """``file:line`` of a class or function, or its name where there is no source."""
    target = inspect.unwrap(thing) if callable(thing) and not isinstance(thing, type) else thing
    try:
        file = inspect.getsourcefile(target)
        line = inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        return str(getattr(target, "__qualname__", target))
    return f"{file}:{line}"


def apply_opaque(call: FunctionCall, operands: Sequence[torch.Tensor], sizes: Sequence[Any]) -> Any:
    """Calls the opaque operator in place of the Function, and returns what the Function would."""
    operator: Callable[..., list[torch.Tensor]] = call_operator()
    results = operator(call.key, list(operands), list(sizes))
    for index, output in call.mutated.items():
        # Whoever holds the input sees the change, as in eager mode.
        operands[index].copy_(results[output])
        results[output] = operands[index]
    outputs = put_together(
        call.outputs,
        results.__getitem__,
        call.output_sizes.__getitem__,
        lambda index: results[index].item(),
    )
    return outputs[0] if call.single else outputs


def _run_real(key: str, tensors: list[torch.Tensor], sizes: list[int]) -> list[torch.Tensor]:
    outputs, _ = find_call(key).run(tensors, sizes)
    return [output.clone() for output in outputs]


def _run_fake(key: str, tensors: list[torch.Tensor], sizes: list[Any]) -> list[torch.Tensor]:
    call = find_call(key)
    return OutputShapes(call.describe(), call).infer(tensors, sizes)


_LIBRARY.impl("call", _run_real, "CompositeExplicitAutograd")
torch.library.register_fake(f"{_NAMESPACE}::call", _run_fake, lib=_LIBRARY)
