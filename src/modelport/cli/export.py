"""``modelport export``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from modelport.cli import console


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("export", help="capture a model as an ONNX file")
    parser.add_argument("source", help="file.py[:factory], package.module:factory, or .pt2")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file")
    console.add_input_shapes(parser)
    console.add_capture(parser)
    console.add_bounds(parser)
    parser.add_argument("--target", help="what the graph is for, which decides on rewrites")
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.deployment import export
    from modelport.recipe import load_recipe

    source = console.source(arguments)
    recipe = load_recipe(source) if isinstance(source, str) else source
    recipe = recipe.with_options(
        rtol=console.bound(arguments.rtol, "--rtol"), atol=console.bound(arguments.atol, "--atol")
    )
    model = export(
        recipe, opset=arguments.opset, capture=arguments.capture, target=arguments.target
    )
    model.save(arguments.output)
    if arguments.json:
        findings = [dataclasses.asdict(finding) for finding in model.findings]
        console.print_json(
            {
                "path": str(arguments.output),
                "signature": model.signature.to_json(),
                "findings": findings,
                "provenance": model.provenance,
            }
        )
        return 0
    for finding in model.findings:
        print(finding)
    capture = model.provenance["capture"]
    print(f"{console.captured(capture)}, opset {model.opset}")
    print(f"wrote {arguments.output}")
    return 0
