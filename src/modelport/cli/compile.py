"""``modelport compile``."""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.cli import console
from modelport.errors import BuildError, RunError, UsageError

if TYPE_CHECKING:
    from modelport.deployment import Compilation

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SHOWN = 60
"""Characters of a layer's name or nodes in the table."""


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "compile",
        help="build an engine file for TensorRT or TensorRT for RTX",
        description="Build an engine file. `deploy` builds one as well, compares it with the "
        "original and bundles it; this is for an engine alone.",
    )
    parser.add_argument("model", help=".onnx, .pt2, file.py[:factory], package.module:factory")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the engine to write")
    parser.add_argument(
        "--target",
        required=True,
        metavar="TARGET",
        help="tensorrt or tensorrt-rtx, with :PRECISION and :smNN (repeatable)",
    )
    _add_sizes(parser)
    build = parser.add_argument_group("build")
    build.add_argument("--workspace", type=_bytes, metavar="SIZE", help="limit, such as 512M or 2G")
    build.add_argument(
        "--version-compatible", action="store_true", help="runs with later versions, too"
    )
    build.add_argument(
        "--hardware-compatible",
        default="",
        metavar="WHERE",
        help="runs on other GPUs, too: ampere+ or same (compute capability)",
    )
    build.add_argument("--strip-weights", action="store_true", help="leave the weights out")
    build.add_argument("--refittable", action="store_true", help="weights can be replaced later")
    build.add_argument(
        "--plugins", action="append", default=[], metavar="LIBRARY", help="library of plugins"
    )
    build.add_argument(
        "--prefer-plugins",
        action="store_true",
        help="operators with a body and a plugin in a LIBRARY become the plugin, not the body",
    )
    parser.add_argument("--layers", action="store_true", help="print the engine's layers")
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    sizes = parser.add_argument_group("sizes")
    sizes.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=SIZES",
        help="another shape for an input: 1x3x640x640, or names of dynamic dimensions among "
        "sizes: batch,3,640,640",
    )
    sizes.add_argument(
        "--reshape",
        metavar="FILE.py:FUNCTION",
        help="targets of Reshapes with a fixed size, by a function of (name, shape)",
    )
    sizes.add_argument("--max-batch", type=int, metavar="N", help="largest size of the first axis")
    sizes.add_argument(
        "--opt",
        action="append",
        default=[],
        metavar="DIM=SIZE",
        help="the size that the engine is made fastest at; the example's by default",
    )
    sizes.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="DIM=MIN:OPT:MAX[,...]",
        help="an optimization profile; the declared ranges by default; repeatable",
    )


def _run(arguments: argparse.Namespace) -> int:
    from modelport.deployment import compile
    from modelport.recipe import load_function

    result = compile(
        arguments.model,
        arguments.output,
        target=arguments.target,
        shapes=dict(map(_shape, arguments.shape)),
        reshape=load_function(arguments.reshape) if arguments.reshape else None,
        max_batch=arguments.max_batch,
        progress=console.progress(arguments),
        opt=dict(map(_size, arguments.opt)),
        profiles=[_profile(text) for text in arguments.profile],
        workspace=arguments.workspace,
        version_compatible=arguments.version_compatible,
        hardware_compatible=arguments.hardware_compatible,
        strip_weights=arguments.strip_weights,
        refittable=arguments.refittable,
        plugins=arguments.plugins,
        prefer_plugins=arguments.prefer_plugins,
    )
    if arguments.json:
        console.print_json(_to_json(result))
    else:
        _print(result, arguments.layers)
    return 0


def _to_json(result: Compilation) -> dict[str, Any]:
    record = {**dataclasses.asdict(result.record), "signature": result.record.signature.to_json()}
    return {
        "path": str(result.path),
        "seconds": result.seconds,
        **record,
        "target": str(result.record.target),
        "findings": [dataclasses.asdict(finding) for finding in result.findings],
    }


def _print(result: Compilation, layers: bool) -> None:
    record = result.record
    for finding in result.findings:
        print(finding)
    if layers:
        _print_layers(result)
    for index, profile in enumerate(record.profiles):
        for name, (least, usual, most) in profile.items():
            print(f"profile {index}: {name} {least}..{most}, fastest at {usual}")
    devices = ", ".join(record.capabilities) or "the library's default GPUs"
    print(
        f"{record.backend} {record.version} for {devices}: {len(record.layers)} layers, "
        f"{record.size:,} bytes, {result.seconds:.1f} s"
    )
    print(f"wrote {result.path} and {result.path}.json")


def _print_layers(result: Compilation) -> None:
    """Prints the layers, with their times if the engine runs here, else with the reason."""
    from modelport.backends.tensorrt.runtime.layer_times import time_layers

    times, untimed = {}, ""
    try:
        times = time_layers(result.path)
    except (BuildError, RunError) as error:
        untimed = str(error)
    heads = ["name", "kind", "nodes", "takes", "gives"]
    rows = [
        [
            _short(layer.name),
            layer.kind,
            _short(", ".join(layer.nodes)),
            ", ".join(sorted({tensor.dtype for tensor in layer.inputs})),
            ", ".join(f"{tensor.dtype}{list(tensor.shape)}" for tensor in layer.outputs),
        ]
        for layer in result.record.layers
    ]
    if times:
        heads.append("ms")
        for row, layer in zip(rows, result.record.layers, strict=True):
            row.append(f"{times[layer.name] * 1e3:.3f}" if layer.name in times else "")
    console.print_table("layers", heads, rows)
    if untimed:
        print(untimed)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _pair(text: str, form: str) -> tuple[str, str]:
    name, separator, rest = text.partition("=")
    if not (name and separator and rest):
        raise UsageError(f"{text!r} is not of the form {form}")
    return name, rest


def _integer(text: str, whole: str, form: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{whole!r} is not of the form {form}: {text!r} is not a number") from None


def _shape(text: str) -> tuple[str, list[int | str]]:
    name, sizes = _pair(text, "INPUT=1x3x640x640")
    parts = sizes.split("," if "," in sizes else "x")
    if not all(parts):
        raise UsageError(f"{text!r} is not of the form INPUT=1x3x640x640")
    return name, [int(part) if part.isdecimal() else part for part in parts]


def _size(text: str) -> tuple[str, int]:
    name, size = _pair(text, "DIM=SIZE")
    return name, _integer(size, text, "DIM=SIZE")


def _profile(text: str) -> dict[str, int | list[int]]:
    form = "DIM=SIZE or DIM=MIN:OPT:MAX, with commas between"
    profile: dict[str, int | list[int]] = {}
    for part in text.split(","):
        name, rest = _pair(part, form)
        sizes = [_integer(size, text, form) for size in rest.split(":")]
        if len(sizes) not in (1, 3):
            raise UsageError(f"{part!r} is not of the form {form}")
        profile[name] = sizes[0] if len(sizes) == 1 else sizes
    return profile


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text, re.I)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write 512M or 2G")
    return int(match[1]) * _UNITS[match[2].upper()]
