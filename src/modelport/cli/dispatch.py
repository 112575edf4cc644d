"""Parses the command line, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import modelport
from modelport.cli import (
    bench,
    bisect,
    bundle,
    check,
    compare,
    compile,
    deploy,
    diagnose,
    doctor,
    export,
    graph,
    ops,
    quantize,
    run,
    tune,
    verify,
)
from modelport.errors import ModelportError, UsageError

_COMMANDS = (
    deploy,
    tune,
    bench,
    compile,
    export,
    quantize,
    diagnose,
    check,
    run,
    verify,
    bundle,
    compare,
    bisect,
    graph,
    ops,
    doctor,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        The exit code: 0 good; 1 a comparison or check failed; 2 wrong use or bad input.
    """
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ModelportError as error:
        if arguments.debug:
            raise
        print(f"modelport: error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if arguments.debug or (error.name or "").startswith("modelport"):
            raise
        advice = UsageError(
            f"`modelport {arguments.command}` needs the package {error.name!r}",
            fix="pip install 'modelport[export]'",
        )
        print(f"modelport: error: {advice}", file=sys.stderr)
        return advice.exit_code


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command."""
    parser = argparse.ArgumentParser(
        prog="modelport", description="Take a PyTorch model to ONNX Runtime and beyond, verified."
    )
    parser.add_argument("--version", action="version", version=f"modelport {modelport.__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser
