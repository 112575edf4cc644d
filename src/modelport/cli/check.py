"""``modelport check``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from modelport.cli import console


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("check", help="is an ONNX file a valid model?")
    parser.add_argument("model", type=Path, help="the ONNX file")
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.graph import check

    result = check(arguments.model)
    if arguments.json:
        problems = [dataclasses.asdict(problem) for problem in result.problems]
        console.print_json({"path": str(result.path), "ok": result.ok, "problems": problems})
    elif result.ok:
        print(f"{result.path}: valid, and ONNX Runtime loads it")
    else:
        for problem in result.problems:
            print(f"{result.path}: {problem}")
    return 0 if result.ok else 1
