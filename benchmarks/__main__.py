"""Runs the benchmarks and prints a table each; exits with 1 where a target is missed."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE.parent / "build" / "benchmarks.json"


def main(names: list[str]) -> int:
    """Runs the benchmarks named, or all of them."""
    results = {}
    for name in _chosen(names):
        folder, _, file = name.rpartition("/")
        package = f"benchmarks.{folder}" if folder else "benchmarks"
        module = importlib.import_module(f"{package}.bench_{file}")
        rows = module.run()
        results[name] = [asdict(row) for row in rows]
        table = Table("what", "measured", "target", "", title=(module.__doc__ or name).strip())
        for row in rows:
            table.add_row(row.what, row.figure, row.target, "ok" if row.ok else "MISSED")
        Console(width=120).print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    return 0 if all(row["ok"] for rows in results.values() for row in rows) else 1


def _chosen(names: list[str]) -> list[str]:
    """``name`` and ``folder/name`` of benchmarks; a folder stands for all in it."""
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
