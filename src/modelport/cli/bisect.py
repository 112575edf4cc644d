"""``modelport bisect``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.cli import console
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.debug import Bisection, Culprit, Reduction

FOLDER = Path("modelport-culprit")
_SHOWN = 12
"""Pairs of tensors that are shown, those in which the error grows most."""


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("bisect", help="find the first node where two models differ")
    parser.add_argument(
        "reference", help="the model with the right outputs: a source, .onnx, .pt2 or bundle"
    )
    parser.add_argument(
        "candidate",
        nargs="?",
        help="the model to examine; by default the reference, on another target",
    )
    console.add_cases(parser, "how many to try")
    parser.add_argument(
        "--all-nodes", action="store_true", help="continue behind the first culprit"
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        default=FOLDER,
        help=f"where a minimal model of the culprit is written; {FOLDER} by default",
    )
    parser.add_argument(
        "--memory", type=int, default=256, metavar="MiB", help="tensors held at once, roughly"
    )
    parser.add_argument(
        "--reduce", action="store_true", help="shrink the failing model to a minimal one instead"
    )
    parser.add_argument("--crash", action="store_true", help="with --reduce: keep a crash")
    parser.add_argument(
        "--command",
        metavar="CMD",
        dest="shell",
        help="with --reduce: keep the exit code of a shell command with {model} in it",
    )
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.reduce:
        return _reduce(arguments)
    if arguments.crash or arguments.shell:
        raise UsageError("--crash and --command say what --reduce is to keep", fix="add --reduce")
    from modelport.debug import bisect

    result = bisect(
        arguments.reference,
        arguments.candidate,
        targets=arguments.target,
        cases=console.cases(arguments.cases, 3),
        all_nodes=arguments.all_nodes,
        save=arguments.save,
        budget=arguments.memory,
        seed=arguments.seed,
        progress=console.progress(arguments),
    )
    console.show(arguments, result, _print)
    return 0 if result.ok else 1


def _reduce(arguments: argparse.Namespace) -> int:
    from modelport.debug import shrink

    if arguments.crash and arguments.shell:
        raise UsageError("--crash and --command are given together", fix="keep one")
    result = shrink(
        arguments.reference,
        arguments.candidate,
        by=arguments.shell or ("crash" if arguments.crash else "wrong"),
        save=arguments.save,
        targets=arguments.target,
        cases=console.cases(arguments.cases, 3),
        budget=arguments.memory,
        seed=arguments.seed,
        progress=console.progress(arguments),
    )
    console.show(arguments, result, _print_reduction)
    return 1


def _print(result: Bisection) -> None:
    print(f"reference: {result.reference}\ncandidate: {result.candidate}")
    print(f"case: {result.case.name} ({result.case.origin})")
    for note in result.notes:
        print(f"note: {note}")
    if result.outputs is not None:
        for output in result.outputs.outputs:
            print(output.verdict)
        if result.outputs.failure:
            print(f"the candidate fails as a whole: {result.outputs.failure}")
    _print_growth(result)
    for name, why in list(result.not_run.items())[:_SHOWN]:
        print(f"not run: {name}: {why}")
    print(result.verdict)
    if result.culprit is not None:
        _print_culprit(result.culprit)
    elif not result.ok:
        print("`modelport bisect ... --reduce` finds the fewest nodes that show it together")


def _print_growth(result: Bisection) -> None:
    """Accumulated error in equal steps along the graph, and each node that adds to it."""
    links = [link for link in result.links if link.grown is not None]
    step = max(1, len(links) // _SHOWN)
    rows = []
    for index, link in enumerate(links):
        own, grown = link.own, link.grown
        assert grown is not None
        parts = own is not None and not own.ok
        if index % step and not parts and index != len(links) - 1:
            continue
        rows.append(
            [
                link.node,
                "" if own is None else f"{own.verdict.rms_rel:.2e}",
                "" if own is None else "PARTS" if parts else "agrees",
                f"{grown.verdict.rms_rel:.2e}",
                "agrees" if grown.ok else "DIFFERS",
            ]
        )
    title = f"{len(links)} tensors with a partner; rms errors of the node alone, and grown up to it"
    console.print_table(title, ("node", "alone", "", "grown", ""), rows)


def _print_culprit(culprit: Culprit) -> None:
    print(f"node: {culprit.node} ({culprit.operator}) -> {culprit.tensor}")
    if len(culprit.region) > 1:
        print(f"  run together with: {', '.join(culprit.region)}")
    if culprit.module is not None:
        kind = f" ({culprit.module.kind})" if culprit.module.kind else ""
        print(f"  module: {culprit.module.path or 'the model itself'}{kind}")
    print(f"  from: {culprit.place}")
    print(f"  {culprit.error.verdict}")
    print(f"  expected: {culprit.expected}")
    print(f"  came:     {culprit.actual}")
    for difference in culprit.differences:
        print(f"  differs in {difference}")
    if culprit.rerun:
        print(f"  again: {culprit.rerun}")


def _print_reduction(result: Reduction) -> None:
    print(f"{len(result.nodes)} of {result.before} nodes are left, after {result.tests} tests:")
    for name in result.nodes:
        print(f"  {name}")
    print(f"wrote {result.model} and {result.case}")
    if result.rerun:
        print(f"again: {result.rerun}")
