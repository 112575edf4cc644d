"""A package imports only from those above it: data only moves to the right.

A module that is listed itself has its own row, apart from the rest of its package.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import modelport

ROOT = Path(modelport.__file__).parent
ORDER = [
    "garbage_collection",
    "lazy",
    "deprecation",
    "arrays",
    "ir",
    "extras",
    "findings",
    "errors",
    "process_memory",
    "child_process",
    "entry_points",
    "source_location",
    "progress",
    "target",
    "signature",
    "size_condition",
    "files",
    "facts",
    "model",
    "recipe",
    "graph",
    "ops",
    "numerics",
    "backends.base",
    "backends.adapters",
    "passes",
    "backends",
    "passes.equivalence",
    "passes.simplification",
    "passes.optional",
    "passes.legalization",
    "passes.target_lint",
    "passes.__init__",
    "precision",
    "pipeline",
    "capture",
    "recipe_draft",
    "report",
    "bundle",
    "deployment",
    "conformance",
    "debug",
    "tuning",
    "cli",
]
FOR_THE_VERSION = {"capture/attempts.py"}
"""Files above the command line that may import the package itself."""
RENAMED = {"pictures.py", "proof.py"}
"""Old names of modules, which only look names up in the new ones."""
FILES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).as_posix() not in {"__init__.py", "__main__.py"} | RENAMED
]


def part_of(path: Path) -> str:
    return part_named(".".join(path.relative_to(ROOT).with_suffix("").parts))


def part_named(name: str) -> str:
    """The row of `ORDER` for a dotted name below modelport: the longest that fits."""
    pieces = name.split(".")
    names = [".".join(pieces[:count]) for count in range(len(pieces), 0, -1)]
    return next((item for item in names if item in ORDER), pieces[0])


def imported(path: Path) -> list[tuple[int, str]]:
    """Lines and names of what a file imports from modelport, at every level of it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            found += [
                (
                    node.lineno,
                    # A public name is of the package itself, which knows where it is.
                    f"{node.module}.{alias.name}"
                    if node.module == "modelport" and alias.name in ORDER
                    else str(node.module),
                )
                for alias in node.names
            ]
    return [(line, name) for line, name in found if name.partition(".")[0] == "modelport"]


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in FILES} <= set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_file_imports_only_from_above(path: Path) -> None:
    own = ORDER.index(part_of(path))
    wrong = []
    for line, name in imported(path):
        if name == "modelport":
            if part_of(path) != "cli" and path.relative_to(ROOT).as_posix() not in FOR_THE_VERSION:
                wrong.append(f"line {line} imports the whole package")
        elif ORDER.index(part_named(name.partition(".")[2])) > own:
            wrong.append(f"line {line} imports {name}")
    assert wrong == []


def test_no_row_is_for_nothing() -> None:
    rows = {name.replace(".", "/") for name in ORDER}
    there = {path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.rglob("*.py")}
    there |= {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_dir()}
    assert rows - there == set()


def modules() -> dict[str, Path]:
    """All modules by their names; a package has the name of its folder."""
    return {
        ".".join(("modelport", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in ROOT.rglob("*.py")
    }


def graph_of(found: dict[str, Path]) -> dict[str, set[str]]:
    """The modules that each module imports, at once or late, but not for its types alone.

    A name that a lazy package publishes is the module's that it comes from.
    """
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in found.items()}
    published = {
        (package, alias.name): (str(node.module), alias.name)
        for package, tree in trees.items()
        if found[package].name == "__init__.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def source(module: str, name: str) -> str:
        if (module, name) in published:
            return source(*published[module, name])
        return f"{module}.{name}" if f"{module}.{name}" in found else module

    graph: dict[str, set[str]] = {}
    for name, tree in trees.items():
        graph[name] = set()
        if found[name].name == "__init__.py" and "public_names(" in ast.unparse(tree):
            continue
        for node in ast.walk(RuntimeImports().visit(tree)):
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                graph[name] |= {source(str(node.module), alias.name) for alias in node.names}
        graph[name] = graph[name] & found.keys() - {name}
    return graph


class RuntimeImports(ast.NodeTransformer):
    """Leaves out what is imported for the type checker alone."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        is_for_types = "TYPE_CHECKING" in ast.unparse(node.test)
        return None if is_for_types else self.generic_visit(node)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Shortest circles, one from each module that is in one."""
    found = {}
    for start in graph:
        paths = [[start]]
        seen: set[str] = set()
        while paths:
            path = paths.pop(0)
            for name in sorted(graph[path[-1]] - seen):
                if name == start:
                    found.setdefault(frozenset(path), path)
                    paths.clear()
                    break
                seen.add(name)
                paths.append([*path, name])
    return list(found.values())


def test_no_circle_of_imports() -> None:
    assert circles(graph_of(modules())) == []


def test_a_circle_would_be_seen(tmp_path: Path) -> None:
    for name, text in {
        "a": "def f():\n    from modelport.b import g\n",
        "b": "from typing import TYPE_CHECKING\nimport modelport.c\n",
        "c": "from modelport import h\n",
        "d": "if TYPE_CHECKING:\n    import modelport.a\nimport modelport.c\n",
        "__init__": "if TYPE_CHECKING:\n    from modelport.a import h\nelse:\n    public_names()\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = {f"modelport.{name}": tmp_path / f"{name}.py" for name in "abcd"}
    found["modelport"] = tmp_path / "__init__.py"
    assert circles(graph_of(found)) == [["modelport.a", "modelport.b", "modelport.c"]]


def test_an_import_from_below_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "def f():\n    from modelport.cli import main\n    import modelport.bundle\n"
        "    from modelport import capture, deploy\n"
    )
    assert imported(path) == [
        (2, "modelport.cli"),
        (3, "modelport.bundle"),
        (4, "modelport.capture"),
        (4, "modelport"),
    ]
