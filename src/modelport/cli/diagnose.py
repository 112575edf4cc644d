"""``modelport diagnose``."""

from __future__ import annotations

import argparse
import dataclasses

from modelport.cli import console


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "diagnose", help="what capturing a model gets wrong, where, and how to fix it"
    )
    parser.add_argument("source", help="file.py[:factory], package.module:factory, or .pt2")
    console.add_capture(parser)
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.deployment import diagnose
    from modelport.findings import Severity

    findings = diagnose(arguments.source, opset=arguments.opset, capture=arguments.capture)
    if arguments.json:
        console.print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(finding)
        if not findings:
            print("nothing found")
    return 1 if any(finding.severity is Severity.ERROR for finding in findings) else 0
