"""``modelport graph extract``, ``expose``, ``partition`` and ``edit``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.cli import console
from modelport.errors import ModelportError, ProofError, UsageError

if TYPE_CHECKING:
    from modelport.model import Model


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    extract = _command(commands, "extract", _extract, "a part of a model as a model of its own")
    extract.add_argument("--from", dest="begin", nargs="+", metavar="TENSOR", help="its inputs")
    extract.add_argument("--to", dest="end", nargs="+", metavar="TENSOR", help="its outputs")
    extract.add_argument("--module", metavar="PATH", help="what a PyTorch module became, instead")
    expose = _command(commands, "expose", _expose, "inner tensors as further outputs")
    which = expose.add_mutually_exclusive_group(required=True)
    which.add_argument("--tensor", nargs="+", metavar="NAME", help="these")
    which.add_argument("--op", metavar="OPERATOR", help="what all nodes of an operator give")
    which.add_argument("--all", action="store_true", help="all of the main graph")
    partition = _command(commands, "partition", _partition, "several models, run in turn")
    partition.add_argument(
        "--at",
        nargs="+",
        action="append",
        required=True,
        metavar="NAME",
        help="a cut: a mark, or the tensors that cross; repeat it for further cuts",
    )
    _add_edits(_command(commands, "edit", _edit, "change a graph by hand"))


def _command(
    commands: console.Subparsers[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("model", type=Path, help="the ONNX file")
    what = "folder for the pieces" if name == "partition" else "ONNX file to write"
    parser.add_argument("-o", "--output", type=Path, required=True, help=what)
    console.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _add_edits(parser: argparse.ArgumentParser) -> None:
    def add(option: str, metavar: Any, text: str, **more: Any) -> None:
        parser.add_argument(option, metavar=metavar, action="append", default=[], help=text, **more)

    parser.epilog = "Several changes are made in the order of this list. ATTRIBUTES are JSON."
    add("--rename", "OLD=NEW", "give a tensor or a node another name")
    add("--initializer", "NAME=FILE.npy", "replace a weight")
    add("--dim", "INPUT:AXIS=SIZE", "make a dimension fixed (a number) or dynamic (a name)")
    add("--insert", "X", "TENSOR OPERATOR [ATTRIBUTES]: put a node behind a tensor", nargs="+")
    add("--replace", "X", "NODE OPERATOR [ATTRIBUTES]: put an operator in its place", nargs="+")
    add("--delete", "NODE", "take a node out; its first input takes its output's place")
    add("--reshape", "FILE.py:FUNCTION", "targets of Reshapes by a rule on (name, shape)")
    parser.add_argument("--opset", type=int, help="convert to this opset")
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="write without a run in ONNX Runtime (--dim) or a comparison there (--opset)",
    )


def _load(arguments: argparse.Namespace) -> Model:
    from modelport.model import Model

    return Model.load(arguments.model)


def _written(arguments: argparse.Namespace, models: dict[Path, Model]) -> int:
    data = []
    for path, model in models.items():
        model.save(path)
        data.append({"path": str(path), **model.signature.to_json()})
        if not arguments.json:
            print(f"wrote {path}")
            for kind, specs in (("in ", model.signature.inputs), ("out", model.signature.outputs)):
                for spec in specs:
                    print(f"  {kind} {_shown(str(spec))}")
    if arguments.json:
        console.print_json(data if arguments.graph_command == "partition" else data[0])
    return 0


def _shown(text: str) -> str:
    from modelport.graph.format import shown

    return shown(text)


def _extract(arguments: argparse.Namespace) -> int:
    from modelport.graph import extract, extract_module

    by_tensors = bool(arguments.begin or arguments.end)
    if by_tensors == bool(arguments.module):
        raise UsageError("give either --from and --to, or --module")
    model = _load(arguments)
    if arguments.module:
        part = extract_module(model, arguments.module)
    else:
        part = extract(model, arguments.begin or [], arguments.end or [])
    return _written(arguments, {arguments.output: part})


def _expose(arguments: argparse.Namespace) -> int:
    from modelport.graph import expose

    shown = expose(_load(arguments), arguments.tensor, arguments.op)
    return _written(arguments, {arguments.output: shown})


def _partition(arguments: argparse.Namespace) -> int:
    from modelport.graph import partition

    parts = partition(_load(arguments), arguments.at)
    folder: Path = arguments.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error
    return _written(
        arguments, {folder / f"part_{index}.onnx": part for index, part in enumerate(parts)}
    )


def _edit(arguments: argparse.Namespace) -> int:
    from modelport import graph

    changes = [*_changes(arguments, graph)]
    opset: int | None = arguments.opset
    if not changes and opset is None:
        raise UsageError("no change is asked for", fix="`modelport graph edit --help` lists them")
    source = model = _load(arguments)
    for change in changes:
        model = change(model)
    if arguments.dim and not arguments.no_check:
        _check_runs(source, model)
    if opset is not None:
        converted = graph.convert_opset(model, opset)
        if not arguments.no_check:
            _check_same(model, converted)
        model = converted
    return _written(arguments, {arguments.output: model})


def _check_runs(source: Model, model: Model) -> None:
    from modelport.passes.equivalence import check_runs

    if _runs(source):
        check_runs(model, 0)


def _check_same(model: Model, converted: Model) -> None:
    from modelport.passes.equivalence import check_agreement

    try:
        if _runs(model):
            check_agreement(model, converted, 0, None)
    except UsageError as error:
        _warn_unchecked(error)


def _runs(model: Model) -> bool:
    """Whether ONNX Runtime runs a model; a warning says why it does not."""
    from modelport.passes.equivalence import check_runs

    try:
        check_runs(model, 0)
    except (ProofError, UsageError) as error:
        _warn_unchecked(error)
        return False
    return True


def _warn_unchecked(error: ModelportError) -> None:
    why = f": {error.why}" if error.why else ""
    print(f"warning: the result is not checked: {error.what}{why}", file=sys.stderr)


def _changes(arguments: argparse.Namespace, graph: Any) -> list[Callable[[Model], Model]]:
    """The requested changes. Wrong arguments are reported before any change is made."""
    changes: list[Callable[[Model], Model]] = []
    if arguments.rename:
        names = dict(_pair(text, "OLD=NEW") for text in arguments.rename)
        changes.append(lambda model: graph.rename(model, names))
    for text in arguments.initializer:
        name, file = _pair(text, "NAME=FILE.npy")
        array = _array(Path(file))
        changes.append(lambda m, n=name, a=array: graph.replace_initializer(m, n, a))  # type: ignore[misc]
    if arguments.dim:
        dims = _dims(arguments.dim)
        changes.append(lambda model: graph.set_dims(model, dims))
    for index, op, attributes in map(_node, arguments.insert):
        changes.append(
            lambda m, p=index, o=op, a=attributes: graph.insert_node(m, p, o, attributes=a)  # type: ignore[misc]
        )
    for index, op, attributes in map(_node, arguments.replace):
        changes.append(
            lambda m, p=index, o=op, a=attributes: graph.replace_node(m, p, o, attributes=a)  # type: ignore[misc]
        )
    for node in arguments.delete:
        changes.append(lambda m, n=node: graph.delete_node(m, n))  # type: ignore[misc]
    for source in arguments.reshape:
        from modelport.recipe import load_function

        rule = load_function(source)
        changes.append(lambda m, r=rule: graph.reshape_targets(m, r))  # type: ignore[misc]
    return changes


def _pair(text: str, form: str) -> tuple[str, str]:
    before, separator, after = text.partition("=")
    if not separator or not before:
        raise UsageError(f"{text!r} is not of the form {form}")
    return before, after


def _array(path: Path) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"cannot read the array {path}", why=str(error)) from error


def _dims(texts: list[str]) -> dict[str, dict[int, int | str]]:
    dims: dict[str, dict[int, int | str]] = {}
    for text in texts:
        axis_of_input, size = _pair(text, "INPUT:AXIS=SIZE")
        name, _, axis = axis_of_input.rpartition(":")
        if not name or not axis.lstrip("-").isdigit():
            raise UsageError(f"{text!r} is not of the form INPUT:AXIS=SIZE")
        dims.setdefault(name, {})[int(axis)] = int(size) if size.isdigit() else size
    return dims


def _node(words: list[str]) -> tuple[str, str, dict[str, Any]]:
    if not 2 <= len(words) <= 3:
        raise UsageError(f"{' '.join(words)!r} is not of the form NAME OPERATOR [ATTRIBUTES]")
    try:
        attributes = json.loads(words[2]) if len(words) == 3 else {}
    except ValueError as error:
        raise UsageError(f"the attributes {words[2]!r} are not JSON", why=str(error)) from error
    if not isinstance(attributes, dict):
        raise UsageError(f"the attributes {words[2]!r} are not a JSON object")
    return words[0], words[1], attributes
