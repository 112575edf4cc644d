"""Judging: which suspicions the probes prove."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from modelport.capture.diagnosis.suspicions import Suspicion
from modelport.findings import Finding, Severity
from modelport.numerics import CaseResult, Verification
from modelport.signature import Signature


def judge(
    suspicions: Sequence[Suspicion], verification: Verification, signature: Signature
) -> tuple[list[Finding], list[Finding]]:
    """Turns suspicions into findings.

    Args:
        suspicions: What is suspected.
        verification: What probes and cases gave.
        signature: The original's inputs with declared dimensions.

    Returns:
        An error for every suspicion that a failed case proves, and one (``differs``) for a failed
        case that none explains; notes for the rest, but for assumptions about sizes that a case
        broke without harm; and a note for each dimension that is declared dynamic, but had one size
        in all cases.
    """
    results, failed = verification.cases, verification.failed
    proven: dict[int, CaseResult] = {}
    explained: set[str] = set()
    # What torch's functions assume explains only what the user's code does not, and what names no
    # input or dimension only what is left then.
    for rank in range(3):
        left = [result for result in failed if not rank or result.case not in explained]
        for index, suspicion in enumerate(suspicions):
            if _rank(suspicion) != rank:
                continue
            witnesses = [result for result in left if _proves(result, suspicion, signature)]
            if witnesses:
                proven[index] = min(witnesses, key=lambda result: len(result.moved))
                explained |= {result.case for result in witnesses}
    findings = []
    for index, suspicion in enumerate(suspicions):
        if index in proven:
            findings.append(suspicion.proven(str(proven[index])))
        elif suspicion.harmless is not None and not _is_disproven(suspicion, results, signature):
            # After a failure nobody can say that this one had no part in it.
            open_still = failed and not suspicion.is_specific
            findings.append(suspicion.finding if open_still else suspicion.harmless)
    unexplained = [result for result in failed if result.case not in explained]
    if unexplained:
        findings.append(_differs(unexplained))
    return findings, list(_never_moved(signature, results))


def _rank(suspicion: Suspicion) -> int:
    if not suspicion.is_specific:
        return 2
    return 0 if suspicion.is_users else 1


def _proves(result: CaseResult, suspicion: Suspicion, signature: Signature) -> bool:
    """Whether a failed case is what the suspicion says would fail."""
    if suspicion.is_broken_by is not None:
        return suspicion.is_broken_by(sizes_of(result, signature))
    return not suspicion.names or bool(suspicion.names & result.moved)


def _is_disproven(
    suspicion: Suspicion, results: Sequence[CaseResult], signature: Signature
) -> bool:
    return suspicion.is_broken_by is not None and any(
        result.ok and suspicion.is_broken_by(sizes_of(result, signature)) for result in results
    )


def sizes_of(result: CaseResult, signature: Signature) -> dict[str, int]:
    """The sizes of the dynamic dimensions in a case."""
    return {
        dim: size
        for spec in signature.inputs
        for dim, size in zip(spec.shape or (), result.shapes.get(spec.name, ()), strict=False)
        if isinstance(dim, str)
    }


def _differs(results: Sequence[CaseResult]) -> Finding:
    first = min(results, key=lambda result: len(result.moved))
    return Finding(
        "differs",
        Severity.ERROR,
        f"the graph does not compute what the original computes: {first}",
        where=", ".join(sorted(first.moved)) or "every input",
        fix="look for code that leaves tensors (NumPy, Python numbers, loops and branches on "
        "values or sizes), or capture by another strategy",
    )


def _never_moved(signature: Signature, results: Sequence[CaseResult]) -> Iterator[Finding]:
    sizes: dict[str, set[int]] = defaultdict(set)
    for result in results:
        for dim, size in sizes_of(result, signature).items():
            sizes[dim].add(size)
    for dim, tried in sizes.items():
        if len(tried) == 1:
            yield Finding(
                "dynamic-dim-unproven",
                Severity.NOTE,
                f"the dimension {dim!r} was declared dynamic, but the original took no other size "
                f"than {tried.pop()} of those that were tried",
                where=dim,
                fix="do not declare it dynamic, or say which sizes it can have: "
                "modelport.Dim(name, min=..., max=...), Recipe(cases=...)",
            )
