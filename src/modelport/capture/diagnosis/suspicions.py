"""Suspicions: findings that wait for a proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.capture.diagnosis.guards import BrokenGuard, Original, broken_guards
from modelport.capture.diagnosis.loops import unrolled_loops
from modelport.capture.diagnosis.torch_warnings import findings_of_warnings
from modelport.findings import Finding, Severity

if TYPE_CHECKING:
    from modelport.capture.diagnosis.symbolic_run import ShadowRun
    from modelport.capture.strategies import Capture
    from modelport.signature import Signature


@dataclass(frozen=True)
class Suspicion:
    """A finding, and what would prove it.

    Attributes:
        finding: What is suspected.
        names: Inputs or dimensions that a proof must move; empty where any may prove it.
        sizes: Sizes of dimensions that would break what was assumed.
        is_broken_by: Whether sizes of the dimensions break what was assumed: of the cases, only
            these prove it or speak for it. None where sizes do not say.
        harmless: The finding if no probe proves it; None drops it.
        required: At how many of the sizes the original is to be run; it may refuse others.
        is_users: The user's code is suspected; else a function of torch, which often only chose
            among its kernels: it explains what nothing else does.
    """

    finding: Finding
    names: frozenset[str] = frozenset()
    sizes: tuple[Mapping[str, int], ...] = ()
    is_broken_by: Callable[[Mapping[str, int]], bool] | None = None
    harmless: Finding | None = None
    required: int = 2
    is_users: bool = True

    @property
    def is_specific(self) -> bool:
        """Whether only some cases can prove it."""
        return bool(self.names) or self.is_broken_by is not None

    def proven(self, evidence: str) -> Finding:
        """The finding as an error, with the case that proves it."""
        return dataclasses.replace(
            self.finding,
            severity=Severity.ERROR,
            message=f"{self.finding.message}; proven: {evidence}",
        )


def find_suspicions(
    captured: Capture,
    shadow: ShadowRun,
    original: Original,
    symbols: Mapping[str, str],
    names: Sequence[str],
) -> list[Suspicion]:
    """Collects what may have gone wrong.

    Args:
        captured: What a strategy gave.
        shadow: A run of the original on symbolic sizes.
        original: The original's inputs with declared dimensions, and the example's sizes.
        symbols: Names of dimensions by torch's symbols.
        names: Names of the original's inputs.

    Returns:
        The suspicions, the specific ones first.
    """
    suspicions = [_vanished(name) for name in names if not _is_used(captured, name)]
    signature = original.signature
    suspicions += _fixed_dims(captured, signature)
    warned = findings_of_warnings(captured.warnings)
    guards = broken_guards(captured, shadow, original, symbols)
    suspicions += [_of_guard(_as_warned(guard, warned)) for guard in guards]
    guarded = {suspicion.finding.where for suspicion in suspicions if suspicion.is_broken_by}
    suspicions += [
        Suspicion(finding, frozenset({dim}), harmless=_as_note(finding))
        for finding, dim in unrolled_loops(captured.ir, signature)
    ]
    suspicions += [
        Suspicion(finding, harmless=_as_note(finding) if is_users else None)
        for finding, is_users in warned
        if not finding.where or finding.where not in guarded
    ]
    return suspicions


def _as_warned(guard: BrokenGuard, warned: Sequence[tuple[Finding, bool]]) -> BrokenGuard:
    """The assumption in the words of a warning about the same line, which says how it was made."""
    for finding, is_users in warned:
        if is_users and finding.where and finding.where == guard.finding.where:
            return dataclasses.replace(guard, finding=finding, is_users=True)
    return guard


def _of_guard(guard: BrokenGuard) -> Suspicion:
    # What torch's own functions assume is worth a word only where it shows.
    untried = _as_note(guard.finding, "the original took no size that breaks it")
    return Suspicion(
        guard.finding,
        sizes=guard.sizes,
        is_broken_by=guard.is_broken_by,
        harmless=untried if guard.is_users else None,
        required=guard.required,
        is_users=guard.is_users,
    )


def _as_note(finding: Finding, why: str = "no probe shows a difference") -> Finding:
    return dataclasses.replace(finding, severity=Severity.NOTE, message=f"{finding.message}; {why}")


def _is_used(captured: Capture, name: str) -> bool:
    for value in captured.ir.graph.inputs:
        if value.name == name:
            return bool(value.uses()) or value.is_graph_output()
    return False


def _vanished(name: str) -> Suspicion:
    return Suspicion(
        Finding(
            "input-vanished",
            Severity.WARNING,
            f"the input {name!r} has no effect in the graph: the example's value was baked in",
            where=name,
            fix="keep the value a tensor all the way to the operator that uses it (no .item(), "
            "int(), float(), tolist()); where the operator wants a Python number, write an "
            "autograd.Function with a `symbolic` that passes the tensor on, or capture by script",
        ),
        names=frozenset({name}),
        harmless=Finding(
            "input-unused",
            Severity.NOTE,
            f"the input {name!r} has no effect, in the original neither",
            where=name,
        ),
    )


def _fixed_dims(captured: Capture, signature: Signature) -> list[Suspicion]:
    graph_inputs = {value.name: value for value in captured.ir.graph.inputs}
    suspicions = []
    for spec in signature.inputs:
        value = graph_inputs.get(spec.name)
        if value is None or value.shape is None:
            continue
        for axis, dim in enumerate(spec.shape or ()):
            size = value.shape[axis]
            if isinstance(dim, str) and isinstance(size, int):
                suspicions.append(
                    Suspicion(
                        Finding(
                            "dynamic-dim-fixed",
                            Severity.WARNING,
                            f"the dimension {dim!r} was declared dynamic and came out as {size}",
                            where=f"{spec.name}[{axis}]",
                            fix="look for code that compares this size or computes with it in "
                            "Python, or do not declare it dynamic",
                        ),
                        names=frozenset({dim}),
                    )
                )
    return [dataclasses.replace(suspicion, harmless=suspicion.finding) for suspicion in suspicions]
