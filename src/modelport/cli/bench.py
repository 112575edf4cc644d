"""``modelport bench``."""

from __future__ import annotations

import argparse

from modelport.cli import console
from modelport.errors import UsageError
from modelport.files.replacement import write_text


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("bench", help="measure bundles and ONNX files in turn")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a bundle or a .onnx file")
    parser.add_argument(
        "--against",
        metavar="TARGET",
        help="torch or torch:compile: what ratios are over, in place of the first model",
    )
    parser.add_argument(
        "--source", help="source of the PyTorch model, if no bundle holds its program"
    )
    parser.add_argument("--threads", default="0", metavar="N[,N]", help="0: as the backend likes")
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        metavar="DIM=N[,N]",
        help="sizes of a dynamic dimension; repeatable",
    )
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="calls at a time")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each model (15)")
    console.add_trust(parser)
    console.add_measuring(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.report import render_measurements
    from modelport.tuning import BENCH_HEADS, bench, bench_page, bench_rows

    rounds = {} if arguments.rounds is None else {"rounds": arguments.rounds}
    result = bench(
        arguments.models,
        against=arguments.against,
        source=arguments.source,
        targets=arguments.target,
        threads=_numbers(arguments.threads),
        sizes=_sizes(arguments.size),
        at_once=arguments.at_once,
        case=arguments.case,
        seed=arguments.seed,
        trust=arguments.trust,
        key=arguments.key,
        progress=console.progress(arguments),
        **rounds,
    )
    if arguments.report is not None:
        write_text(arguments.report, render_measurements(bench_page(result)))
    if arguments.json:
        console.print_json(result.to_json())
    else:
        console.print_table(f"against {result.against}", BENCH_HEADS, bench_rows(result))
    return 0 if result.ok else 1


def _sizes(options: list[str]) -> dict[str, list[int]]:
    sizes = {}
    for option in options:
        name, separator, numbers = option.partition("=")
        if not (name and separator):
            raise UsageError(f"cannot read the sizes {option!r}", fix="write DIM=N[,N]")
        sizes[name] = _numbers(numbers)
    return sizes


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise UsageError(f"cannot read the numbers {text!r}", fix="write N[,N]") from error
