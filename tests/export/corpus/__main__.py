"""Prints the table: what bare torch does with each entry, what modelport says, and the truth."""

from __future__ import annotations

import argparse
from collections import Counter

from tests.export.corpus import ENTRIES
from tests.export.corpus.entry import STRATEGIES, Entry, Refused, Right, Truth
from tests.export.corpus.judge import Outcome, find_fault, is_right, judge_bare, judge_modelport

ROW = "{:32} {:7} {:14} {:44} {:38} {}"


def main() -> int:
    """Judges the chosen entries and prints a row for each and the totals.

    Returns:
        0 where modelport agrees with the truth of every entry, 1 otherwise.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.export.corpus", description=__doc__)
    parser.add_argument("names", nargs="*", help="entries or themes; all by default")
    parser.add_argument("--strategy", choices=STRATEGIES, action="append")
    parser.add_argument("--bare", action="store_true", help="judge bare torch anew, not modelport")
    parser.add_argument("--details", action="store_true", help="say what each fault is")
    options = parser.parse_args()
    rows = [
        (entry, strategy)
        for entry in ENTRIES.values()
        for strategy in entry.truths
        if (not options.names or {entry.name, entry.theme} & set(options.names))
        and (not options.strategy or strategy in options.strategy)
    ]
    print_row = print_bare if options.bare else print_modelport
    return print_row(rows, options.details)


def print_modelport(rows: list[tuple[Entry, str]], details: bool) -> int:
    """The table of modelport's verdicts."""
    print(ROW.format("entry", "capture", "bare torch", "modelport", "truth", "ok"))
    totals: Counter[str] = Counter()
    for entry, strategy in rows:
        outcome = judge_modelport(entry, strategy)
        fault = find_fault(entry, strategy, outcome)
        truth = entry.truths[strategy]
        count(totals, entry, strategy, outcome, fault)
        print(
            ROW.format(
                entry.name,
                strategy,
                truth.bare,
                shorten(describe(outcome), 44),
                shorten(describe_truth(truth), 38),
                "NO" if fault else "yes",
            ),
            flush=True,
        )
        if fault and details:
            print(f"    {fault}")
    print()
    for label in (*TOTALS, *sorted(set(totals) - set(TOTALS))):
        print(f"{totals[label]:5}  {label}")
    return 1 if totals["faults"] else 0


TOTALS = (
    "rows",
    "bare torch exports wrong",
    "wrong exports unflagged",
    "right exports refused",
    "right exports with a warning",
    "faults",
)


def count(totals: Counter[str], entry: Entry, strategy: str, outcome: Outcome, fault: str) -> None:
    """Adds one row to the totals."""
    called_wrong = any(rule.endswith(": error") for rule in outcome.rules)
    refused = outcome.verdict == "refused" or called_wrong
    truth = entry.truths[strategy]
    totals["rows"] += 1
    totals["faults"] += bool(fault)
    totals["bare torch exports wrong"] += truth.bare == "wrong"
    escaped = outcome.verdict == "wrong" or isinstance(truth, Refused)
    totals["wrong exports unflagged"] += escaped and not refused
    totals["right exports refused"] += is_right(entry, strategy) and refused
    warned = any(rule.endswith(": warning") for rule in outcome.rules)
    totals["right exports with a warning"] += isinstance(truth, Right) and warned


def print_bare(rows: list[tuple[Entry, str]], details: bool) -> int:
    """The table of what bare torch does, beside what is recorded."""
    print(ROW.format("entry", "capture", "bare torch", "warned", "recorded", "ok"))
    totals: Counter[str] = Counter()
    for entry, strategy in rows:
        outcome = judge_bare(entry, strategy)
        recorded = entry.truths[strategy].bare
        agrees = outcome.verdict == recorded
        warned = "with a tracer's warning" if "warned" in outcome.rules else ""
        silence = "" if warned or outcome.verdict != "wrong" else ", silently"
        totals[f"{outcome.verdict}{silence}"] += 1
        totals["recorded otherwise"] += not agrees
        verdict = f"{outcome.verdict}{', silent' if silence else ''}"
        print(
            ROW.format(entry.name, strategy, verdict, warned, recorded, "yes" if agrees else "NO"),
            flush=True,
        )
        if outcome.detail and (details or not agrees):
            print(f"    {outcome.detail}")
    print()
    for label, number in sorted(totals.items()):
        print(f"{number:5}  {label}")
    return 1 if totals["recorded otherwise"] else 0


def describe(outcome: Outcome) -> str:
    """One line: the verdict and the rules found."""
    rules = ", ".join(rule.partition(":")[0] for rule in outcome.rules)
    return f"{outcome.verdict}: {rules}" if rules else outcome.verdict


def describe_truth(truth: Truth) -> str:
    """One line: what the truth is."""
    if isinstance(truth, Refused):
        return "refused" + (f": {' or '.join(truth.because)}" if truth.because else "")
    if isinstance(truth, Right):
        return "right"
    return f"right, flagged {truth.rule}"


def shorten(text: str, width: int) -> str:
    """The text, cut where it is longer than the column."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


if __name__ == "__main__":
    raise SystemExit(main())
