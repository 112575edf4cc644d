"""Parses the command line, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import modelport
from modelport.cli import failure, log
from modelport.cli.escape import escaping
from modelport.cli.examples import add_examples

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
    "completion",
    "doctor",
)
"""The commands, in the order of the help; each is a module of this package."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        The exit code: 0 good; 1 a comparison or check failed; 2 wrong use or bad input; 70 a fault
        of modelport; 130 interrupted; 141 nobody reads the output.
    """
    with escaping():
        return _run(sys.argv[1:] if argv is None else argv)


def _run(words: Sequence[str]) -> int:
    arguments = build_parser(_named(words)).parse_args(words)
    try:
        with log.recorded(arguments), _folder_of_output(arguments):
            code = int(arguments.run(arguments))
        # A reader that is gone is noticed here, not when the process ends.
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if arguments.debug:
            raise
        return failure.report(error, arguments)
    return code


@contextmanager
def _folder_of_output(arguments: argparse.Namespace) -> Iterator[None]:
    """Makes the folder of ``-o`` where it is missing; what stays empty is removed."""
    output = getattr(arguments, "output", None)
    if not isinstance(output, Path):
        yield
        return
    missing = [folder for folder in output.absolute().parents if not folder.exists()]
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


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
    add_examples(parser)
    return parser


def _named(words: Sequence[str]) -> Sequence[str]:
    """The command that is called, where it is one; only its parser has to be built."""
    first = next((word for word in words if not word.startswith("-")), None)
    return (first,) if first in COMMANDS else COMMANDS
