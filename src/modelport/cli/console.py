"""How commands show progress and results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.cli.escape import one_line, plain

if TYPE_CHECKING:
    from modelport.progress import Progress
    from modelport.recipe import Recipe

Subparsers = argparse._SubParsersAction  # argparse gives it no public name.


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_trust(parser: argparse.ArgumentParser, *, key: bool = True) -> None:
    """Adds the options that say which bundles may bring code along."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load code in the bundle though it was neither built here nor signed by a known key",
    )
    if key:
        parser.add_argument(
            "--key", type=Path, help="PEM file of the public key that the bundle must be signed by"
        )


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Adds the options of commands that time models: which, on what, and how to show it."""
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="TARGET",
        help="one to measure, in place of all that there are; repeatable",
    )
    parser.add_argument("--case", type=Path, metavar="FILE.npz", help="the inputs to time on")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn")
    add_json(parser)


def add_capture(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how to capture a model."""
    from modelport.recipe import CAPTURES

    parser.add_argument(
        "--opset", type=int, help="opset; the lowest from 18 up that suffices by default"
    )
    parser.add_argument("--capture", choices=CAPTURES, help="capture strategy")


def add_input_shapes(parser: argparse.ArgumentParser) -> None:
    """Adds ``--input-shapes``, for a model that needs no recipe."""
    parser.add_argument(
        "--input-shapes",
        action="append",
        metavar="NAME=SIZES[:DTYPE]",
        help="SOURCE is a class or function that makes a module, which takes these inputs: "
        "image=1,3,224,224, or with names of dynamic dimensions image=batch,3,224,224; repeatable",
    )


def source(arguments: argparse.Namespace) -> str | Recipe:
    """The source that a command names, or the recipe that it and ``--input-shapes`` make."""
    if not arguments.input_shapes:
        return str(arguments.source)
    from modelport.recipe_draft import recipe_for_shapes

    return recipe_for_shapes(arguments.source, arguments.input_shapes)


def add_cases(parser: argparse.ArgumentParser, number: str) -> None:
    """Adds the options that say what to run on, and on what inputs."""
    parser.add_argument(
        "--target",
        metavar="A[,B]",
        help="the candidate's target, or the reference's and the candidate's",
    )
    parser.add_argument(
        "--cases",
        default=None,
        metavar="DIR|FILE|N",
        help=f"a folder of .npz files, one of them, a script with cases(rng), or {number}",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn")


def cases(option: str | None, default: int) -> int | str:
    """What ``--cases`` says: a number or a place."""
    if option is None:
        return default
    return int(option) if option.lstrip("-").isdecimal() else option


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table on a terminal, and aligned lines elsewhere."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title, rows = one_line(title), [list(map(one_line, row)) for row in rows]
    console = Console(file=plain(sys.stdout))
    if not console.is_terminal:
        print(title)
        _print_aligned([heads, *rows])
        return
    table = Table(title=Text(title), title_justify="left")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_aligned(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())


def print_json(data: Any) -> None:
    """Prints an object as JSON on stdout."""
    print(json.dumps(data, indent=2, default=str))


def progress() -> Progress:
    """Progress on stderr: a live line on a terminal, one line a step elsewhere."""
    return _Terminal() if sys.stderr.isatty() else _Lines()


class _Lines:
    def start(self, step: str) -> None:
        pass

    def finish(self, step: str, seconds: float) -> None:
        print(f"{step}: {seconds:.1f} s", file=sys.stderr, flush=True)

    def fail(self, step: str) -> None:
        print(f"{step}: failed", file=sys.stderr, flush=True)


class _Terminal:
    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=plain(sys.stderr))
        self._status = self._console.status("")

    def start(self, step: str) -> None:
        self._status.update(step)
        self._status.start()

    def finish(self, step: str, seconds: float) -> None:
        self._status.stop()
        self._console.print(f"[green]✓[/green] {step} [dim]{seconds:.1f} s[/dim]")

    def fail(self, step: str) -> None:
        self._status.stop()
        self._console.print(f"[red]✗[/red] {step}")
