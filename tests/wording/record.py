"""The recorded number of breaches per rule and folder, and the exceptions."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.wording.rules import Breach

COUNTS = Path(__file__).with_name("counts.json")
EXCEPTIONS = Path(__file__).with_name("exceptions.txt")

Counts = dict[str, dict[str, int]]
"""Numbers by rule and folder."""


@dataclass(frozen=True)
class Exempt:
    """A breach that is allowed.

    Attributes:
        rule: Name of the rule.
        path: The file.
        words: Words of the line.
        reason: Why nothing better says it.
    """

    rule: str
    path: str
    words: str
    reason: str

    def covers(self, breach: Breach) -> bool:
        """Whether a breach is this one."""
        return (breach.rule, breach.path) == (self.rule, self.path) and self.words in breach.words


def exceptions() -> list[Exempt]:
    """Lines of ``exceptions.txt``."""
    lines = (line.strip() for line in EXCEPTIONS.read_text().splitlines())
    fields = (
        [field.strip() for field in line.split("|")] for line in lines if line[:1] not in ("", "#")
    )
    return [Exempt(*line) for line in fields]


def published(init: Path) -> frozenset[str]:
    """Names in ``__all__`` of a package; none where it has no such list."""
    if not init.is_file():
        return frozenset()
    for node in ast.parse(init.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def counted(breaches: Iterable[Breach]) -> Counts:
    """Numbers of breaches by rule and folder of the repository's root."""
    counts: Counts = {}
    for breach in breaches:
        of_rule = counts.setdefault(breach.rule, {})
        folder = _folder(breach.path)
        of_rule[folder] = of_rule.get(folder, 0) + 1
    return counts


def _folder(path: str) -> str:
    return path.partition("/")[0]


def risen(old: Counts, new: Counts) -> list[str]:
    """Sentences on the folders that break a rule more often than recorded."""
    return [
        f"{folder}: {rule}: {count}, recorded are {old.get(rule, {}).get(folder, 0)}"
        for rule, folders in sorted(new.items())
        for folder, count in sorted(folders.items())
        if count > old.get(rule, {}).get(folder, 0)
    ]


def stored() -> Counts:
    """The recorded counts."""
    counts: Counts = json.loads(COUNTS.read_text())
    return counts


def write(counts: Counts) -> None:
    """Records counts."""
    COUNTS.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
