"""Judging: which suspicions the probes prove."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.capture.diagnosis.suspicion import Suspicion
from modelport.findings import Finding, Severity
from modelport.proof import CaseResult


def judge(suspicions: Sequence[Suspicion], results: Sequence[CaseResult]) -> list[Finding]:
    """Turns suspicions into findings.

    Args:
        suspicions: What is suspected, the specific ones first.
        results: What probes and cases gave.

    Returns:
        An error for every suspicion that a failed case proves, and one (``differs``) for a failed
        case that none explains; notes for the rest.
    """
    failed = [result for result in results if not result.ok]
    explained: set[str] = set()
    proven: dict[int, CaseResult] = {}
    for specific in (True, False):
        for index, suspicion in enumerate(suspicions):
            if bool(suspicion.names) is not specific:
                continue
            # What names no input or dimension explains only what is left unexplained.
            witnesses = [
                result
                for result in failed
                if (suspicion.names & result.moved if specific else result.case not in explained)
            ]
            if witnesses:
                proven[index] = min(witnesses, key=lambda result: len(result.moved))
                if specific:
                    explained |= {result.case for result in witnesses}
    if any(not suspicions[index].names for index in proven):
        explained |= {result.case for result in failed}
    findings = []
    for index, suspicion in enumerate(suspicions):
        if index in proven:
            findings.append(suspicion.proven(str(proven[index])))
        elif suspicion.harmless is not None:
            findings.append(suspicion.harmless)
    unexplained = [result for result in failed if result.case not in explained]
    if unexplained:
        findings.append(_differs(unexplained))
    return findings


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
