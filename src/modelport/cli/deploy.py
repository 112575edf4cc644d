"""``modelport deploy``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import modelport
from modelport.cli import console

if TYPE_CHECKING:
    from modelport.deployment import Deployment


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "deploy", help="capture, check, compile, verify and bundle a model"
    )
    parser.add_argument("source", help="file.py[:factory], package.module:factory, .onnx or .pt2")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the bundle, NAME.port")
    console.add_targets(parser, "what to deploy to; onnxruntime by default")
    console.add_input_shapes(parser)
    console.add_capture(parser)
    parser.add_argument(
        "--data", metavar="PLACE", help="calibration data for targets in int8; see `quantize`"
    )
    parser.add_argument("--zip", action="store_true", help="write one zip file")
    parser.add_argument("--seed", type=int, default=0, help="seed of the verification's cases")
    console.add_bounds(parser)
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    result = modelport.deploy(
        console.source(arguments),
        arguments.output,
        **({"targets": arguments.target} if arguments.target else {}),
        opset=arguments.opset,
        capture=arguments.capture,
        data=arguments.data,
        zipped=arguments.zip,
        seed=arguments.seed,
        rtol=console.bound(arguments.rtol, "--rtol"),
        atol=console.bound(arguments.atol, "--atol"),
        progress=console.progress(arguments),
    )
    console.show(arguments, result, _print)
    return 0


def _print(result: Deployment) -> None:
    for finding in result.model.findings:
        print(finding)
    capture = result.model.provenance.get("capture")
    if capture:
        print(console.captured(capture))
    for target, verification in result.verifications.items():
        worst = verification.worst
        error = "" if worst is None else f", max rel {worst.max_rel:.2e}"
        print(f"{target}: agrees with the reference on {len(verification.cases)} cases{error}")
    print(f"wrote {result.path}")
