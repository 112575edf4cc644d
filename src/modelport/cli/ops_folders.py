"""``modelport ops``: the user's own operators."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.cli.console import Subparsers, add_json, note, print_json
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.conformance import Conformance
    from modelport.ops.declaration import Operator


def add(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Registers the commands.

    Args:
        commands: The commands of ``modelport ops``.
    """
    new = _command(commands, "new", _new, "write a new operator that builds and passes its test")
    new.add_argument("name", metavar="DOMAIN::NAME", help="such as points::knn_query")
    new.add_argument("--into", default=".", metavar="DIR", help="where to write its folder")

    build = _command(commands, "build", _build, "build operators: one library for each domain")
    _add_folder(build)
    build.add_argument(
        "-o", "--output", metavar="DIR", help="where to put the libraries (default: FOLDER/build)"
    )
    build.add_argument(
        "--extension",
        action="store_true",
        help="write an installable C++ extension of PyTorch in place of a library",
    )
    build.add_argument("--cuda", action="store_true", help="build the CUDA kernels as well")
    build.add_argument(
        "--tensorrt",
        action="store_true",
        help="build TensorRT plugins of the CUDA kernels; needs TensorRT's headers "
        "($TENSORRT_INCLUDE_DIR)",
    )
    _add_arch(build)

    test = _command(commands, "test", _test, "compare all that comes of operators")
    _add_folder(test)
    test.add_argument("--cases", type=int, default=20, help="cases to draw (default: %(default)s)")
    test.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    test.add_argument(
        "--sanitize",
        action="store_true",
        help="run the kernels alone, under AddressSanitizer and UBSan",
    )
    test.add_argument(
        "--tensorrt",
        action="store_true",
        help="test the TensorRT plugins in a host program, without TensorRT",
    )
    _add_arch(test)

    listed = _command(commands, "list", _list, "operators of a folder, or those that ship")
    listed.add_argument("folder", metavar="FOLDER", nargs="?", help="default: those that ship")


def _command(
    commands: Subparsers[argparse.ArgumentParser], name: str, run: Any, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="FOLDER", help="a folder with an op.py, or with such folders in it"
    )


def _add_arch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--arch",
        type=int,
        action="append",
        default=[],
        metavar="NN",
        help="compile CUDA code for this compute capability alone, such as 86; can be repeated",
    )


def _new(args: argparse.Namespace) -> int:
    from modelport.ops.scaffold import write_folder

    folder = write_folder(args.name, args.into)
    files = sorted(str(path) for path in folder.iterdir())
    if args.json:
        print_json({"folder": str(folder), "files": files})
    else:
        print("\n".join(files))
        print(f"next: modelport ops test {folder}")
    return 0


def _build(args: argparse.Namespace) -> int:
    from modelport.backends.tensorrt.plugins import NO_PLUGIN, PluginLibrary, build_plugins
    from modelport.ops.build import BuildOptions, build_library
    from modelport.ops.ctypes_library import NativeLibrary
    from modelport.ops.library_store import place_library
    from modelport.ops.scaffold import load_folder

    by_domain: dict[str, list[Operator]] = defaultdict(list)
    for operator in load_folder(args.folder):
        if "cuda" in operator.kernels if args.tensorrt else operator.kernels:
            by_domain[operator.schema.domain].append(operator)
    if not by_domain:
        kernel_kind = "CUDA kernel, which a plugin needs" if args.tensorrt else "kernel"
        raise UsageError(f"no operator in {args.folder} has a {kernel_kind}")
    output = Path(args.output or Path(args.folder) / "build")
    if args.extension:
        return _write_extensions(by_domain, output, args.json)
    built: list[dict[str, Any]] = []
    for domain, operators in sorted(by_domain.items()):
        begin = time.perf_counter()
        options = BuildOptions(cuda=args.cuda or args.tensorrt, capabilities=tuple(args.arch))
        make = build_plugins if args.tensorrt else build_library
        path = make(operators, options, done=_progress)
        output.mkdir(parents=True, exist_ok=True)
        copied = place_library(path, output)
        library = PluginLibrary(copied) if args.tensorrt else NativeLibrary(copied)
        kernels = library.kernels
        plugins = library.plugins if isinstance(library, PluginLibrary) else set()
        built.append(
            {
                "domain": domain,
                "library": str(copied),
                "seconds": round(time.perf_counter() - begin, 3),
                "bytes": copied.stat().st_size,
                "kernels": [
                    f"{kernel.operator}({', '.join(kernel.parameters)}) on {kernel.device}"
                    for kernel in kernels
                ],
                **({"plugins": sorted(plugins)} if args.tensorrt else {}),
            }
        )
        for operator in operators if args.tensorrt else ():
            if operator.schema.name not in plugins:
                note(f"{operator.qualified_name} is not a plugin: {NO_PLUGIN}")
    if args.json:
        print_json(built)
    else:
        for item in built:
            print(
                f"{item['library']}: {len(item['kernels'])} kernels of {item['domain']}, "
                f"{item['bytes']:,} bytes, {item['seconds']} s"
            )
    return 0


def _write_extensions(by_domain: dict[str, list[Operator]], output: Path, as_json: bool) -> int:
    from modelport.ops.torch_extension import write_extension

    output.mkdir(parents=True, exist_ok=True)
    written = [
        write_extension(operators, output / f"{domain}_extension")
        for domain, operators in sorted(by_domain.items())
    ]
    if as_json:
        print_json([{"extension": str(folder)} for folder in written])
    for folder in written if not as_json else ():
        print(f"{folder}: pip install --no-build-isolation {folder}")
    return 0


def _progress(what: str) -> None:
    note(f"built {what}")


def _test(args: argparse.Namespace) -> int:
    """Tests operators; the exit code is 1 if one differs from its reference."""
    from modelport.conformance import prove_kernels_sanitized, prove_operator, prove_plugins
    from modelport.ops.build import BuildOptions
    from modelport.ops.scaffold import load_folder

    operators = load_folder(args.folder)
    if args.tensorrt:
        options = BuildOptions(cuda=True, sanitize=args.sanitize, capabilities=tuple(args.arch))
        found = prove_plugins(
            operators, cases=args.cases, seed=args.seed, options=options, done=_progress
        )
    elif args.sanitize:
        found = prove_kernels_sanitized(args.folder, cases=args.cases, seed=args.seed)
    else:
        found = [prove_operator(item, cases=args.cases, seed=args.seed) for item in operators]
    if args.json:
        print_json([item.to_json() for item in found])
    else:
        for item in found:
            _print_conformance(item)
    return 0 if all(item.ok for item in found) else 1


def _print_conformance(found: Conformance) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("way", "agrees", "differs", "not tried", title=found.operator)
    for way, (good, bad, untried) in found.counts().items():
        table.add_row(way, str(good), f"[red]{bad}[/red]" if bad else "0", str(untried))
    console = Console()
    console.print(table)
    for check in found.failures[:5]:
        console.print(f"[red]{check.way}[/red] {escape(check.case)}\n  {escape(check.detail)}")
    for reason in sorted({check.detail for check in found.checks if check.ok is None}):
        console.print(f"[dim]not tried: {escape(reason)}[/dim]")


def _list(args: argparse.Namespace) -> int:
    from modelport.ops.library import load
    from modelport.ops.scaffold import load_folder

    operators = load_folder(args.folder) if args.folder else list(load().values())
    rows = [_row(operator) for operator in operators]
    if args.json:
        print_json(rows)
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("operator", "kernels", "dtypes", "body", "gradient")
    for operator, row in zip(operators, rows, strict=True):
        table.add_row(
            f"[bold]{operator.schema.domain}::[/bold]{operator.schema.to_torch()}",
            ", ".join(row["kernels"]) or "none",
            " x ".join(", ".join(item) for item in row["dtypes"]) or "as written",
            f"opset {row['body_since']}" if row["body_since"] else "none",
            "yes" if row["gradient"] else "no",
        )
    Console().print(table)
    return 0


def _row(operator: Operator) -> dict[str, Any]:
    return {
        "operator": operator.qualified_name,
        "schema": operator.schema.to_torch(),
        "folder": str(operator.folder),
        "kernels": sorted(operator.kernels),
        "dtypes": [list(item) for item in operator.dtypes],
        "body_since": operator.decomposition_since if operator.decomposition else None,
        "gradient": operator.gradient is not None,
    }
