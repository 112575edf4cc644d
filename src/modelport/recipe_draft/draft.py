"""A recipe's text, put together from what is known of a model."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_WIDTH = 94
"""Longest line inside of the drafted function."""


@dataclass(frozen=True)
class ExampleInput:
    """One example input of a drafted recipe.

    Attributes:
        name: Its name in the graph.
        code: The expression that makes it, such as ``torch.randn(1, 3, 224, 224)``.
        dynamic: Names of its dynamic dimensions by axis.
        keyword: Whether the model takes it by keyword.
    """

    name: str
    code: str
    dynamic: dict[int, str] = field(default_factory=dict)
    keyword: bool = False


@dataclass(frozen=True)
class Draft:
    """A drafted recipe.

    Attributes:
        title: The source, for the first line of the file.
        imports: Lines of imports; `Recipe` is imported always.
        model: Lines of the function's body that bind the name ``model``.
        inputs: The example inputs, in the order of the model's parameters.
        notes: Facts that the draft relies on; they become comments.
        missing: What a person must fill in; empty where the recipe runs as it is.
        largest: The largest size of dynamic dimensions, by name, where there is one.
    """

    title: str
    imports: Sequence[str]
    model: Sequence[str]
    inputs: Sequence[ExampleInput] = ()
    notes: Sequence[str] = ()
    missing: Sequence[str] = ()
    largest: Mapping[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The recipe's file."""
        title = _plain(self.title)
        body = [f'"""{title}, with example inputs."""']
        for text in (*(f"TODO: {item}" for item in self.missing), *self.notes):
            body += textwrap.wrap(
                text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False
            )
        body += [*self.model, *self._recipe()]
        head = [f'"""A recipe for {title}, drafted by `modelport init`."""', ""]
        own = (
            "from modelport import Dim, Recipe" if self.largest else "from modelport import Recipe"
        )
        head += [*_ordered([*self.imports, own]), "", "", "def recipe() -> Recipe:"]
        return "\n".join(head) + "\n" + textwrap.indent("\n".join(body), "    ") + "\n"

    def _size(self, name: str) -> str:
        limit = self.largest.get(name)
        return f'"{name}"' if limit is None else f'Dim("{name}", max={limit})'

    def _recipe(self) -> list[str]:
        positional = [item for item in self.inputs if not item.keyword]
        keywords = [item for item in self.inputs if item.keyword]
        fields = []
        if positional:
            values = ", ".join(item.code for item in positional)
            fields.append(f"args=({values}{',' if len(positional) == 1 else ''}),")
        if keywords:
            fields += ["kwargs={", *(f'    "{item.name}": {item.code},' for item in keywords), "},"]
        elif positional:
            names = ", ".join(f'"{item.name}"' for item in positional)
            fields.append(f"input_names=[{names}],")
        dynamic = {item.name: item.dynamic for item in self.inputs if item.dynamic}
        if dynamic:
            fields.append("dynamic={")
            for name, axes in dynamic.items():
                pairs = ", ".join(f"{axis}: {self._size(size)}" for axis, size in axes.items())
                fields.append(f'    "{name}": {{{pairs}}},')
            fields.append("},")
        if not fields:
            return ["return Recipe(model)"]
        return ["return Recipe(", "    model,", *(f"    {line}" for line in fields), ")"]


def path_code(path: Path, folder: Path) -> str:
    """The expression of a path in a recipe: relative to the recipe's own folder.

    Args:
        path: The path.
        folder: The folder that the recipe is written to.
    """
    relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return f"Path(__file__).parent / {json.dumps(relative, ensure_ascii=False)}"


def _plain(text: str) -> str:
    """A text without what would end a docstring: quotes, backslashes and control characters."""
    return "".join(item if item.isprintable() and item not in '"\\' else "_" for item in text)


def _ordered(imports: Sequence[str]) -> list[str]:
    """Imports in groups: the standard library, then packages."""
    lines = sorted(set(imports), key=lambda line: (line.startswith("from"), line.lower()))
    standard = [line for line in lines if line.split()[1] in ("pathlib", "sys")]
    packages = [line for line in lines if line not in standard]
    return [*standard, "", *packages] if standard else packages
