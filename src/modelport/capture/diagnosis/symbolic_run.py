"""A run of eager code on symbolic sizes: what it assumes of them, whatever captures it."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import TYPE_CHECKING

from modelport.capture.dynamic import DynamicDims
from modelport.capture.inputs import BoundInputs
from modelport.capture.module_snapshot import unchanged
from modelport.capture.torch_private import programs
from modelport.capture.torch_private.programs import GuardPlace
from modelport.source_location import is_users

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger("modelport.capture")
_SYMPY = re.compile("site-packages/(sympy|mpmath)/")
_LARGEST = 1 << 20
"""The largest whole number in code that may be a size or a value of an input."""


@dataclass(frozen=True)
class ShadowRun:
    """Assumptions that eager code makes.

    Attributes:
        guards: The assumptions about sizes, where they were made.
        symbols: Names of dimensions by symbol of the assumptions.
        constants: Whole numbers in the user's code that ran, and in attributes of its modules.
        is_whole: The run ended by itself; else there may be further assumptions.
    """

    guards: Sequence[GuardPlace] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)
    constants: frozenset[int] = frozenset()
    is_whole: bool = True


def shadow_run(model: Callable[..., object], bound: BoundInputs, dims: DynamicDims) -> ShadowRun:
    """Runs a model on symbolic sizes, and notes what it assumes of them.

    Tracing records what ran, and not what was compared to get there. Here the same code computes
    shapes alone, on sizes that are symbols: each comparison is noted. Where the code needs a value,
    the run ends, with what was noted so far.

    Args:
        model: The module or function.
        bound: The example inputs.
        dims: The declared dimensions.
    """
    import torch

    if isinstance(model, torch.jit.ScriptModule):
        return ShadowRun()
    symbols: dict[str, str] = {}
    guards: list[GuardPlace] = []
    codes: set[CodeType] = set()
    is_whole = False
    try:
        with (
            unchanged(model),
            torch.no_grad(),
            _silence(),
            programs.symbolic_inputs(bound.tensors, dims) as (tensors, _),
        ):
            symbols = _symbols(tensors, dims)
            inputs = bound.with_examples(tensors)
            with programs.watching_guards() as guards, _code_noted() as codes:
                model(*inputs.args, **inputs.kwargs)
            is_whole = True
    except Exception as error:  # noqa: BLE001 - code that needs values raises anything
        _LOG.debug("symbolic run: ended early, %s: %s", type(error).__name__, error)
    constants = frozenset(_constants(codes)) | frozenset(_attributes(model))
    return ShadowRun(guards, symbols, constants, is_whole)


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps back what PyTorch prints where a function cannot compute shapes alone."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    logger.addFilter(_refuse)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeFilter(_refuse)


def _refuse(_: logging.LogRecord) -> bool:
    return False


def _symbols(tensors: Mapping[str, torch.Tensor], dims: DynamicDims) -> dict[str, str]:
    found = {}
    for name, axes in dims.items():
        for axis, dim in axes.items():
            symbol = programs.symbol_of(tensors[name].shape[axis])
            if symbol is not None:
                found[symbol] = dim.name
    return found


@contextmanager
def _code_noted() -> Iterator[set[CodeType]]:
    """Collects the code objects of the user's functions that run."""
    codes: set[CodeType] = set()
    before = sys.getprofile()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield codes
    finally:
        sys.setprofile(before)
        kept = {code for code in codes if code.co_name != "<module>"}
        codes &= {code for code in kept if _is_models(code.co_filename)}


def _is_models(file: str) -> bool:
    """Returns True if a file may hold a part of the model: PyTorch computes symbols by sympy."""
    return is_users(file) and not _SYMPY.search(file)


def _constants(codes: Iterable[CodeType]) -> Iterator[int]:
    for code in codes:
        for value in code.co_consts:
            for item in value if isinstance(value, tuple) else (value,):
                if _is_size(item):
                    yield item


def _attributes(model: object) -> Iterator[int]:
    import torch

    for module in model.modules() if isinstance(model, torch.nn.Module) else ():
        source = sys.modules.get(type(module).__module__)
        if _is_models(getattr(source, "__file__", None) or ""):
            yield from (value for value in vars(module).values() if _is_size(value))


def _is_size(value: object) -> bool:
    return type(value) is int and 1 < value <= _LARGEST
