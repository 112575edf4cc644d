"""Parses the command line, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

import modelport
from modelport.cli import log
from modelport.cli.escape import escaping
from modelport.errors import ModelportError, UsageError
from modelport.extras import install_command

COMMANDS = (
    "init",
    "deploy",
    "tune",
    "bench",
    "compile",
    "export",
    "quantize",
    "diagnose",
    "check",
    "run",
    "verify",
    "bundle",
    "compare",
    "bisect",
    "graph",
    "ops",
    "doctor",
)
"""The commands, in the order of the help; each is a module of this package."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        The exit code: 0 good; 1 a comparison or check failed; 2 wrong use or bad input.
    """
    with escaping():
        return _run(sys.argv[1:] if argv is None else argv)


def _run(words: Sequence[str]) -> int:
    arguments = build_parser(_named(words)).parse_args(words)
    try:
        with log.recorded(arguments):
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
            fix=install_command("export"),
        )
        print(f"modelport: error: {advice}", file=sys.stderr)
        return advice.exit_code


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of commands; with all of them by default."""
    parser = argparse.ArgumentParser(
        prog="modelport",
        description="Deploy PyTorch models to ONNX Runtime, OpenVINO and TensorRT, verified.",
    )
    parser.add_argument("--version", action="version", version=f"modelport {modelport.__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        importlib.import_module(f"modelport.cli.{name}").add(commands)
    log.add_options(parser)
    return parser


def _named(words: Sequence[str]) -> Sequence[str]:
    """The command that is called, where it is one; only its parser has to be built."""
    first = next((word for word in words if not word.startswith("-")), None)
    return (first,) if first in COMMANDS else COMMANDS
