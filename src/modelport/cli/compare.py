"""``modelport compare``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.cli import console
from modelport.errors import UsageError
from modelport.files.replacement import write_text

if TYPE_CHECKING:
    from modelport.debug import Comparison
    from modelport.numerics import ComparedCase, Metric

FAILURES = Path("modelport-failures")
_HEADS = (
    "case",
    "output",
    "max abs",
    "mean abs",
    "max rel",
    "p99 rel",
    "max ULP",
    "cosine",
    "SNR dB",
    "verdict",
)


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "compare", help="two models, or one on two targets, on the same inputs"
    )
    parser.add_argument("reference", help="a source, .onnx, .pt2 or bundle: says what is right")
    parser.add_argument("candidate", nargs="?", help="what is compared; the reference by default")
    console.add_cases(parser, "how many to draw")
    parser.add_argument("--save-io", type=Path, metavar="DIR", help="write all inputs and outputs")
    parser.add_argument(
        "--failures",
        type=Path,
        metavar="DIR",
        default=FAILURES,
        help=f"where failing cases are written; {FAILURES} by default",
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="FILE.py:FUNCTION",
        help="a function of expected and actual array; False is a failure; repeatable",
    )
    console.add_bounds(parser)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page")
    console.add_trust(parser, key=False)
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.debug import compare
    from modelport.report import render_comparison

    result = compare(
        arguments.reference,
        arguments.candidate,
        targets=arguments.target,
        cases=console.cases(arguments.cases, 5),
        save_io=arguments.save_io,
        failures=arguments.failures,
        metrics=_metrics(arguments.metric),
        rtol=console.bound(arguments.rtol, "--rtol"),
        atol=console.bound(arguments.atol, "--atol"),
        seed=arguments.seed,
        trust=arguments.trust,
        progress=console.progress(arguments),
    )
    if arguments.report is not None:
        write_text(arguments.report, render_comparison(result))
    console.show(arguments, result, _print)
    return 0 if result.ok else 1


def _metrics(sources: list[str]) -> dict[str, Metric]:
    from modelport.recipe import load_function

    for source in sources:
        if ":" not in source:
            raise UsageError(f"cannot read the metric {source!r}", fix="write FILE.py:FUNCTION")
    return {source.rpartition(":")[2]: load_function(source) for source in sources}


def _print(result: Comparison) -> None:
    rows = [row for case in result.cases for row in _rows(case)]
    title = f"reference: {result.reference}\ncandidate: {result.candidate}"
    console.print_table(title, _HEADS, rows)
    for case in result.cases:
        if case.failure:
            print(f"{case.case.name}: {case.failure}")
        for output in case.outputs:
            if not output.ok:
                print(f"{case.case.name} ({case.case.origin}): {output.verdict}")
            for name, value in output.metrics.items():
                print(f"{case.case.name}: {output.verdict.output}: {name} = {value}")
    verdict = "agree" if result.ok else "DIFFER"
    print(f"they {verdict} on {len(result.cases)} cases")
    if result.rerun:
        print(f"the first failing case again: {result.rerun}")


def _rows(case: ComparedCase) -> list[list[str]]:
    rows = []
    for output in case.outputs:
        found = output.measures
        figures = [""] * 7
        if found is not None:
            figures = [
                f"{found.absolute.max:.2e}",
                f"{found.absolute.mean:.2e}",
                f"{found.relative.max:.2e}",
                f"{found.relative.percentiles[99]:.2e}",
                "" if found.ulp is None else f"{found.ulp.max:.3g}",
                f"{found.cosine:.7f}",
                f"{found.snr:.1f}",
            ]
        verdict = "agrees" if output.ok else "DIFFERS"
        rows.append([case.case.name, output.verdict.output, *figures, verdict])
    if case.failure:
        rows.append([case.case.name, *[""] * 8, "FAILED"])
    return rows
