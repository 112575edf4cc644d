"""Runs the benchmarks, and prints their lines as they come; exits with 1 where a target is missed.

``python -m benchmarks`` runs all, ``operators`` one, ``ops`` those of a folder, ``tune:srcnn`` the
part of one that has ``PARTS``.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.interleave import Row

HERE = Path(__file__).parent
RESULTS = HERE.parent / "build" / "benchmarks.json"


_WIDTH = 120


def main(names: list[str]) -> int:
    """Runs the benchmarks named, or all of them."""
    results: dict[str, list[Row]] = {}
    for name in _chosen(names):
        title, rows = _open(name)
        console = Console(width=_WIDTH)
        console.rule(title)
        results[name] = []
        for row in rows:
            results[name].append(row)
            console.print(_line(row))
            _write(results)
    return 0 if all(row.ok for rows in results.values() for row in rows) else 1


def _open(name: str) -> tuple[str, Iterable[Row]]:
    """A benchmark's title and its rows, which may be measured while they are read."""
    path, _, part = name.partition(":")
    module = importlib.import_module(f"benchmarks.{_module(path)}")
    title = (module.__doc__ or path).strip()
    if not part:
        return title, module.run()
    parts = getattr(module, "PARTS", {})
    if part not in parts:
        sys.exit(f"{path} has no part {part!r}; it has: {', '.join(parts) or 'none'}")
    return f"{title}: {part}", parts[part]()


def _module(path: str) -> str:
    *folders, file = path.split("/")
    return ".".join([*folders, f"bench_{file}"])


def _line(row: Row) -> Table:
    line = Table.grid(expand=True, padding=(0, 2, 0, 0))
    for ratio in (5, 6, 2, 1):
        line.add_column(ratio=ratio)
    line.add_row(row.what, row.figure, row.target, "ok" if row.ok else "MISSED")
    return line


def _write(results: dict[str, list[Row]]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    found = {name: [asdict(row) for row in rows] for name, rows in results.items()}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


def _chosen(names: list[str]) -> list[str]:
    """Paths of benchmarks: of ``name``, ``folder/name``, or all of a folder."""
    if not names:
        return _chosen_in(".") + _chosen_in("ops")
    return [
        item for name in names for item in (_chosen_in(name) if (HERE / name).is_dir() else [name])
    ]


def _chosen_in(folder: str) -> list[str]:
    files = sorted((HERE / folder).glob("bench_*.py"))
    prefix = "" if folder == "." else f"{folder}/"
    return [prefix + path.stem.removeprefix("bench_") for path in files]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
