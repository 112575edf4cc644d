"""Verification: a candidate against a reference, on many cases."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.errors import ProofError, RunError
from modelport.numerics.cases import EXAMPLE, Case, is_far
from modelport.numerics.metrics import rms
from modelport.numerics.result import OutputComparison, as_float64, compare_outputs
from modelport.numerics.tolerance import Bounds, Tolerance, tolerance_for

Runner = Callable[[Mapping[str, Array]], Arrays]
ExactRunner = Callable[[Mapping[str, Array]], Arrays | None]
"""The reference in float64; None where it does not run in float64."""

CONSTANT = -1
"""Stands in a count of evidence for an output that is the same number in all cases."""
MINIMUM_CASES = 5
"""Cases drawn beyond the example that a verification needs to mean something."""
_CHUNK = 1 << 16


@dataclass(frozen=True)
class ReferenceCase:
    """A case, and what the original model makes of it."""

    case: Case
    outputs: Arrays

    @property
    def nbytes(self) -> int:
        """Bytes of all inputs and outputs."""
        arrays = [*self.case.inputs.values(), *self.outputs.values()]
        return sum(array.nbytes for array in arrays)


def smallest_cases(references: Sequence[ReferenceCase], budget: int) -> list[ReferenceCase]:
    """The smallest cases that fit into a number of bytes, in their order; at least one."""
    sizes = [item.nbytes for item in references]
    kept: list[int] = []
    for index in sorted(range(len(sizes)), key=sizes.__getitem__):
        if kept and sum(sizes[item] for item in (*kept, index)) > budget:
            break
        kept.append(index)
    return [references[index] for index in sorted(kept)]


@dataclass(frozen=True)
class CaseResult:
    """How a candidate did on one case.

    Attributes:
        case: The case's name.
        origin: How the case was drawn.
        shapes: Shapes of the inputs, by name.
        outputs: One comparison an output.
        failure: The candidate's error, where it did not run.
        moved: What the case moves, as `Case.moved` says.
    """

    case: str
    origin: str
    shapes: Mapping[str, tuple[int, ...]]
    outputs: tuple[OutputComparison, ...]
    failure: str = ""
    moved: frozenset[str] = frozenset()

    @property
    def no_evidence(self) -> float:
        """The reference's own rounding, relative to an output, where no difference proves anything.

        It is 0 where all differences prove something.
        """
        differing = [item for item in self.outputs if not item.ok]
        if self.failure or not all(item.no_evidence for item in differing):
            return 0.0
        return max((item.rounding for item in differing), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether the candidate ran and every output agrees."""
        return not self.failure and all(output.ok for output in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """The result as plain dicts and lists."""
        return dataclasses.asdict(self) | {"moved": sorted(self.moved)}

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {list(shape)}" for name, shape in self.shapes.items())
        problems = self.failure or "; ".join(str(out) for out in self.outputs if not out.ok)
        return f"case {self.case!r} ({self.origin}; {shapes}): {problems or 'agrees'}"


@dataclass(frozen=True)
class Verification:
    """How a candidate did on all cases.

    Attributes:
        cases: The results.
        refused: Drawn cases that the original model itself refused, or at which it is no measure,
            with the reason.
        substituted: Why ONNX Runtime ran the candidate's graph in the engine's place; empty where
            the engine itself ran.
        evidence: The number of cases that prove something about an output, by its name; see
            `count_evidence`.
    """

    cases: tuple[CaseResult, ...]
    refused: tuple[str, ...] = ()
    substituted: str = ""
    evidence: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every case agrees."""
        return all(case.ok for case in self.cases)

    @property
    def failed(self) -> list[CaseResult]:
        """The cases that do not agree."""
        return [case for case in self.cases if not case.ok]

    def to_json(self) -> dict[str, Any]:
        """The results as plain dicts and lists."""
        cases = [case.to_json() for case in self.cases]
        return {
            "ok": self.ok,
            "cases": cases,
            "refused": list(self.refused),
            "substituted": self.substituted,
            "evidence": dict(self.evidence),
        }

    @property
    def worst(self) -> OutputComparison | None:
        """The comparison with the largest relative error."""
        outputs = [output for case in self.cases for output in case.outputs]
        return max(outputs, key=lambda output: output.max_rel, default=None)

    def without(self, cases: Mapping[str, str]) -> Verification:
        """The same but for some cases, which prove nothing.

        Args:
            cases: Why, by the case's name; goes to `refused`.
        """
        kept = tuple(case for case in self.cases if case.case not in cases)
        return dataclasses.replace(self, cases=kept, refused=(*self.refused, *cases.values()))

    def require(self, what: str, explanations: Sequence[str] = ()) -> None:
        """Raises `ProofError` where a case does not agree.

        Args:
            what: What was verified, for the message.
            explanations: What explains the difference, where that is known.
        """
        failed = self.failed
        if failed:
            raise ProofError(
                f"{what} does not compute what the original model computes",
                where="\n    ".join(map(str, failed[:3])),
                why="\n    ".join(
                    [f"{len(failed)} of {len(self.cases)} cases differ", *explanations]
                ),
                fix="`modelport diagnose SOURCE` names what was baked in, and where",
            )


def output_scales(references: Iterable[ReferenceCase]) -> dict[str, float]:
    """Returns how large each output is in the case where it is largest, as root mean squares.

    Cases whose inputs lie far beyond the example's are left out: an output that they blow up would
    excuse any error in the others.

    Args:
        references: The cases; the one named `EXAMPLE` is the measure of what is far.
    """
    references = list(references)
    example = next((item.case for item in references if item.case.name == EXAMPLE), None)
    scales: dict[str, float] = {}
    for item in references:
        if example is not None and is_far(item.case, example):
            continue
        for name, array in item.outputs.items():
            if array.dtype.kind not in "UOS" and array.size:
                scales[name] = max(scales.get(name, 0.0), rms(as_float64(array)))
    return scales


def without_evidence(item: ReferenceCase, example: ReferenceCase | None) -> str:
    """Says why a drawn case proves nothing: an output has no finite number, and the example's has.

    Such a case is one that no user could mean, such as a padding mask that masks everything.

    Args:
        item: The case.
        example: The example; without one every output is expected to have finite numbers.

    Returns:
        The reason; empty where the case may prove something.
    """
    for name, array in item.outputs.items():
        if _has_finite(array) or (example is not None and not _has_finite(example.outputs[name])):
            continue
        return (
            f"{item.case.name} ({item.case.origin}): the original gives NaN or infinity alone in "
            f"output {name!r}, and finite numbers for its example"
        )
    return ""


def _has_finite(array: Array) -> bool:
    """Whether an array has a finite number, or can have none: it is empty, or of strings."""
    if array.dtype.kind in "UOSiub" or not array.size:
        return True
    return any(np.isfinite(chunk).any() for chunk in _chunks(array))


def _is_finite(array: Array) -> bool:
    return array.dtype.kind in "UOSiub" or bool(np.isfinite(array).all())


def count_evidence(references: Sequence[ReferenceCase]) -> dict[str, int]:
    """Counts the cases that prove something about each output.

    A case does where the output has finite elements, and the output is not the same number
    everywhere in all cases, as a constant is.

    Args:
        references: The cases.

    Returns:
        The number by output name; -1 for an output that is constant.
    """
    names = list(references[0].outputs) if references else []
    return {name: _count([item.outputs[name] for item in references]) for name in names}


def _count(arrays: Sequence[Array]) -> int:
    if arrays[0].dtype.kind in "UOS":
        return len(arrays)
    # An empty output counts: it says that nothing was found.
    counted = [array for array in arrays if _has_finite(array)]
    return CONSTANT if _are_constant(counted) else len(counted)


def _are_constant(arrays: Sequence[Array]) -> bool:
    """Whether all finite elements of all arrays are one number; False where an array is empty."""
    if not arrays or not all(array.size for array in arrays):
        return False
    finite = (chunk[np.isfinite(chunk)] for array in arrays for chunk in _chunks(array))
    parts = (part for part in finite if part.size)
    first = next(parts, None)
    if first is None:
        return False
    # The first part that differs ends it: outputs that vary are not read to their end.
    return bool((first == first[0]).all()) and all((part == first[0]).all() for part in parts)


def _chunks(array: Array) -> Iterator[Array]:
    """The elements in pieces of `_CHUNK`, for questions that the first piece mostly answers."""
    flat = np.ravel(array, order="K")
    return (flat[begin : begin + _CHUNK] for begin in range(0, flat.size, _CHUNK))


def run_reference(
    reference: Runner,
    cases: Iterator[Case],
    given: Sequence[Case] = (),
    count: int = MINIMUM_CASES,
    least: int | None = None,
    attempts: int = 40,
) -> tuple[list[ReferenceCase], list[str]]:
    """Runs the original model on cases.

    Args:
        reference: The original model; it raises `RunError` on inputs that it does not take.
        cases: Drawn cases; the model may refuse some of them (a size that does not divide, say).
        given: Cases of the user's own (the example first), which it must take.
        count: How many drawn cases are wanted.
        least: With how many to be content where there are no more; `count` by default.
        attempts: How many may be drawn to get them.

    Returns:
        The cases with their outputs, and the refusals.

    Raises:
        RunError: The model refuses a given case.
        ProofError: Too few drawn cases were taken.
    """
    results = [ReferenceCase(case, reference(case.inputs)) for case in given]
    example = results[0] if results else None
    refused: list[str] = []
    aside: list[ReferenceCase] = []
    drawn = 0
    for case in cases:
        try:
            item = ReferenceCase(case, reference(case.inputs))
            if why := without_evidence(item, example):
                refused.append(why)
                aside.append(item)
            else:
                results.append(item)
                drawn += 1
        except RunError as error:
            refused.append(f"{case.name}: {error.what}: {error.why}")
        if drawn >= count or len(refused) >= attempts:
            break
    if not drawn and example is None and len(aside) >= count:
        # Every case of a file without an example is like this: it is how the model answers.
        return aside[:count], []
    if drawn >= (count if least is None else least):
        return results, refused
    raise ProofError(
        f"the original model took only {drawn} of {drawn + len(refused)} cases drawn",
        why=refused[-1] if refused else "there were no more to draw",
        fix="narrow the declared ranges with modelport.Dim(name, min=..., max=...), say how values "
        "are drawn with Recipe(values=...), or give five cases with Recipe(cases=...)",
    )


def verify_cases(
    references: Iterable[ReferenceCase],
    candidate: Runner,
    *,
    tolerance: Callable[[str], Tolerance] = tolerance_for,
    refused: Sequence[str] = (),
    scales: Mapping[str, float] | None = None,
    exact: ExactRunner | None = None,
    bounds: Bounds | None = None,
) -> Verification:
    """Runs a candidate on cases and compares.

    Args:
        references: Cases with the original's outputs.
        candidate: From arrays by input name to arrays by output name.
        tolerance: The tolerance for an output's dtype.
        refused: What `run_reference` says of refused cases; kept for the report.
        scales: How large each output is; `output_scales` of the references by default.
        exact: The reference in float64, which is run where a case differs.
        bounds: The user's own bounds on outputs' errors.

    Returns:
        The results; an error of the candidate is a result too.
    """
    references = list(references)
    if bounds is not None and references:
        bounds.require_known(references[0].outputs)
    if scales is None:
        scales = output_scales(references)
    example = next((item for item in references if item.case.name == EXAMPLE), None)
    outputs = {} if example is None else example.outputs
    finite = {name for name, array in outputs.items() if _is_finite(array)}
    compare = functools.partial(
        compare_outputs, tolerance=tolerance, scales=scales, finite=finite, bounds=bounds
    )
    return Verification(
        tuple(_verify_case(item, candidate, compare, exact) for item in references), tuple(refused)
    )


def _verify_case(
    item: ReferenceCase,
    candidate: Runner,
    compare: Callable[..., list[OutputComparison]],
    exact: ExactRunner | None,
) -> CaseResult:
    case = item.case
    shapes = {name: array.shape for name, array in case.inputs.items()}
    try:
        outputs = candidate(case.inputs)
    except RunError as error:
        failure = " ".join(str(error).split())
        return CaseResult(case.name, case.origin, shapes, (), failure, case.moved)
    comparisons = tuple(compare(item.outputs, outputs))
    if exact is not None and any(not out.ok and not out.reason for out in comparisons):
        comparisons = tuple(compare(item.outputs, outputs, exact=exact(case.inputs)))
    return CaseResult(case.name, case.origin, shapes, comparisons, moved=case.moved)
