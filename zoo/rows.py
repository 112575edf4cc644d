"""Rows on disk: one JSON object a line, appended as each is done, so that a kill costs one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"

Row = dict[str, Any]


class Rows:
    """The rows made here, and those that the repository has.

    Args:
        folder: Where rows and logs go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._file = folder / "rows.jsonl"

    def newest(self) -> dict[str, Row]:
        """The newest row of every model, by name: those made here go before the repository's."""
        found: dict[str, Row] = {}
        if RESULTS.is_file():
            found |= {row["name"]: row for row in json.loads(RESULTS.read_text())["rows"]}
        for path in sorted(self._folder.glob("*.jsonl")):
            for line in path.read_text().splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue  # the line at which a run was killed
                found[row["name"]] = row
        return found

    def append(self, row: Row) -> None:
        """Adds a row."""
        with self._file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def log_of(self, name: str) -> Path:
        """An empty folder for the output of a model's steps."""
        path = self._logs / (name.replace("/", "-") + ".log")
        path.write_text("")
        return path


def is_good(row: Row) -> bool:
    """True if a model reached all targets, and the comparison is meaningful."""
    return not row["empty"] and all(target["ok"] for target in row["targets"].values())
