"""``modelport verify``."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelport.cli import console


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("verify", help="compare a bundle with the PyTorch model again")
    parser.add_argument("bundle", type=Path, help="the bundle")
    parser.add_argument(
        "--against",
        metavar="SOURCE",
        help="source of the PyTorch model; the bundle's own reference cases by default",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of fresh cases")
    console.add_bounds(parser)
    console.add_trust(parser, key=False)
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.bundle import verify

    results = verify(
        arguments.bundle,
        arguments.against,
        arguments.seed,
        trust=arguments.trust,
        rtol=console.bound(arguments.rtol, "--rtol"),
        atol=console.bound(arguments.atol, "--atol"),
    )
    good = all(result.ok for result in results.values())
    if arguments.json:
        targets = {str(target): item.to_json() for target, item in results.items()}
        console.print_json({"ok": good, "targets": targets})
    else:
        for target, result in results.items():
            for case in result.cases:
                for output in case.outputs or [case.failure]:
                    print(f"{target}: {case.case}: {output}")
            if result.substituted:
                print(f"{target}: the engine did not run, its graph did: {result.substituted}")
            verdict = "agrees" if result.ok else "DIFFERS"
            print(f"{target}: {verdict} on {len(result.cases)} cases")
    return 0 if good else 1
