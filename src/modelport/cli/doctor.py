"""``modelport doctor``."""

from __future__ import annotations

import argparse
import dataclasses

from modelport.cli import console


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("doctor", help="what is installed, and what works")
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.backends import CAPABILITY_HEADS, capability_rows, doctor

    diagnosis = doctor()
    if arguments.json:
        console.print_json(dataclasses.asdict(diagnosis))
        return 0
    print(f"Python {diagnosis.python} on {diagnosis.platform}")
    groups = {
        "backends": diagnosis.backends,
        "to export models": diagnosis.packages,
        "to build operators": diagnosis.compilers,
    }
    for title, probes in groups.items():
        print(f"{title}:")
        for probe in probes:
            sign = "ok" if probe.works else "--"
            print(f"  {sign} {probe.name} {probe.version} {probe.detail}".rstrip())
            if probe.remedy:
                print(f"     {probe.remedy}")
    rows = capability_rows(diagnosis.capabilities)
    console.print_table("what backends take:", CAPABILITY_HEADS, rows)
    return 0
