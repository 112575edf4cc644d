"""``modelport run``."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelport.cli import console
from modelport.errors import UsageError


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("run", help="run a bundle or an ONNX file on files")
    parser.add_argument("model", type=Path, help="a bundle (directory or zip), or a .onnx file")
    parser.add_argument("--target", help="one of the bundle's targets; the first by default")
    for option, verb in (("--input", "read"), ("--output", "write")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="NAME=@FILE",
            help=f"file to {verb}: .npy, .npz, .png or .jpg; repeatable",
        )
    console.add_trust(parser)
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.bundle import load
    from modelport.files.arrays import read_tensor, write_tensor

    sources, sinks = _files(arguments.input), _files(arguments.output)
    engine = load(arguments.model, arguments.target, trust=arguments.trust, key=arguments.key)
    specs = {spec.name: spec for spec in engine.signature.inputs}
    inputs = {}
    for name, path in sources.items():
        if name not in specs:
            raise UsageError(
                f"the model has no input {name!r}", fix=f"it takes: {', '.join(map(str, specs))}"
            )
        inputs[name] = read_tensor(path, specs[name])
    outputs = engine.run(inputs, list(sinks) or None)
    for name, path in sinks.items():
        write_tensor(path, name, outputs[name])
    if arguments.json:
        shapes = {name: list(array.shape) for name, array in outputs.items()}
        console.print_json({"target": str(engine.target), "outputs": shapes})
    else:
        for name, array in outputs.items():
            print(f"{name}: {array.dtype.name}{list(array.shape)} -> {sinks.get(name, '-')}")
    return 0


def _files(options: list[str]) -> dict[str, Path]:
    files = {}
    for option in options:
        name, separator, path = option.partition("=@")
        if not (name and separator and path):
            raise UsageError(f"cannot read {option!r}", fix="write NAME=@FILE")
        files[name] = Path(path)
    return files
