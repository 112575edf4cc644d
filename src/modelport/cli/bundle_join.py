"""``modelport bundle join``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.cli import console
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.bundle import Bundle
    from modelport.pipeline import Result, Stage

_DESCRIPTION = """Several models as one: a detector, and a classifier of what it cuts out. An input
of a stage that is not connected is an input of the whole; the outputs are those of the last stage
where none is given."""


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "join", help="put several models into one bundle", description=_DESCRIPTION
    )
    parser.add_argument(
        "stages", nargs="+", metavar="STAGE=BUNDLE", help="a name and a bundle, in their order"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="bundle to write")
    parser.add_argument(
        "--connect",
        action="append",
        default=[],
        metavar="STAGE.INPUT=SOURCE",
        help="where an input comes from: STAGE.OUTPUT, or an input of the whole; repeatable",
    )
    parser.add_argument(
        "--batch",
        action="append",
        default=[],
        metavar="STAGE=ROWS",
        help="rows that a stage is given at most, those of several calls together; repeatable",
    )
    parser.add_argument(
        "--give",
        action="append",
        default=[],
        metavar="OUTPUT=STAGE.OUTPUT",
        help="an output of the whole; repeatable",
    )
    parser.add_argument("--result", metavar="KIND", help="what the outputs mean, such as boxes")
    parser.add_argument("--labels", metavar="A,B", help="with --result: the names of the classes")
    parser.add_argument("--name", default="pipeline", help="name of the whole")
    parser.add_argument("--zip", action="store_true", help="write one zip file")
    console.add_trust(parser, key=False)
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.bundle import Bundle, join_stages

    stages = _stages(arguments)
    outputs = _pairs(arguments.give, "OUTPUT=STAGE.OUTPUT")
    if not outputs:
        last = stages[-1]
        with Bundle.open(last.bundle) as bundle:
            outputs = {
                spec.name: f"{last.name}.{spec.name}" for spec in bundle.manifest.signature.outputs
            }
    path = join_stages(
        stages,
        arguments.output,
        outputs=outputs,
        result=_result(arguments),
        name=arguments.name,
        zipped=arguments.zip,
        trust=arguments.trust,
    )
    with Bundle.open(path) as bundle:
        return _report(bundle, path, as_json=arguments.json)


def _stages(arguments: argparse.Namespace) -> list[Stage]:
    from modelport.bundle import Bundle
    from modelport.pipeline import Stage

    bundles = _pairs(arguments.stages, "STAGE=BUNDLE")
    wires = _pairs(arguments.connect, "STAGE.INPUT=SOURCE")
    batches = _pairs(arguments.batch, "STAGE=ROWS")
    stages = []
    for name, bundle_path in bundles.items():
        with Bundle.open(bundle_path) as bundle:
            inputs = [spec.name for spec in bundle.manifest.signature.inputs]
        own = {spec: wires.pop(f"{name}.{spec}", spec) for spec in inputs}
        stages.append(Stage(name, bundle_path, own, _rows(batches.pop(name, "0"))))
    if unknown := [*wires, *batches]:
        raise UsageError(
            f"there is no {', '.join(unknown)}",
            fix="the stages take: "
            + ", ".join(f"{stage.name}.{spec}" for stage in stages for spec in stage.inputs),
        )
    return stages


def _result(arguments: argparse.Namespace) -> Result | None:
    from modelport.pipeline import Result

    if arguments.result is None:
        if arguments.labels is not None:
            raise UsageError("--labels are names in a result", fix="add --result KIND")
        return None
    labels = () if arguments.labels is None else tuple(arguments.labels.split(","))
    return Result(arguments.result, labels=labels)


def _report(bundle: Bundle, path: Path, *, as_json: bool) -> int:
    manifest = bundle.manifest
    if as_json:
        console.print_json(
            {
                "bundle": str(path),
                "stages": [stage["name"] for stage in manifest.stages],
                "signature": manifest.signature.to_json(),
                "cases": len(manifest.cases),
                "findings": list(manifest.findings),
            }
        )
        return 0
    print(f"wrote {path}: {', '.join(stage['name'] for stage in manifest.stages)}")
    for kind, specs in (
        ("takes", manifest.signature.inputs),
        ("gives", manifest.signature.outputs),
    ):
        for spec in specs:
            print(f"  {kind} {spec}")
    for finding in manifest.findings:
        print(f"{finding['severity']}: {finding['message']}")
    return 0


def _rows(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"a stage cannot be given {text!r} rows", fix="write STAGE=NUMBER")
    return int(text)


def _pairs(options: list[str], form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not (name and separator and value):
            raise UsageError(f"cannot read {option!r}", fix=f"write {form}")
        if name in pairs:
            raise UsageError(f"{name} is given twice", fix=f"write {form} once for each")
        pairs[name] = value
    return pairs
