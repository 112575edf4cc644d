"""Every entry of the corpus: modelport says the truth about it.

``make test`` runs a sample, ``make test-all`` every row; ``make corpus`` prints them as a table.
"""

from __future__ import annotations

import pytest
import torch

from tests.export.corpus import ENTRIES
from tests.export.corpus.entry import Flagged, Refused, Right, Truth
from tests.export.corpus.judge import find_fault, judge_bare, judge_modelport

ROWS = [(entry.name, strategy) for entry in ENTRIES.values() for strategy in entry.truths]


def rules_of(truth: Truth) -> tuple[str, ...]:
    if isinstance(truth, Refused):
        return truth.because
    return tuple(truth.rule.split("|")) if isinstance(truth, Flagged) else ()


def sample() -> set[tuple[str, str]]:
    """Every fourth row, and the first row of each rule that these do not show."""
    chosen = set(ROWS[::4])
    seen = {rule for name, strategy in chosen for rule in rules_of(ENTRIES[name].truths[strategy])}
    for name, strategy in ROWS:
        rules = set(rules_of(ENTRIES[name].truths[strategy]))
        if rules - seen:
            chosen.add((name, strategy))
            seen |= rules
    return chosen


def parameters(always: set[tuple[str, str]]) -> list[object]:
    return [
        pytest.param(*row, id="-".join(row), marks=() if row in always else pytest.mark.slow)
        for row in ROWS
    ]


@pytest.mark.parametrize(("name", "strategy"), parameters(sample()))
def test_modelport_says_the_truth(name: str, strategy: str) -> None:
    entry = ENTRIES[name]
    fault = find_fault(entry, strategy, judge_modelport(entry, strategy))
    assert not fault, fault


@pytest.mark.skipif(not torch.__version__.startswith("2.13"), reason="recorded with torch 2.13")
@pytest.mark.parametrize(("name", "strategy"), parameters(set(ROWS[1::40])))
def test_bare_torch_does_what_is_recorded(name: str, strategy: str) -> None:
    entry = ENTRIES[name]
    outcome = judge_bare(entry, strategy)
    assert outcome.verdict == entry.truths[strategy].bare, outcome.detail


def test_the_corpus_is_large_and_of_every_kind() -> None:
    assert len(ENTRIES) >= 60
    kinds = {type(truth) for entry in ENTRIES.values() for truth in entry.truths.values()}
    assert kinds == {Right, Refused, Flagged}
    assert {strategy for entry in ENTRIES.values() for strategy in entry.truths} == {
        "dynamo",
        "trace",
        "script",
        "auto",
    }
