"""``modelport tune``."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelport.cli import console
from modelport.files.replacement import write_text


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("tune", help="the fastest way to run a model here that is right")
    parser.add_argument("source", help="file.py[:factory], package.module:factory, .onnx or .pt2")
    parser.add_argument("-o", "--output", type=Path, help="a bundle to write, NAME.port")
    parser.add_argument(
        "--metric",
        default="latency",
        help="latency (the default), throughput or memory: what is to be best",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="error over an output's rms that is acceptable; lower precisions are tried then",
    )
    parser.add_argument(
        "--data", metavar="PLACE", help="calibration data, to try int8 as well; see `quantize`"
    )
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="300 by default")
    console.add_measuring(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.report import render_measurements
    from modelport.tuning import TUNING_HEADS, tune, tuning_page, tuning_rows

    budget = {} if arguments.budget is None else {"budget": arguments.budget}
    result = tune(
        arguments.source,
        arguments.output,
        metric=arguments.metric,
        tolerance=arguments.tolerance,
        targets=arguments.target,
        case=arguments.case,
        data=arguments.data,
        seed=arguments.seed,
        progress=console.progress(arguments),
        **budget,
    )
    if arguments.report is not None:
        write_text(arguments.report, render_measurements(tuning_page(result)))
    if arguments.json:
        console.print_json(result.to_json())
        return 0
    console.print_table(result.source, TUNING_HEADS, tuning_rows(result))
    print(result.reason)
    if result.deployment is not None:
        print(f"wrote {result.deployment.path}")
    return 0
