"""``modelport quantize``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.cli import console
from modelport.files.replacement import write_text

if TYPE_CHECKING:
    from modelport.model import Model
    from modelport.precision import Quantization


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "quantize",
        help="lower precision, as far as accuracy allows",
        description="Bring a model to lower precision: calibrate it, measure what it loses, and "
        "leave as few operators in float32 as the bound asks.",
    )
    parser.add_argument("source", help=".onnx, .pt2, file.py[:factory], package.module:factory")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    _add_precision(parser)
    _add_calibration(parser)
    accuracy = parser.add_argument_group("accuracy")
    accuracy.add_argument(
        "--max-drop", type=float, metavar="X", help="how much of the score may be lost"
    )
    accuracy.add_argument(
        "--metric",
        metavar="FILE.py:FUNCTION",
        help="function from a runner of the model to a score; a higher score "
        "is better; by default the agreement with float32",
    )
    accuracy.add_argument(
        "--judge-on",
        metavar="PLACE",
        help="data to judge by; by default every fifth case of --data, not calibrated on",
    )
    accuracy.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="NAME",
        help="a node, a pattern or an operator that stays in float32; repeatable",
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a page about it")
    console.add_capture(parser)
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _add_precision(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    for name in ("int8", "fp8", "fp16", "bf16"):
        group.add_argument(f"--{name}", dest="precision", action="store_const", const=name)
    group.add_argument(
        "--dynamic",
        dest="precision",
        action="store_const",
        const="dynamic",
        help="8 bits, scaled at every run (ONNX Runtime)",
    )
    group.add_argument(
        "--weights",
        dest="precision",
        type=lambda bits: f"weights{bits}",
        choices=("weights8", "weights4"),
        metavar="{8,4}",
        help="weights alone, in so many bits",
    )


def _add_calibration(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("calibration")
    group.add_argument(
        "--data",
        metavar="PLACE",
        help="a folder of pictures, .npy or .npz files; one .npz file; or file.py:function",
    )
    group.add_argument(
        "--method", choices=("minmax", "percentile", "entropy", "mse"), help="how ranges are chosen"
    )
    group.add_argument(
        "--percentile", type=float, metavar="P", help="share of the values inside, in percent"
    )
    scheme = group.add_mutually_exclusive_group()
    scheme.add_argument(
        "--target", metavar="TARGET", help="use the scheme of Q/DQ that is best for its backend"
    )
    scheme.add_argument(
        "--form",
        choices=("symmetric", "mixed", "unsigned"),
        help="of Q/DQ: for TensorRT, for OpenVINO, or for ONNX Runtime on CPUs (default)",
    )
    group.add_argument("--table", type=Path, metavar="FILE", help="ranges, in place of calibrating")
    group.add_argument("--save-table", type=Path, metavar="FILE", help="write the ranges")


def _run(arguments: argparse.Namespace) -> int:
    from modelport.precision import CalibrationTable, form_for, quantize
    from modelport.recipe import load_function
    from modelport.target import Target

    chosen = ("method", "percentile", "form", "max_drop")
    options = {name: value for name in chosen if (value := getattr(arguments, name)) is not None}
    if arguments.table is not None:
        options["table"] = CalibrationTable.load(arguments.table)
    if arguments.target is not None:
        options["form"] = form_for(Target.parse(arguments.target))
    result = quantize(
        _read(arguments),
        arguments.data,
        precision=arguments.precision,
        keep=arguments.keep,
        metric=None if arguments.metric is None else load_function(arguments.metric),
        judge_on=arguments.judge_on,
        progress=console.progress(arguments),
        **options,
    )
    written = [result.model.save(arguments.output)]
    if arguments.save_table is not None:
        written.append(result.table.save(arguments.save_table))
    if arguments.report is not None:
        from modelport.report import render_quantization

        write_text(arguments.report, render_quantization(arguments.source, result))
        written.append(arguments.report)
    if arguments.json:
        console.print_json({"paths": list(map(str, written)), **result.to_json()})
    else:
        _print(result)
        print(f"wrote {', '.join(map(str, written))}")
    return 0


def _read(arguments: argparse.Namespace) -> Model:
    from modelport.deployment import export
    from modelport.model import Model
    from modelport.recipe import load_recipe

    if Path(arguments.source).suffix == ".onnx":
        return Model.load(arguments.source)
    recipe = load_recipe(arguments.source)
    return export(recipe, opset=arguments.opset, capture=arguments.capture)


def _print(result: Quantization) -> None:
    for finding in result.model.findings:
        print(finding)
    rows = [
        [
            str(point.kept),
            f"{point.drop:.3g}",
            f"{point.milliseconds:.2f}",
            f"{point.original_milliseconds / point.milliseconds:.2f}",
        ]
        for point in result.points
    ]
    console.print_table("tried", ["in float32", "drop", "ms", "times as fast"], rows)
    if result.improvements:
        print(f"accuracy corrections that helped: {', '.join(result.improvements)}")
    for name in result.kept:
        print(f"stays in float32: {name} (alone it costs {result.sensitivity[name]:.3g})")
    low = result.operators - len(result.kept)
    print(
        f"{low} of {result.operators} operators in {result.precision}: it loses {result.drop:.3g} "
        f"of a score of {result.score:.6g}"
    )
