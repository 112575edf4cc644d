"""``modelport graph inspect``, ``print``, ``draw``, ``view``, ``diff`` and ``lint``."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.cli import console

if TYPE_CHECKING:
    from modelport.graph import Inspection

_PARTS = ("nodes", "ops", "weights", "io")


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    inspect = _command(commands, "inspect", _inspect, "what is in a model; reads no weights")
    for part in _PARTS:
        inspect.add_argument(f"--{part}", action="store_true", help=f"only the {part}")
    show = _command(commands, "print", _print, "a model as text, or one node with its weights")
    show.add_argument("--node", metavar="NAME", help="a node's name, or one of its outputs'")
    draw = _command(commands, "draw", _draw, "the graph as a picture, .html or .svg")
    draw.add_argument("-o", "--output", type=Path, required=True, help="NAME.html or NAME.svg")
    draw.add_argument("--level", type=int, help="fold groups deeper than this; 0 the outermost")
    _command(commands, "view", _view, "the graph in Netron")
    diff = _command(commands, "diff", _diff, "how two models differ; names do not matter")
    diff.add_argument("other", type=Path, help="the second ONNX file")
    lint = _command(commands, "lint", _lint, "what will hurt on a backend")
    lint.add_argument("--target", required=True, help="such as tensorrt-rtx or onnxruntime")


def _command(
    commands: console.Subparsers[argparse.ArgumentParser], name: str, run: Any, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("model", type=Path, help="the ONNX file")
    console.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _inspect(arguments: argparse.Namespace) -> int:
    from modelport.graph import inspect
    from modelport.model import Model

    found = inspect(Model.load(arguments.model))
    parts = [part for part in _PARTS if getattr(arguments, part)]
    if arguments.json:
        console.print_json(_selected(found, parts))
        return 0
    for part in parts or ("summary", "io", "ops"):
        _PRINTERS[part](found)
    return 0


def _selected(found: Inspection, parts: Sequence[str]) -> dict[str, Any]:
    data = found.to_json()
    kept = {
        "nodes": ("nodes",),
        "ops": ("operators", "custom"),
        "weights": ("weights", "parameters", "bytes"),
        "io": ("inputs", "outputs", "dims"),
    }
    names = [name for part in parts for name in kept[part]]
    return {name: data[name] for name in names} if names else data


def _print_summary(found: Inspection) -> None:
    from modelport.graph.format import shown

    opsets = ", ".join(f"{shown(domain)} {version}" for domain, version in found.opsets.items())
    print(f"opsets: {opsets}; format {found.ir_version}; written by {shown(found.producer) or '?'}")
    inside = f", {found.subgraphs} graphs inside of nodes" if found.subgraphs else ""
    print(f"{len(found.nodes)} nodes{inside}, {len(found.weights)} weights")
    print(f"{_number(found.parameters)} parameters, {_number(found.bytes)} bytes")
    unknown = f", and {found.macs_unknown} nodes of unknown size" if found.macs_unknown else ""
    print(f"{_number(found.macs)} MACs a run{unknown}")
    if found.functions:
        print(f"functions: {', '.join(map(shown, found.functions))}")
    for name, state in found.custom.items():
        print(f"custom operator {name}: {state}")


def _print_io(found: Inspection) -> None:
    from modelport.graph.format import shown

    for kind, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            print(f"{kind} {shown(tensor.name)}: {tensor.type}")
    for name, axes in found.dims.items():
        print(f"dynamic {shown(name)}: {', '.join(map(shown, axes))}")


def _print_ops(found: Inspection) -> None:
    from modelport.graph.format import shown

    for domain, counts in found.operators.items():
        for name, count in counts.items():
            print(f"{count:6} {shown(domain)}::{shown(name)}")


def _print_nodes(found: Inspection) -> None:
    from modelport.graph.format import shown

    for node in found.nodes:
        results = ", ".join(f"{shown(value.name)} {value.type}" for value in node.outputs)
        facts = [f"{_number(node.parameters)} parameters"] if node.parameters else []
        facts += [f"{_number(node.macs)} MACs"] if node.macs else []
        facts += ["unknown MACs"] if node.macs is None else []
        facts += [f"module {shown(node.module)}"] if node.module else []
        facts += [f"inside {shown(node.inside)}"] if node.inside else []
        more = f" ({'; '.join(facts)})" if facts else ""
        print(f"{node.op} {shown(node.name)!r} -> {results}{more}")


def _print_weights(found: Inspection) -> None:
    from modelport.graph.format import shown

    for weight in found.weights:
        print(f"{weight.bytes:12,} {shown(weight.name)}: {weight.type}")


_PRINTERS = {
    "summary": _print_summary,
    "io": _print_io,
    "ops": _print_ops,
    "nodes": _print_nodes,
    "weights": _print_weights,
}


def _number(count: int | str) -> str:
    return f"{count:,}" if isinstance(count, int) else count


def _print(arguments: argparse.Namespace) -> int:
    from modelport.graph import model_text, node_text
    from modelport.graph.format import shown
    from modelport.graph.lookup import find_node
    from modelport.ir.shape_inference import infer_shapes
    from modelport.model import Model

    ir = Model.load(arguments.model).ir
    if arguments.node is None:
        text = model_text(ir)
    else:
        infer_shapes(ir)
        text = node_text(find_node(ir.graph, arguments.node))
    if arguments.json:
        console.print_json({"text": text})
    else:
        # Nothing in a file may steer the terminal.
        print("\n".join(map(shown, text.split("\n"))))
    return 0


def _draw(arguments: argparse.Namespace) -> int:
    from modelport.graph import draw
    from modelport.model import Model

    path = draw(Model.load(arguments.model), arguments.output, arguments.level)
    if arguments.json:
        console.print_json({"path": str(path), "bytes": path.stat().st_size})
    else:
        print(f"wrote {path}")
    return 0


def _view(arguments: argparse.Namespace) -> int:
    from modelport.graph import view

    try:
        address = view(arguments.model)
        if arguments.json:
            console.print_json({"address": address})
        else:
            print(f"{arguments.model} is at {address}; Ctrl-C ends it", flush=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


def _diff(arguments: argparse.Namespace) -> int:
    from modelport.graph import diff
    from modelport.graph.format import shown
    from modelport.model import Model

    found = diff(Model.load(arguments.model), Model.load(arguments.other))
    if arguments.json:
        console.print_json(found.to_json())
    else:
        for change in found.changes:
            print(shown(str(change)))
        print(f"{found.matched} nodes in both, {len(found.changes)} differences")
    return 0 if found.same else 1


def _lint(arguments: argparse.Namespace) -> int:
    from modelport.findings import Severity
    from modelport.graph.format import shown
    from modelport.model import Model
    from modelport.passes import lint_for

    findings = lint_for(Model.load(arguments.model), arguments.target)
    if arguments.json:
        console.print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(shown(str(finding)))
        if not findings:
            print("nothing found")
    return 1 if any(finding.severity is Severity.ERROR for finding in findings) else 0
