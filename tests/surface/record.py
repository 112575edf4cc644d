"""The record of all that others may rely on, and what of it a change would take away."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.surface import python

FOLDER = Path(__file__).parents[1] / "data" / "public"
ROOT = Path(__file__).parents[2]
_GROUP = re.compile(r"^ENTRY_POINTS\w* = \"([\w.]+)\"", re.MULTILINE)
_VARIABLE = re.compile(
    r"(?:environ.*|getenv\(|: Final = |^\w+ = )\"(MODELPORT_[A-Z_]+)\"", re.MULTILINE
)

Record = dict[str, str]
"""The text of each file by its path."""


def stored() -> Record:
    """What was recorded."""
    files = (path for path in sorted(FOLDER.rglob("*")) if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): path.read_text("utf-8") for path in files}


def write(record: Record) -> None:
    """Writes a record in place of the one before."""
    for path in stored().keys() - record.keys():
        (FOLDER / path).unlink()
    for path, text in record.items():
        place = FOLDER / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def stubs(record: Record) -> Record:
    """The part of a record that is of Python."""
    return {path: text for path, text in record.items() if path.endswith(".pyi")}


def declared() -> Record:
    """What the sources declare: Python, commands, headers, entry points and variables."""
    from tests.surface import commands, headers

    package = python.load_package()
    return {
        **python.render(package, python.public_names(package, stubs(stored()))),
        "commands.txt": commands.render(),
        "headers.txt": headers.render(),
        "points.txt": "".join(f"{line}\n" for line in _points()),
    }


def printed(folder: Path) -> Record:
    """The keys of what commands print, and of the manifests of bundles.

    Args:
        folder: An empty folder to run the commands in.
    """
    from tests.surface import keys, runs

    found = {path for name, data in runs.printed(folder) for path in keys.paths(name, data)}
    kept = {
        path for manifest in runs.manifests(folder) for path in keys.paths("manifest", manifest)
    }
    return {
        "json_keys.txt": "".join(f"{line}\n" for line in sorted(found)),
        "manifest_keys.txt": "".join(f"{line}\n" for line in sorted(kept)),
    }


def losses(old: Record, new: Record) -> list[str]:
    """What a new record takes away from those who rely on an old one, for people.

    Args:
        old: A record.
        new: Another one, which has the same files and more.
    """
    from tests.surface.commands import demands

    found = python.breakages(python.load_package(), stubs(old)) if stubs(old) else []
    for path, text in old.items():
        if path in new and not path.endswith(".pyi"):
            before, after = text.splitlines(), new[path].splitlines()
            found += [f"{path}: gone: {line}" for line in before if line not in set(after)]
            if path == "commands.txt":
                found += [
                    f"{path}: a command that was there demands more: {line}"
                    for line in after
                    if line not in before and demands(line) and line.split(" | ")[0] in before
                ]
    return found


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """The lines that differ between records, for people; empty where none does."""
    lines: list[str] = []
    for path in sorted(old.keys() | new.keys()):
        before, after = (record.get(path, "").splitlines() for record in (old, new))
        lines += difflib.unified_diff(before, after, f"recorded {path}", "now", n=0, lineterm="")
    return "\n".join(lines)


def _points() -> Iterator[str]:
    """Where others connect: scripts, extras, groups of entry points, environment variables."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from (f"script {name} = {place}" for name, place in project["scripts"].items())
    yield from (f"extra {name}" for name in project["optional-dependencies"])
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("src/modelport/native/bundle/src/*")]
    texts = [path.read_text(encoding="utf-8") for path in sorted(sources)]
    groups = {name for text in texts for name in _GROUP.findall(text)}
    variables = {name for text in texts for name in _VARIABLE.findall(text)}
    yield from (f"entry points {name}" for name in sorted(groups))
    yield from (f"environment variable {name}" for name in sorted(variables))
