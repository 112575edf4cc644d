"""``modelport graph simplify``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.cli import console

if TYPE_CHECKING:
    from modelport.passes import Simplification


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command to the group ``graph``."""
    parser = commands.add_parser("simplify", help="fewer nodes that compute the same")
    parser.add_argument("model", type=Path, help="the ONNX file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--size-limit",
        type=int,
        metavar="BYTES",
        help="what a folded tensor may have, unless no more bytes come than go (default: 1 MiB)",
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not compare both models on drawn cases"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the cases")
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.passes import simplify

    limit = {} if arguments.size_limit is None else {"size_limit": arguments.size_limit}
    result = simplify(arguments.model, check=not arguments.no_check, seed=arguments.seed, **limit)
    result.model.save(arguments.output)
    if arguments.json:
        console.print_json({"path": str(arguments.output), **result.to_json()})
    else:
        _print(result)
        print(f"wrote {arguments.output}")
    return 0


def _print(result: Simplification) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("operator", "before", "after")
    for operator in {**result.before, **result.after}:
        before, after = result.before.get(operator, 0), result.after.get(operator, 0)
        if before != after:
            table.add_row(operator, str(before), str(after))
    if table.row_count:
        Console().print(table)
    nodes = f"{sum(result.before.values())} nodes became {sum(result.after.values())}"
    weights = f"{result.bytes_before} bytes of weights became {result.model.weight_bytes}"
    print(f"{nodes}, {weights}, in {result.seconds:.2f} s")
    if result.verification is not None:
        print(f"both agree on {len(result.verification.cases)} drawn cases")
