"""How commands show progress and results."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelport.progress import Progress

Subparsers = argparse._SubParsersAction  # argparse gives it no public name.


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_capture(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how to capture a model."""
    from modelport.recipe import CAPTURES

    parser.add_argument(
        "--opset", type=int, help="opset; the lowest from 18 up that suffices by default"
    )
    parser.add_argument("--capture", choices=CAPTURES, help="capture strategy")


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

        self._console = Console(stderr=True)
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
