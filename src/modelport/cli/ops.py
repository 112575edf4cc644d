"""``modelport ops``: a model's operators, one operator, and which could express something."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from modelport.cli import ops_folders
from modelport.errors import UsageError


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Registers the command group.

    Args:
        subparsers: Those of the ``modelport`` command. Each command sets ``run``, a function of
            the parsed arguments that returns the exit code.
    """
    group = subparsers.add_parser(
        "ops", help="write operators, and look up those of a model, PyTorch or ONNX"
    )
    commands = group.add_subparsers(dest="ops_command", required=True, metavar="COMMAND")
    support = _command(
        commands, "support", _support, "the operators of a model and what each becomes in ONNX"
    )
    support.add_argument(
        "source", metavar="SOURCE", help="file.py[:factory], package.module:factory, or a .pt2 file"
    )
    support.add_argument("--opset", type=int, help="opset to ask about (default: 18)")
    info = _command(commands, "info", _info, "an ONNX or PyTorch operator")
    info.add_argument(
        "name", metavar="NAME", help="Resize, asinh, aten::asinh, torch.nn.functional.interpolate"
    )
    find = _command(commands, "find", _find, "operators that could express something")
    find.add_argument("text", metavar="TEXT", nargs="+", help="what to look for, such as bicubic")
    find.add_argument(
        "--limit", type=int, default=20, help="rows a table shows (default: %(default)s)"
    )
    ops_folders.add(commands)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _support(args: argparse.Namespace) -> int:
    """Reports operators; the exit code is 1 if one of the model's cannot be exported."""
    from modelport.capture.dynamic import torch_shapes
    from modelport.capture.support.survey import operator_support
    from modelport.cli.ops_tables import print_support
    from modelport.recipe import load_recipe

    recipe = load_recipe(args.source)
    opset = args.opset if args.opset is not None else recipe.opset
    table = operator_support(
        recipe.model, recipe.args, recipe.kwargs, opset, dynamic_shapes=torch_shapes(recipe)
    )
    if args.json:
        _print_json(table.to_json())
    else:
        print_support(recipe.title, table)
    return 1 if table.unsupported else 0


def _info(args: argparse.Namespace) -> int:
    from modelport.capture.support.aten import describe_aten
    from modelport.cli.ops_tables import print_aten, print_onnx
    from modelport.ops.catalog import describe

    framework = _framework(args.name)
    if framework == "onnx":
        operator = describe(args.name)
        if args.json:
            _print_json({"framework": "onnx"} | operator.to_json())
        else:
            print_onnx(operator)
        return 0
    found = describe_aten(args.name)
    if args.json:
        _print_json({"framework": "pytorch"} | found.to_json())
    else:
        print_aten(found)
    return 0


def _find(args: argparse.Namespace) -> int:
    """Searches for operators; the exit code is 1 if nothing matches."""
    from modelport.capture.support.search import find_aten
    from modelport.cli.ops_tables import print_matches
    from modelport.ops.catalog import find

    text = " ".join(args.text)
    matches = [*find(text), *find_aten(text)]
    if args.json:
        _print_json([match.to_json() for match in matches])
    else:
        print_matches(text, matches, args.limit)
    return 0 if matches else 1


def _framework(name: str) -> str:
    """The framework of an operator's name: ``onnx`` or ``pytorch``.

    Names of ONNX begin with an upper-case letter and names of PyTorch do not: ``Relu``, ``relu``.
    A namespace or a module path decides where there is one.
    """
    if not name:
        raise UsageError("the name is empty", fix="give one, such as Resize or asinh")
    namespace, separator, short = name.rpartition("::")
    if separator:
        return "onnx" if namespace.startswith("ai.onnx") or short[:1].isupper() else "pytorch"
    if "." in name:
        return "pytorch"
    return "onnx" if name[0].isupper() else "pytorch"


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2))
