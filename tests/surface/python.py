"""Public Python names with their signatures, as stub files, and griffe's judgement of changes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[2]
DOCUMENTED = ("README.md", "docs/*.md", "examples/**/*.py")
ALSO = {
    "modelport.backends": {"Backend", "Binding", "Capabilities", "Engine", "Probe"},
    "modelport.backends.base": {"Artifact"},
    "modelport.bundle": {"BundleWriter", "Manifest", "join_stages"},
    "modelport.backends.tensorrt.plugins": {"load_plugins"},
    "modelport.backends.tensorrt.plugins.ahead_of_time": {"register_ahead"},
    "modelport.backends.tensorrt.plugins.python_plugin": {"make_creator"},
    "modelport.pipeline": {"Answer", "Stage"},
    "modelport.numerics": {"node_tolerance_for", "tolerance_for"},
}
"""What documentation names without importing it."""
_IMPORT = re.compile(r"^\s*from (modelport[\w.]*) import (?:\(([^)]*)\)|([^#\n(]*))", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[\d+m")
_HEAD = "# The public names of {} and their signatures; `make public` writes this file."
_UNSEEN = ("__post_init__", "__repr__", "__str__", "__setattr__", "__getattr__", "__del__")

Names = dict[str, set[str]]


@functools.cache
def load_package() -> Any:
    """The package as griffe reads it: nothing of it is imported."""
    return griffe.load("modelport", search_paths=[ROOT / "src"], resolve_aliases=True)


def public_names(package: Any, stubs: Mapping[str, str]) -> Names:
    """The names by module that others may rely on.

    They are what ``modelport.__all__`` lists, what documentation and examples import (of a module
    all that it shows), `ALSO`, and what was recorded before and is still there.

    Args:
        package: The package.
        stubs: What was recorded before: the text of each stub file, by its path.
    """
    names: Names = {module: set(own) for module, own in ALSO.items()}
    names["modelport"] = {str(name) for name in package.exports} - {"__version__"}
    for module, name in _imported():
        found = _member(package, module, name)
        if found is not None and found.is_module:
            names.setdefault(f"{module}.{name}", set()).update(_shown(found))
        elif found is not None:
            names.setdefault(module, set()).add(name)
    for path, text in stubs.items():
        module = Path(path).stem
        for name in griffe.visit(module, Path(path), text).members:
            if _member(package, module, name) is not None:
                names.setdefault(module, set()).add(name)
    return names


def _imported() -> Iterator[tuple[str, str]]:
    """The modules and the names that documentation and examples import."""
    for pattern in DOCUMENTED:
        for path in sorted(ROOT.glob(pattern)):
            for module, block, line in _IMPORT.findall(path.read_text(encoding="utf-8")):
                for item in (block or line).split(","):
                    if name := item.split(" as ")[0].strip():
                        yield module, name


def _shown(module: Any) -> set[str]:
    """What a module shows: its ``__all__``, or what it defines."""
    if module.exports is not None:
        return {str(name) for name in module.exports}
    own = (item for item in module.members.values() if not item.is_alias)
    return {item.name for item in own if item.is_public and not item.is_module}


def render(package: Any, names: Names) -> dict[str, str]:
    """The stub file of each module, by its path.

    Args:
        package: The package.
        names: The names by module.
    """
    files = {}
    for module, own in sorted(names.items()):
        parts = ["\n".join(_lines(name, _member(package, module, name))) for name in sorted(own)]
        files[f"python/{module}.pyi"] = "\n\n".join([_HEAD.format(module), *parts]) + "\n"
    return files


def breakages(package: Any, stubs: Mapping[str, str]) -> list[str]:
    """What code that was written for the stubs does not find any more, for people.

    Args:
        package: The package.
        stubs: The text of each stub file, by its path.
    """
    found = []
    for path, text in stubs.items():
        module = Path(path).stem
        old, new = griffe.visit(module, Path(path), text), griffe.Module(module)
        for name in old.members:
            # griffe compares no alias; and its `set_member` would move what it is given.
            if (member := _member(package, module, name)) is not None:
                new.members[name] = member
        found += [
            _COLOUR.sub("", breakage.explain(griffe.ExplanationStyle.ONE_LINE))
            for breakage in griffe.find_breaking_changes(old, new)
        ]
    return found


def _member(package: Any, module: str, name: str) -> Any:
    """A name of a module; None where there is none."""
    try:
        found = package[f"{module}.{name}".removeprefix("modelport.")]
    except KeyError:
        return None
    return found.final_target if found.is_alias else found


def _lines(name: str, item: Any) -> Iterator[str]:
    """The lines of a definition in a stub."""
    if item.is_class:
        bases = f"({', '.join(map(str, item.bases))})" if item.bases else ""
        yield f"class {name}{bases}:"
        members = [line for own in _members(item) for line in _lines(own.name, own)]
        yield from (f"    {line}" for line in members or ["..."])
    elif item.is_function:
        signature = item.signature(return_type=True, name=name)
        if item.parent.is_class and "staticmethod" not in item.labels:
            # griffe leaves it out.
            first = "cls" if "classmethod" in item.labels else "self"
            signature = signature.replace("(", f"({first}, ", 1).replace(", )", ")", 1)
        yield from _decorators(item)
        yield f"def {signature}: ..."
    elif "property" in item.labels:
        yield "@property"
        yield f"def {name}(self) -> {item.annotation}: ..."
    else:
        annotation = f": {item.annotation}" if item.annotation else ""
        # What an attribute of an instance is by default, `__init__` says.
        own = item.parent.is_class and "instance-attribute" in item.labels
        value = f" = {item.value}" if item.value and not own else ""
        yield f"{name}{annotation}{value}" if annotation or value else f"{name}: object"


def _decorators(function: Any) -> Iterator[str]:
    for label in ("staticmethod", "classmethod"):
        if label in function.labels:
            yield f"@{label}"


def _members(kind: Any) -> Iterator[Any]:
    """The public members of a class, those of its bases included."""
    for name, member in kind.all_members.items():
        special = name.startswith("__") and name not in _UNSEEN
        if special or not name.startswith("_"):
            yield member.final_target if member.is_alias else member
