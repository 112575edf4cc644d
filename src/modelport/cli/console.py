"""Options, progress, tables and JSON that the commands share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from modelport.cli import log
from modelport.cli.escape import one_line, plain
from modelport.errors import UsageError
from modelport.progress import Silent

if TYPE_CHECKING:
    from modelport.progress import Progress
    from modelport.recipe import Recipe


class HasJson(Protocol):
    """A result of a command."""

    def to_json(self) -> Mapping[str, object]:
        """The result as a plain dict."""


_Result = TypeVar("_Result", bound=HasJson)
Subparsers = argparse._SubParsersAction  # argparse has no public name for it.


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_targets(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds ``--target``, which takes several by commas or by repetition."""
    parser.add_argument(
        "--target",
        action="extend",
        type=_listed,
        default=[],
        metavar="A[,B]",
        help=f"{what}: BACKEND[:TOKEN]...; repeatable",
    )


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def add_trust(parser: argparse.ArgumentParser, *, key: bool = True) -> None:
    """Adds the options about trust in the code of bundles."""
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
    """Adds the options of commands that time models: targets, inputs, and output."""
    add_targets(parser, "what to measure, in place of all that there are")
    parser.add_argument("--case", type=Path, metavar="FILE.npz", help="the inputs to time on")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn")
    add_json(parser)


def add_capture(parser: argparse.ArgumentParser) -> None:
    """Adds the options of capture."""
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


def add_bounds(parser: argparse.ArgumentParser) -> None:
    """Adds ``--rtol`` and ``--atol``."""
    parser.add_argument(
        "--rtol",
        action="append",
        metavar="[OUTPUT=]X",
        help="bound on an output's error as a whole, relative to its scale, in place of that of "
        "its dtype; an element may be ten times worse; repeatable",
    )
    parser.add_argument(
        "--atol",
        action="append",
        metavar="[OUTPUT=]X",
        help="error that is allowed besides, in the output's own unit; repeatable",
    )


def bound(words: Sequence[str] | None, option: str) -> float | dict[str, float] | None:
    """The bound that ``--rtol`` or ``--atol`` sets: one number, or numbers by output name."""
    if not words:
        return None
    found: dict[str, float] = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise UsageError(
                f"{option} {word!r} is not a number",
                fix=f"write {option} 1e-3, or {option} OUTPUT=1e-3",
            ) from None
    if "" not in found:
        return found
    if len(found) > 1:
        raise UsageError(
            f"{option} is given with and without the name of an output",
            fix="name every output, or give one number for all",
        )
    return found[""]


def add_cases(parser: argparse.ArgumentParser, number: str) -> None:
    """Adds the options about targets and cases."""
    add_targets(parser, "the candidate's target, or the reference's and the candidate's")
    parser.add_argument(
        "--cases",
        default=None,
        metavar="DIR|FILE|N",
        help=f"a folder of .npz files, one of them, a script with cases(rng), or {number}",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn")


def cases(option: str | None, default: int) -> int | str:
    """The number, or the path, of ``--cases``."""
    if option is None:
        return default
    return int(option) if option.lstrip("-").isdecimal() else option


def captured(capture: Mapping[str, str]) -> str:
    """The origin of a graph, in words.

    Args:
        capture: ``strategy`` and ``reason``, as in a model's provenance.
    """
    if capture["strategy"] == "none":
        return f"not captured: {capture['reason']}"
    return f"captured by {capture['strategy']} ({capture['reason']})"


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
    print(json.dumps(data, indent=2, default=str), flush=True)


def show(arguments: argparse.Namespace, result: _Result, write: Callable[[_Result], None]) -> None:
    """Prints a result: as JSON with ``--json``, else by a function that writes it as text."""
    if arguments.json:
        print_json(result.to_json())
    else:
        write(result)


def note(text: str) -> None:
    """Prints a message on stderr; nothing with ``--quiet``."""
    if log.terminal().verbosity >= 0:
        print(text, file=log.terminal().errors, flush=True)


def progress(arguments: argparse.Namespace) -> Progress:
    """Progress on stderr: a live line on a terminal, one line for each step elsewhere.

    Log lines would break a live line, so ``-v`` has one line for each step; ``-q`` and ``--json``
    have none.
    """
    terminal = log.terminal()
    if terminal.verbosity < 0 or arguments.json:
        return Silent()
    return _Terminal() if terminal.verbosity == 0 and terminal.errors.isatty() else _Lines()


class _Lines:
    def start(self, step: str) -> None:
        pass

    def finish(self, step: str, seconds: float) -> None:
        note(f"{step}: {seconds:.1f} s")

    def fail(self, step: str) -> None:
        note(f"{step}: failed")


class _Terminal:
    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=plain(log.terminal().errors))
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
