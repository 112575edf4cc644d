"""``modelport init``."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from modelport.cli import console
from modelport.errors import UsageError

DEFAULT = Path("recipe.py")


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "init",
        help="draft a recipe for a model",
        description="Draft a recipe: the Python file that says what to deploy, with example "
        "inputs. What cannot be known becomes a comment with TODO.",
        epilog="examples: modelport init net.pth --model net.py:Net; modelport init "
        "package.module:Class; modelport init bert-folder/",
    )
    parser.add_argument(
        "source",
        help="x.pth, x.safetensors, package.module:Class, file.py:Class, x.onnx, x.pt2, or a "
        "folder of Hugging Face",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=DEFAULT, help="the recipe (default: %(default)s)"
    )
    parser.add_argument(
        "--model",
        metavar="CLASS",
        help="the class that weights belong to: package.module:Class or file.py:Class",
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    console.add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.files.replacement import written
    from modelport.recipe_draft import draft_recipe

    output: Path = arguments.output
    if output.exists() and not arguments.force:
        raise UsageError(
            f"{output} is there already", fix="give another file with -o, or --force to replace it"
        )
    if not output.parent.is_dir():
        raise UsageError(f"no such folder: {output.parent}", fix=f"mkdir -p {output.parent}")
    draft = draft_recipe(arguments.source, model=arguments.model, folder=output.parent)
    with written(output) as path:
        path.write_text(draft.text, encoding="utf-8")
    bundle = Path(draft.title.rpartition(":")[2]).stem + ".port"
    follow = ["modelport", "deploy", str(output), "-o", bundle]
    if arguments.json:
        console.print_json(
            {
                "path": str(output),
                "inputs": [item.name for item in draft.inputs],
                "missing": list(draft.missing),
                "next": shlex.join(follow),
            }
        )
        return 0
    for text in draft.missing:
        print(f"TODO: {text}")
    print(f"wrote {output}")
    print(f"next: {shlex.join(follow)}")
    return 0
